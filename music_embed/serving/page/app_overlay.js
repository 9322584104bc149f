"use strict";
// What lies over the cloud: names of classes, rings of hits, a path's line.

(() => {
  const app = window.MusicMap;
  const CELLS = 24;

  /** Where a class is densest: the middle of its fullest cells, their height. */
  const densest = (points, position) => {
    const counts = new Float64Array(CELLS * CELLS);
    const sumX = new Float64Array(CELLS * CELLS);
    const sumY = new Float64Array(CELLS * CELLS);
    const sumSquares = new Float64Array(CELLS * CELLS);
    const cell = (value) =>
      Math.min(CELLS - 1, Math.max(0, Math.floor(((value + 1) / 2) * CELLS)));
    points.classes.forEach((of, row) => {
      if (of !== position) return;
      const at = cell(points.y[row]) * CELLS + cell(points.x[row]);
      counts[at] += 1;
      sumX[at] += points.x[row];
      sumY[at] += points.y[row];
      sumSquares[at] += points.y[row] ** 2;
    });
    const around = (array, at) => {
      let sum = 0;
      for (let down = -1; down <= 1; down += 1) {
        for (let right = -1; right <= 1; right += 1) {
          const column = (at % CELLS) + right;
          const line = Math.floor(at / CELLS) + down;
          if (column < 0 || line < 0 || column >= CELLS || line >= CELLS) {
            continue;
          }
          sum += array[line * CELLS + column];
        }
      }
      return sum;
    };
    let best = 0;
    for (let at = 1; at < counts.length; at += 1) {
      if (around(counts, at) > around(counts, best)) best = at;
    }
    const total = around(counts, best);
    if (!total) return null;
    const [x, y] = [around(sumX, best) / total, around(sumY, best) / total];
    const squares = around(sumSquares, best) / total;
    return { x, y, spread: Math.sqrt(Math.max(0, squares - y * y)) };
  };

  app.Overlay = class {
    /**
     * @param {HTMLCanvasElement} canvas
     * @param {Object} points as app.points gives them
     * @param {Object[]} legend of the catalogue
     */
    constructor(canvas, points, legend) {
      this.canvas = canvas;
      this.points = points;
      this.names = legend
        .map(({ label, count }, position) => ({ label, count, position }))
        .filter(({ label }) => label !== "other")
        .sort((one, other) => other.count - one.count)
        .map((one) => ({ ...one, at: densest(points, one.position) }))
        .filter(({ at }) => at);
      this.shown = { hits: [], line: false, over: null, chosen: null };
    }

    resize(width, height) {
      const ratio = window.devicePixelRatio || 1;
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
      this.canvas.style.width = `${width}px`;
      this.canvas.style.height = `${height}px`;
      this.ratio = ratio;
    }

    /**
     * @param {Object} camera with toScreen(x, y) -> [left, top] in pixels
     * @param {Object} theme {colors, ink, paper, accent}: CSS colours
     * @param {number|null} only the one class that is highlighted
     */
    draw(camera, theme, only) {
      const context = this.canvas.getContext("2d");
      context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
      context.clearRect(0, 0, camera.width, camera.height);
      const at = (row) => camera.toScreen(this.points.x[row], this.points.y[row]);
      if (this.shown.line) this.drawLine(context, theme, at);
      this.drawHits(context, theme, at);
      this.drawNames(context, camera, theme, only);
      if (this.shown.over !== null) {
        this.ring(context, at(this.shown.over), 9, 1.5, theme.ink, theme.paper);
      }
      if (this.shown.chosen !== null) {
        const where = at(this.shown.chosen);
        this.disc(context, where, 6, this.colorOf(this.shown.chosen, theme), theme.paper);
        this.ring(context, where, 10, 2.5, theme.accent, theme.paper);
      }
    }

    colorOf(row, theme) {
      return theme.colors[this.points.classes[row]];
    }

    drawLine(context, theme, at) {
      const stops = this.shown.hits.map(at);
      if (stops.length < 2) return;
      context.beginPath();
      context.moveTo(...stops[0]);
      for (const stop of stops.slice(1)) context.lineTo(...stop);
      context.lineJoin = "round";
      context.lineCap = "round";
      context.strokeStyle = theme.paper;
      context.lineWidth = 5;
      context.stroke();
      context.strokeStyle = theme.ink;
      context.lineWidth = 1.5;
      context.stroke();
    }

    drawHits(context, theme, at) {
      const { hits, line } = this.shown;
      for (let rank = hits.length - 1; rank >= 0; rank -= 1) {
        const first = line || rank < 10;
        const where = at(hits[rank]);
        this.disc(
          context, where, first ? 5.5 : 4,
          this.colorOf(hits[rank], theme), theme.paper,
        );
        if (first) {
          this.ring(context, where, 7.5, 1.2, theme.ink, null);
        }
      }
    }

    disc(context, [left, top], radius, fill, edge) {
      context.beginPath();
      context.arc(left, top, radius, 0, 2 * Math.PI);
      context.fillStyle = fill;
      context.fill();
      context.strokeStyle = edge;
      context.lineWidth = 1.5;
      context.stroke();
    }

    ring(context, [left, top], radius, width, stroke, halo) {
      context.beginPath();
      context.arc(left, top, radius, 0, 2 * Math.PI);
      if (halo) {
        context.strokeStyle = halo;
        context.lineWidth = width + 2.5;
        context.stroke();
      }
      context.strokeStyle = stroke;
      context.lineWidth = width;
      context.stroke();
    }

    drawNames(context, camera, theme, only) {
      const taken = [];
      context.font = theme.font;
      context.textAlign = "center";
      context.textBaseline = "middle";
      context.lineJoin = "round";
      const quiet = this.shown.hits.length > 0;
      for (const { label, position, at } of this.names) {
        if (only !== null && only !== position) continue;
        const [left, middle] = camera.toScreen(at.x, at.y);
        // Above the densest spot, not on it.
        const spread = 2 * at.spread * camera.scale * (camera.height / 2);
        const top = middle - 9 - Math.min(34, Math.max(8, spread));
        const half = context.measureText(label).width / 2 + 3;
        const box = [left - half, top - 12, left + half, top + 12];
        const covers = (other) =>
          box[0] < other[2] && other[0] < box[2] &&
          box[1] < other[3] && other[1] < box[3];
        if (taken.some(covers)) continue;
        taken.push(box);
        context.globalAlpha = quiet ? 0.55 : 1;
        context.strokeStyle = theme.paper;
        context.lineWidth = 3.5;
        context.strokeText(label, left, top);
        context.fillStyle = theme.ink;
        context.fillText(label, left, top);
        context.globalAlpha = 1;
      }
    }
  };
})();
