"use strict";
// The list of recordings: a listbox that arrow keys walk and Enter plays.

(() => {
  const app = window.MusicMap;

  app.List = class {
    /**
     * @param {{play: function(number), over: function(number|null)}} on
     *   play(position), over(row)
     */
    constructor(on) {
      this.on = on;
      this.box = app.byId("list");
      this.rows = [];
      this.active = -1;
      this.box.addEventListener("keydown", (event) => this.key(event));
      this.box.addEventListener("focus", () => {
        // A press marks its own option; the list must not scroll under it.
        const byKey = this.box.matches(":focus-visible");
        if (byKey && this.rows.length) this.mark(Math.max(this.active, 0));
      });
      this.box.addEventListener("blur", () => on.over(null));
      this.box.addEventListener("pointerleave", () => on.over(null));
    }

    /**
     * @param {Object[]} recordings in order
     * @param {Object[]} hits {row, score, via}, the same order; a path's
     *   stops have no score
     * @param {function(number): string} colorOf custom property of a row
     */
    show(recordings, hits, colorOf) {
      this.rows = hits.map(({ row }) => row);
      this.active = -1;
      this.box.removeAttribute("aria-activedescendant");
      this.box.replaceChildren(
        ...recordings.map((recording, at) =>
          this.option(recording, hits[at], at, colorOf(recording.row)),
        ),
      );
      this.box.hidden = !recordings.length;
      this.box.scrollTop = 0;
      this.playing(this.current);
    }

    option(recording, hit, at, color) {
      const via = hit.via ? String(hit.via) : "";
      const labels = (recording.labels || []).slice(0, 3).map(([label]) => label);
      const about = via ? `as ${via}` : labels.join(" \u00b7 ");
      return app.make(
        "li",
        {
          id: `hit-${at}`,
          role: "option",
          "aria-selected": "false",
          "data-row": recording.row,
          onclick: () => {
            this.mark(at);
            this.on.play(at);
          },
          onpointerenter: () => this.on.over(recording.row),
        },
        app.make("span", { class: "rank" }, String(at + 1)),
        app.dot(color),
        app.make(
          "span",
          { class: "text" },
          app.make("span", { class: "title" }, recording.title || recording.id),
          app.make(
            "span",
            { class: "about" },
            recording.artist ? app.make("span", { class: "artist" }, recording.artist) : null,
            about ? app.make("span", { class: "labels" }, about) : null,
          ),
        ),
        Number.isFinite(hit.score)
          ? app.make("span", { class: "score", title: "cosine" }, app.score(hit.score))
          : app.make("span", { class: "score" }, app.time(recording.duration_s)),
      );
    }

    key(event) {
      const last = this.rows.length - 1;
      const to = {
        ArrowDown: Math.min(this.active + 1, last),
        ArrowUp: Math.max(this.active - 1, 0),
        Home: 0,
        End: last,
        PageDown: Math.min(this.active + 8, last),
        PageUp: Math.max(this.active - 8, 0),
      }[event.key];
      if (to !== undefined && last >= 0) {
        this.mark(to);
        this.on.over(this.rows[to]);
      } else if ((event.key === "Enter" || event.key === " ") && this.active >= 0) {
        this.on.play(this.active);
      } else {
        return;
      }
      event.preventDefault();
    }

    mark(at) {
      this.active = at;
      [...this.box.children].forEach((option, index) => {
        option.setAttribute("aria-selected", String(index === at));
      });
      const option = this.box.children[at];
      if (!option) return;
      this.box.setAttribute("aria-activedescendant", option.id);
      option.scrollIntoView({ block: "nearest" });
    }

    /** Marks the row that plays. */
    playing(row) {
      this.current = row;
      for (const option of this.box.children) {
        const here = Number(option.dataset.row) === row;
        option.classList.toggle("playing", here);
      }
    }

    focus() {
      if (this.rows.length) this.box.focus();
    }
  };
})();
