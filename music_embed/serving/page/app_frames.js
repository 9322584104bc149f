"use strict";
// When the cloud is drawn. Names and rings are drawn in every frame; so is
// the cloud where that is fast. Where it is slow (100,000 points without a
// graphics card), what was drawn last is moved and stretched meanwhile, and
// drawn afresh once the map rests or has gone far.

(() => {
  const app = window.MusicMap;
  const SLOW_MS = 45; // Between frames that each draw the cloud.
  const REST_MS = 140;
  const FAR = 0.4; // Of the view.

  app.Frames = class {
    /** @param {app.MapView} map */
    constructor(map) {
      this.map = map;
      this.drawn = null;
      this.cost = 0;
    }

    /** Draws in the next frame. */
    next() {
      this.waiting ||= requestAnimationFrame((now) => {
        this.waiting = null;
        this.measure(now);
        this.draw();
      });
    }

    /** What was drawn fits no longer: another size. */
    forget() {
      this.drawn = null;
      this.map.holder.querySelector("#cloud").style.transform = "";
    }

    /**
     * How long a frame takes that follows a drawing at once. (A drawing's own
     * time is not to be had: the graphics card works behind the scenes.)
     */
    measure(now) {
      const took = now - this.last;
      this.last = now;
      if (!this.drew || took > 2000) return;
      this.drew = false;
      this.cost = 0.6 * this.cost + 0.4 * took;
    }

    draw() {
      const { camera, overlay, theme, only } = this.map;
      overlay.draw(camera, theme, only);
      this.place();
      clearTimeout(this.resting);
      if (this.cost < SLOW_MS || this.isFar()) {
        this.ask();
        return;
      }
      this.resting = setTimeout(() => {
        this.cost *= 0.9; // What was slow once may be so no longer.
        this.ask();
      }, Math.max(REST_MS, Math.min(2 * this.cost, 600)));
    }

    ask() {
      const { camera, cloud } = this.map;
      cloud.view({ scale: camera.scale, x: camera.x, y: camera.y });
    }

    /** The cloud's canvas now shows what this camera sees. */
    show(camera) {
      this.drawn = camera;
      this.drew = true;
      this.place();
    }

    isFar() {
      const { drawn } = this;
      const { camera } = this.map;
      if (!drawn) return true;
      const growth = Math.abs(Math.log2(camera.scale / drawn.scale));
      const shift = Math.hypot(
        camera.x - (drawn.x * camera.scale) / drawn.scale,
        camera.y - (drawn.y * camera.scale) / drawn.scale,
      );
      return growth > 1 || shift > 2 * FAR;
    }

    /** Moves what is drawn to where the camera sees it. */
    place() {
      const { camera, holder } = this.map;
      const canvas = holder.querySelector("#cloud");
      const { drawn } = this;
      if (!drawn) return;
      const growth = camera.scale / drawn.scale;
      const half = camera.height / 2;
      const middle = camera.width / 2;
      const left = middle + camera.x * half - growth * (middle + drawn.x * half);
      const top = half - camera.y * half - growth * (half - drawn.y * half);
      const still = growth === 1 && Math.hypot(left, top) < 0.01;
      canvas.style.transform = still
        ? ""
        : `translate(${left}px, ${top}px) scale(${growth})`;
    }
  };
})();
