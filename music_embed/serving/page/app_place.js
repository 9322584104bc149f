"use strict";
// Which point lies where: in the data, and on the screen.

(() => {
  const app = window.MusicMap;
  const CELLS = 256;

  /** Points by cells of a grid, to find the nearest of 100,000 at once. */
  app.Grid = class {
    constructor({ x, y }) {
      this.x = x;
      this.y = y;
      this.starts = new Uint32Array(CELLS * CELLS + 1);
      const cells = new Uint32Array(x.length);
      for (let row = 0; row < x.length; row += 1) {
        cells[row] = this.cell(y[row]) * CELLS + this.cell(x[row]);
        this.starts[cells[row] + 1] += 1;
      }
      for (let cell = 0; cell < CELLS * CELLS; cell += 1) {
        this.starts[cell + 1] += this.starts[cell];
      }
      const next = this.starts.slice();
      this.rows = new Uint32Array(x.length);
      cells.forEach((cell, row) => {
        this.rows[next[cell]] = row;
        next[cell] += 1;
      });
    }

    cell(value) {
      const at = Math.floor(((value + 1) / 2) * CELLS);
      return Math.min(CELLS - 1, Math.max(0, at));
    }

    /** The row nearest to a place within a radius, or null. */
    nearest(x, y, radius) {
      let best = null;
      let least = radius * radius;
      for (let line = this.cell(y - radius); line <= this.cell(y + radius); line += 1) {
        const from = this.starts[line * CELLS + this.cell(x - radius)];
        const to = this.starts[line * CELLS + this.cell(x + radius) + 1];
        for (let at = from; at < to; at += 1) {
          const row = this.rows[at];
          const distance = (this.x[row] - x) ** 2 + (this.y[row] - y) ** 2;
          if (distance <= least) {
            least = distance;
            best = row;
          }
        }
      }
      return best;
    }
  };

  /** Middle and size of what some coordinates span. */
  const extent = (values) => {
    let [least, most] = [Infinity, -Infinity];
    for (const value of values) {
      least = Math.min(least, value);
      most = Math.max(most, value);
    }
    if (!(most >= least)) return { middle: 0, size: 2 };
    return { middle: (least + most) / 2, size: Math.max(most - least, 0.02) };
  };

  /** Where data in [-1, 1] are seen: y up, in half heights of the view. */
  app.Camera = class {
    /** @param {{x: Float32Array, y: Float32Array}} points to be seen */
    constructor(points) {
      Object.assign(this, { scale: 1, x: 0, y: 0, width: 1, height: 1 });
      this.above = 0; // Pixels that the heading covers,
      this.below = 0; // and the legend.
      this.across = extent(points.x);
      this.up = extent(points.y);
    }

    /** The scale at which everything is seen. */
    get whole() {
      const free = this.height - this.above - this.below;
      const tall = Math.max(free, this.height / 2) / this.up.size;
      return (0.92 * Math.min(this.width / this.across.size, tall)) / (this.height / 2);
    }

    /** What shows everything, in the middle of what nothing covers. */
    get home() {
      const scale = this.whole;
      return {
        scale,
        x: -this.across.middle * scale,
        y: -this.up.middle * scale + (this.below - this.above) / this.height,
      };
    }

    toScreen(x, y) {
      const half = this.height / 2;
      return [
        this.width / 2 + (x * this.scale + this.x) * half,
        half - (y * this.scale + this.y) * half,
      ];
    }

    toData(left, top) {
      const half = this.height / 2;
      return [
        ((left - this.width / 2) / half - this.x) / this.scale,
        ((half - top) / half - this.y) / this.scale,
      ];
    }

    /** Pixels as a distance in data. */
    distance(pixels) {
      return pixels / (this.scale * (this.height / 2));
    }

    pan(right, down) {
      this.x += right / (this.height / 2);
      this.y -= down / (this.height / 2);
    }

    copy() {
      return Object.assign(Object.create(app.Camera.prototype), this);
    }

    /** Zooms so that what is under a pixel stays there. */
    zoom(factor, left, top) {
      const [x, y] = this.toData(left, top);
      const scale = this.scale * factor;
      this.scale = Math.min(400 * this.whole, Math.max(0.5 * this.whole, scale));
      const [nowLeft, nowTop] = this.toScreen(x, y);
      this.pan(left - nowLeft, top - nowTop);
    }
  };
})();
