"use strict";
// The chosen recording, and the two ends of a path.

(() => {
  const app = window.MusicMap;

  /**
   * Shows one recording.
   * @param {Object} recording
   * @param {{play: function, playing: function(): boolean, near: function,
   *   search: function(string), end: function(string)}} on end("from" | "to")
   */
  app.showCard = (recording, on) => {
    const most = Math.max(...recording.labels.map(([, score]) => score), 1e-9);
    const labels = recording.labels.slice(0, 6).map(([label, score]) => {
      const button = app.make(
        "button",
        {
          type: "button",
          title: `Search ${label}`,
          onclick: () => on.search(app.quoted(label)),
        },
        app.make("span", {}, label),
        app.make("small", {}, app.score(score)),
      );
      button.style.setProperty("--share", `${(100 * score) / most}%`);
      return app.make("li", {}, button);
    });
    const facts = [recording.artist, app.time(recording.duration_s)];
    app.byId("card").replaceChildren(
      app.make("h2", {}, recording.title || recording.id),
      app.make("p", { class: "facts" }, facts.filter(Boolean).join(" \u00b7 ")),
      app.make("p", { class: "id" }, recording.id),
      labels.length ? app.make("ul", { class: "bars", "aria-label": "Labels" }, ...labels) : "",
      app.make(
        "div",
        { class: "actions" },
        recording.audio
          ? app.make("button", { type: "button", id: "card-play", class: "strong", onclick: on.play }, on.playing() ? "Pause" : "Play")
          : null,
        app.make("button", { type: "button", id: "card-near", onclick: on.near }, "Nearest"),
        app.make("button", { type: "button", id: "card-from", onclick: () => on.end("from") }, "Path from here"),
        app.make("button", { type: "button", id: "card-to", onclick: () => on.end("to") }, "Path to here"),
      ),
    );
    app.byId("card").hidden = false;
  };

  /**
   * Shows which ends of a path are chosen.
   * @param {{from: Object|null, to: Object|null, length: number}} ends
   * @param {{clear: function(string), make: function, length: function}} on
   */
  app.showRoute = (ends, on) => {
    const box = app.byId("route");
    box.hidden = !ends.from && !ends.to;
    if (box.hidden) return;
    const end = (name, label) => {
      const recording = ends[name];
      return app.make(
        "p",
        { class: "end" },
        app.make("span", {}, label),
        recording
          ? app.make("strong", {}, app.name(recording))
          : app.make("em", {}, "choose a recording, then \u201cPath ", name, " here\u201d"),
        recording
          ? app.make(
              "button",
              { type: "button", "aria-label": `Forget ${label.toLowerCase()}`, onclick: () => on.clear(name) },
              "\u00d7",
            )
          : null,
      );
    };
    const ready = Boolean(ends.from && ends.to);
    box.replaceChildren(
      end("from", "From"),
      end("to", "To"),
      app.make(
        "div",
        { class: "actions" },
        app.make(
          "label",
          {},
          app.make("input", {
            id: "length",
            type: "number",
            min: 2,
            max: 50,
            value: ends.length,
            onchange: (event) => on.length(event.target),
          }),
          " songs",
        ),
        app.make(
          "button",
          { type: "button", id: "make-path", class: "strong", disabled: !ready, onclick: on.make },
          "Make the path",
        ),
      ),
    );
  };
})();
