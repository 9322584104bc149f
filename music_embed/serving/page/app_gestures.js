"use strict";
// Mouse, fingers and keys on the map.

(() => {
  const app = window.MusicMap;
  const DIRECTIONS = {
    ArrowRight: [1, 0],
    ArrowLeft: [-1, 0],
    ArrowUp: [0, 1],
    ArrowDown: [0, -1],
  };

  /** Middle and spread of the pointers that are down. */
  const spread = (pointers) => {
    const places = [...pointers.values()];
    const middle = (name) =>
      places.reduce((sum, place) => sum + place[name], 0) / places.length;
    const [left, top] = [middle("left"), middle("top")];
    const size = places.length < 2
      ? 1
      : Math.hypot(places[0].left - places[1].left, places[0].top - places[1].top);
    return { left, top, size: Math.max(size, 1) };
  };

  const place = (event) => ({ left: event.offsetX, top: event.offsetY });

  const pointing = (map, surface) => {
    const { pointers } = map;
    let moved = 0;
    surface.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      surface.setPointerCapture(event.pointerId);
      if (!pointers.size) moved = 0;
      pointers.set(event.pointerId, place(event));
      map.gliding = null;
    });
    surface.addEventListener("pointermove", (event) => {
      if (!pointers.has(event.pointerId)) {
        const { left, top } = place(event);
        const row = map.at(left, top, event.pointerType);
        map.over(row);
        map.on.over(row, left, top);
        surface.classList.toggle("on-point", row !== null);
        return;
      }
      const before = spread(pointers);
      pointers.set(event.pointerId, place(event));
      const after = spread(pointers);
      const [right, down] = [after.left - before.left, after.top - before.top];
      moved += Math.hypot(right, down) + Math.abs(after.size - before.size);
      if (moved < 5 && pointers.size < 2) return;
      surface.classList.add("dragging");
      map.on.over(null);
      map.camera.pan(right, down);
      map.camera.zoom(after.size / before.size, after.left, after.top);
      map.redraw();
    });
    const end = (event) => {
      const was = pointers.size;
      if (!pointers.delete(event.pointerId)) return;
      surface.classList.remove("dragging");
      if (event.type !== "pointerup" || was > 1 || moved >= 5) return;
      const { left, top } = place(event);
      const row = map.at(left, top, event.pointerType);
      if (row !== null) map.on.pick(row);
    };
    surface.addEventListener("pointerup", end);
    surface.addEventListener("pointercancel", end);
    surface.addEventListener("pointerleave", () => {
      map.over(null);
      map.on.over(null);
    });
  };

  const wheel = (map, surface) => {
    surface.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        map.gliding = null;
        const lines = event.deltaMode === 1 ? 16 : 1;
        const speed = event.ctrlKey ? 0.01 : 0.0016;
        const factor = Math.exp(-event.deltaY * lines * speed);
        map.camera.zoom(factor, event.offsetX, event.offsetY);
        map.redraw();
      },
      { passive: false },
    );
    surface.addEventListener("dblclick", (event) => {
      if (map.at(event.offsetX, event.offsetY, "mouse") === null) map.zoom(2);
    });
  };

  const goTowards = (map, direction) => {
    const row = map.towards(direction);
    if (row === null) {
      app.say("No recording further that way");
      return;
    }
    map.cursor = row;
    map.over(row);
    map.bring(row);
    const { x, y } = map.points;
    map.on.over(row, ...map.camera.toScreen(x[row], y[row]), true);
  };

  const keys = (map, surface) => {
    surface.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const direction = DIRECTIONS[event.key];
      if (direction && event.shiftKey) {
        map.camera.pan(-60 * direction[0], 60 * direction[1]);
        map.redraw();
      } else if (direction) {
        goTowards(map, direction);
      } else if (event.key === "Enter" || event.key === " ") {
        if (map.cursor !== null) map.on.pick(map.cursor);
      } else if (event.key === "+" || event.key === "=") {
        map.zoom(1.5);
      } else if (event.key === "-") {
        map.zoom(1 / 1.5);
      } else if (event.key === "0" || event.key === "Home") {
        map.all();
      } else {
        return;
      }
      event.preventDefault();
    });
    surface.addEventListener("blur", () => map.on.over(null));
  };

  /** Attaches all that moves the map or picks a point of it. */
  app.gestures = (map) => {
    pointing(map, map.surface);
    wheel(map, map.surface);
    keys(map, map.surface);
    app.byId("zoom-in").addEventListener("click", () => map.zoom(1.6));
    app.byId("zoom-out").addEventListener("click", () => map.zoom(1 / 1.6));
    app.byId("zoom-all").addEventListener("click", () => map.all());
  };
})();
