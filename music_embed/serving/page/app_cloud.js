"use strict";
// The cloud of points: by WebGL where it is to be had (regl-scatterplot),
// else on a plain canvas, which is slower but shows the same. Both draw what
// a camera sees: scale and shift of data in [-1, 1], in half heights of view;
// WebGL some frames later, so that each says when, and what, it has drawn.

(() => {
  const app = window.MusicMap;

  /** What regl-scatterplot needs; phones often can't blend floats. */
  const EXTENSIONS = [
    "OES_texture_float",
    "OES_element_index_uint",
    "WEBGL_color_buffer_float",
    "EXT_float_blend",
  ];

  /** Why WebGL can't draw here, or null where it can. */
  const withoutWebGL = () => {
    const canvas = document.createElement("canvas");
    const gl = canvas.getContext("webgl");
    if (!gl) return "This browser shows no WebGL";
    const missing = EXTENSIONS.filter((name) => !gl.getExtension(name));
    gl.getExtension("WEBGL_lose_context")?.loseContext();
    return missing.length ? `WebGL here lacks ${missing.join(", ")}` : null;
  };

  /** Diameter in pixels: smaller the more there are, and the less room. */
  const pointSize = (count, width, height) => {
    const size = Math.min(8, 14 - 2.5 * Math.log10(Math.max(count, 10)));
    const room = Math.min(1, Math.min(width, height) / 600);
    return Math.max(1.6, size * Math.max(0.7, room));
  };

  const opacity = (count) => (count > 30000 ? 0.62 : 0.86);

  class WebGLCloud {
    constructor(canvas, points, on) {
      const { width, height } = canvas.parentNode.getBoundingClientRect();
      // One of the map's size; by default it would be of the window's.
      this.renderer = window.createScatterplot.createRenderer({
        canvas: document.createElement("canvas"),
      });
      this.renderer.resize(width, height);
      this.plot = window.createScatterplot.default({
        renderer: this.renderer,
        canvas,
        width,
        height,
        syncEvents: true,
        actionKeyMap: {},
        cameraIsFixed: true,
        colorBy: "valueA",
        deselectOnDblClick: false,
        deselectOnEscape: false,
        opacityBy: "valueA",
        pointSize: pointSize(points.x.length, width, height),
        pointSizeMouseDetection: 0,
      });
      this.points = points;
      this.renderer.canvas.addEventListener(
        "webglcontextlost",
        () => on.lost("The graphics card was lost"),
        { once: true },
      );
      this.plot.subscribe("draw", () => this.asked && on.drawn(this.asked));
    }

    async start() {
      const { x, y, classes } = this.points;
      await this.plot.draw(
        { x, y, z: classes },
        { zDataType: "categorical" },
      );
    }

    resize(width, height) {
      this.renderer.resize(width, height);
      const size = pointSize(this.points.x.length, width, height);
      this.plot.set({ width, height, pointSize: size });
    }

    /** @param {number[][]} colors red, green, blue, alpha in [0, 1] */
    paint(colors) {
      this.plot.set({
        pointColor: colors.map(([...rgb]) => [...rgb.slice(0, 3), 1]),
        opacity: colors.map(([, , , alpha]) => alpha),
      });
    }

    view(camera) {
      const { scale, x, y } = camera;
      // Columns of a matrix in homogeneous coordinates.
      const matrix = [scale, 0, 0, 0, 0, scale, 0, 0, 0, 0, 1, 0, x, y, 0, 1];
      this.asked = camera;
      this.plot.view(new Float32Array(matrix), { preventEvent: true });
    }

    destroy() {
      this.plot.destroy();
      this.renderer.destroy();
    }
  }

  class PlainCloud {
    constructor(canvas, points, on) {
      this.canvas = canvas;
      this.points = points;
      this.on = on;
      this.colors = [];
      this.byClass = [];
      points.classes.forEach((position, row) => {
        (this.byClass[position] ||= []).push(row);
      });
    }

    async start() {}

    resize(width, height) {
      const ratio = Math.min(window.devicePixelRatio || 1, 2);
      Object.assign(this.canvas, {
        width: Math.round(width * ratio),
        height: Math.round(height * ratio),
      });
      Object.assign(this.canvas.style, {
        width: `${width}px`,
        height: `${height}px`,
      });
      this.ratio = ratio;
      this.size = pointSize(this.points.x.length, width, height);
    }

    paint(colors) {
      this.colors = colors;
      if (this.camera) this.view(this.camera);
    }

    view(camera) {
      this.camera = camera;
      const context = this.canvas.getContext("2d");
      const { width, height } = this.canvas;
      const { x, y } = this.points;
      const half = height / 2;
      const size =
        this.size *
        this.ratio *
        (1 + Math.asinh(Math.max(0, camera.scale - 1)) / 4);
      context.clearRect(0, 0, width, height);
      this.byClass.forEach((rows, position) => {
        const [red, green, blue, alpha] = this.colors[position] || [0, 0, 0, 1];
        const channels = [red, green, blue].map((one) => Math.round(255 * one));
        context.fillStyle = `rgba(${channels.join(",")},${alpha})`;
        for (const row of rows) {
          const left = width / 2 + (x[row] * camera.scale + camera.x) * half;
          const top = half - (y[row] * camera.scale + camera.y) * half;
          if (left < -size || left > width + size) continue;
          if (top < -size || top > height + size) continue;
          if (size < 4) {
            context.fillRect(left - size / 2, top - size / 2, size, size);
          } else {
            context.beginPath();
            context.arc(left, top, size / 2, 0, 2 * Math.PI);
            context.fill();
          }
        }
      });
      this.on.drawn(camera);
    }

    destroy() {
      const context = this.canvas.getContext("2d");
      context?.clearRect(0, 0, this.canvas.width, this.canvas.height);
    }
  }

  /**
   * The cloud that this browser can draw.
   * @param {HTMLElement} holder where the canvas "cloud" lies
   * @param {{x: Float32Array, y: Float32Array, classes: Uint8Array}} points
   * @param {{drawn: function(Object), lost: function(string)}} on the camera
   *   of which the canvas now is; WebGL has ended, and why
   * @returns {Promise<{cloud: Object, why: string|null}>}
   */
  app.cloud = async (holder, points, on) => {
    let why = withoutWebGL();
    if (!why) {
      let cloud = null;
      try {
        cloud = new WebGLCloud(holder.querySelector("#cloud"), points, on);
        await cloud.start();
        return { cloud, why };
      } catch (error) {
        cloud?.destroy();
        why = `WebGL failed (${error.message})`;
      }
    }
    return { cloud: app.plainCloud(holder, points, on), why };
  };

  app.plainCloud = (holder, points, on) => {
    const canvas = app.make("canvas", { id: "cloud", "aria-hidden": "true" });
    holder.querySelector("#cloud").replaceWith(canvas);
    return new PlainCloud(canvas, points, on);
  };

  app.pointOpacity = opacity;
})();
