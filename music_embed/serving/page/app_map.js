"use strict";
// The map: what is shown on it, and where it looks.

(() => {
  const app = window.MusicMap;
  const REACH = { mouse: 12, pen: 14, touch: 24 }; // Pixels around a pointer.

  /** Red, green and blue of "#3b6fb6", in [0, 1]. */
  const channels = (color) =>
    color.match(/[0-9a-f]{2}/gi).map((pair) => parseInt(pair, 16) / 255);

  app.MapView = class {
    /**
     * @param {HTMLElement} holder the section of the map
     * @param {Object} points as app.points gives them
     * @param {Object[]} legend of the catalogue
     * @param {{over: function, pick: function, note: function}} on what
     *   happens: over(row|null, left, top), pick(row), note(text)
     */
    constructor(holder, points, legend, on) {
      Object.assign(this, { holder, points, legend, on });
      this.surface = app.byId("surface");
      this.grid = new app.Grid(points);
      this.camera = new app.Camera(points);
      this.overlay = new app.Overlay(app.byId("overlay"), points, legend);
      this.only = null;
      this.cursor = null;
      this.pointers = new Map();
    }

    async start() {
      this.frames = new app.Frames(this);
      const { cloud, why } = await app.cloud(this.holder, this.points, {
        drawn: (camera) => this.frames.show(camera),
        lost: (reason) => this.fallBack(reason),
      });
      this.cloud = cloud;
      if (why) this.note(why);
      this.themed();
      new ResizeObserver(() => this.resize()).observe(this.holder);
      this.resize();
      app.gestures(this);
    }

    note(why) {
      this.on.note(`${why}: the map is drawn without it, more slowly.`);
    }

    fallBack(why) {
      this.note(why);
      this.cloud = app.plainCloud(this.holder, this.points, {
        drawn: (camera) => this.frames.show(camera),
      });
      this.resize();
      this.themed();
    }

    /** Reads the colours of the page's theme and paints with them. */
    themed() {
      const style = getComputedStyle(document.documentElement);
      const value = (name) => style.getPropertyValue(name).trim();
      const colors = this.legend.map((_, position) =>
        value(app.classColor(this.legend, position)),
      );
      this.theme = {
        colors,
        ink: value("--ink"),
        paper: value("--paper"),
        accent: value("--accent"),
        font: `600 13px ${value("--sans")}`,
      };
      this.paint();
    }

    paint() {
      const quiet = this.overlay.shown.hits.length > 0;
      const strong = app.pointOpacity(this.points.x.length);
      const paper = channels(this.theme.paper);
      const colors = this.theme.colors.map((color, position) => {
        const dim = this.only === null ? quiet : this.only !== position;
        const own = channels(color);
        if (!dim) return [...own, strong];
        return [...own.map((one, at) => 0.5 * one + 0.5 * paper[at]), 0.3];
      });
      this.cloud.paint(colors);
      this.redraw();
    }

    resize() {
      const { width, height } = this.holder.getBoundingClientRect();
      if (!width || !height) return;
      const { camera } = this;
      const fresh = camera.width === 1;
      const zoomed = camera.scale / camera.whole;
      Object.assign(camera, { width, height });
      const narrow = width < 500;
      camera.above = narrow ? app.byId("masthead").offsetHeight + 14 : 30;
      camera.below = app.byId("legend").offsetHeight + (narrow ? 0 : 14);
      if (fresh) Object.assign(camera, camera.home);
      camera.scale = camera.whole * (fresh ? 1 : zoomed);
      this.frames.forget();
      this.cloud.resize(width, height);
      this.overlay.resize(width, height);
      this.redraw();
    }

    redraw() {
      this.frames.next();
    }

    /** The row at a pixel, or null. */
    at(left, top, kind) {
      const [x, y] = this.camera.toData(left, top);
      const reach = this.camera.distance(REACH[kind] || REACH.mouse);
      return this.grid.nearest(x, y, reach);
    }

    /** Shows hits, in order; as a path with a line between them. */
    show(rows, { line = false } = {}) {
      Object.assign(this.overlay.shown, { hits: rows, line });
      this.paint();
    }

    /** Rings a row, and brings it into view. */
    choose(row) {
      this.overlay.shown.chosen = row;
      this.cursor = row;
      if (row !== null) this.bring(row);
      this.redraw();
    }

    over(row) {
      if (this.overlay.shown.over === row) return;
      this.overlay.shown.over = row;
      this.redraw();
    }

    /** Highlights one class of the legend, or none (null). */
    highlight(position) {
      this.only = position;
      this.paint();
    }

    /** Moves the map where a row is not in it. */
    bring(row) {
      const { camera } = this;
      const [left, top] = camera.toScreen(this.points.x[row], this.points.y[row]);
      const inside =
        left > 24 && top > 24 &&
        left < camera.width - 24 && top < camera.height - 24;
      if (inside) return;
      const end = { ...camera };
      end.x += (camera.width / 2 - left) / (camera.height / 2);
      end.y -= (camera.height / 2 - top) / (camera.height / 2);
      this.glide(end);
    }

    all() {
      this.glide(this.camera.home);
    }

    zoom(factor) {
      const end = this.camera.copy();
      end.zoom(factor, end.width / 2, end.height / 2);
      this.glide(end);
    }

    /** Goes to another scale and shift, at once where motion is unwanted. */
    glide({ scale, x, y }) {
      const from = { ...this.camera };
      const began = performance.now();
      const token = (this.gliding = {});
      const step = (now) => {
        if (this.gliding !== token) return;
        const part = app.calm() ? 1 : Math.min(1, (now - began) / 260);
        const eased = 1 - (1 - Math.max(0, part)) ** 3;
        const growth = scale / from.scale;
        this.camera.scale = from.scale * growth ** eased;
        this.camera.x = from.x + (x - from.x) * eased;
        this.camera.y = from.y + (y - from.y) * eased;
        this.redraw();
        if (part < 1) requestAnimationFrame(step);
      };
      requestAnimationFrame(step);
    }

    /** The nearest row from here in a direction, [1, 0] being right. */
    towards([right, up]) {
      const { x, y } = this.points;
      if (this.cursor === null) {
        const [left, top] = [this.camera.width / 2, this.camera.height / 2];
        return this.grid.nearest(...this.camera.toData(left, top), 4);
      }
      let best = null;
      let least = Infinity;
      for (let row = 0; row < x.length; row += 1) {
        const dx = x[row] - x[this.cursor];
        const dy = y[row] - y[this.cursor];
        const along = dx * right + dy * up;
        const aside = Math.abs(dx * up) + Math.abs(dy * right);
        if (along <= 0 || aside > along || row === this.cursor) continue;
        const cost = along * along + 4 * aside * aside;
        if (cost < least) {
          least = cost;
          best = row;
        }
      }
      return best;
    }
  };
})();
