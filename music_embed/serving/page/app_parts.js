"use strict";
// Smaller parts of the page: legend, tooltip, and sounds that are dropped.

(() => {
  const app = window.MusicMap;
  const { byId, make } = app;

  /** Buttons that highlight a class each; a second press shows all again. */
  app.legend = (legend, map) => {
    const buttons = legend.map(({ label, count }, position) => {
      const button = make(
        "button",
        { type: "button", "aria-pressed": "false", class: count ? "" : "empty" },
        app.dot(app.classColor(legend, position)),
        make("span", {}, label),
        make("small", {}, count.toLocaleString("en")),
      );
      button.addEventListener("click", () => {
        const pressed = button.getAttribute("aria-pressed") === "true";
        buttons.forEach((one) => one.setAttribute("aria-pressed", "false"));
        button.setAttribute("aria-pressed", String(!pressed));
        map.highlight(pressed ? null : position);
      });
      return button;
    });
    byId("legend").replaceChildren(...buttons);
  };

  /** What is read aloud where the keys arrive at a point. */
  app.spoken = (recording) => {
    const labels = recording.labels.slice(0, 3).map(([label]) => label);
    return [app.name(recording), ...labels].join(", ");
  };

  app.showTooltip = (recording, left, top) => {
    const tip = byId("tooltip");
    const labels = recording.labels.slice(0, 4).map(([label]) => label);
    tip.replaceChildren(
      make("strong", {}, recording.title || recording.id),
      recording.artist ? make("span", {}, recording.artist) : "",
      labels.length ? make("em", {}, labels.join(" \u00b7 ")) : "",
    );
    tip.hidden = false;
    const { clientWidth, clientHeight } = byId("map");
    const across = Math.min(left + 16, clientWidth - tip.offsetWidth - 8);
    const below = top + 16 + tip.offsetHeight < clientHeight;
    const down = below ? top + 16 : top - tip.offsetHeight - 12;
    tip.style.transform = `translate(${Math.max(8, across)}px, ${Math.max(8, down)}px)`;
  };

  /** "Sounds like this file": by a button, or dropped anywhere. */
  app.sounds = (page) => {
    const takes = page.catalogue.takes_sounds;
    byId("sound").hidden = !takes;
    const hear = (file) => {
      if (!file) return;
      if (!takes) {
        page.failed("Nothing here can listen to a file: start launch/explore.py with a model.");
        return;
      }
      page.views.go({ kind: "sound", file });
    };
    byId("file").addEventListener("change", (event) => {
      hear(event.target.files[0]);
      event.target.value = "";
    });
    const drop = byId("drop");
    let depth = 0;
    const carries = (event) => [...event.dataTransfer.types].includes("Files");
    document.addEventListener("dragenter", (event) => {
      if (!carries(event)) return;
      depth += 1;
      drop.hidden = !takes;
    });
    document.addEventListener("dragleave", (event) => {
      if (!carries(event)) return;
      depth = Math.max(0, depth - 1);
      drop.hidden = drop.hidden || depth === 0;
    });
    document.addEventListener("dragover", (event) => {
      if (carries(event)) event.preventDefault();
    });
    document.addEventListener("drop", (event) => {
      if (!carries(event)) return;
      event.preventDefault();
      depth = 0;
      drop.hidden = true;
      hear(event.dataTransfer.files[0]);
    });
  };
})();
