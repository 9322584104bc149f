"use strict";
// Puts the page together.

(() => {
  const app = window.MusicMap;
  const { byId, make } = app;

  class Page {
    constructor(backend, catalogue) {
      this.backend = backend;
      this.catalogue = catalogue;
      this.recordings = new app.Recordings(backend);
      this.ends = { from: null, to: null, length: 12 };
      this.chosen = null;
      this.list = new app.List({
        play: (at) => this.playAt(at),
        over: (row) => this.map?.over(row),
      });
      this.player = new app.Player(
        this.recordings,
        (recording) => this.started(recording),
        () => this.paused(),
      );
      this.views = new app.Views(backend, this.recordings, catalogue, {
        busy: (view) => this.busy(view),
        shown: (found) => this.shown(found),
        failed: (view, message) => this.failed(message),
      });
      this.suggest = new app.Suggest(catalogue.words || [], this.recordings, {
        search: (query) => this.search(query),
        near: (row) => this.near(row),
        leave: () => this.list.focus(),
      });
    }

    async start() {
      const { size, layout } = this.catalogue;
      const how = { umap: "UMAP", pca: "PCA" }[layout] || layout;
      byId("facts").textContent = `${app.count(size, "recording", "recordings")} \u00b7 ${how}`;
      if (!this.catalogue.has_words) byId("query").placeholder = "a recording\u2019s id";
      byId("others").addEventListener("change", (event) => {
        this.views.otherArtists = event.target.checked;
        this.views.again();
      });
      byId("play-all").addEventListener("click", () => this.playAt(0, true));
      app.sounds(this);
      this.welcome();
      this.points = await this.backend.points(size);
      this.map = new app.MapView(byId("map"), this.points, this.catalogue.legend, {
        over: (row, left, top, aloud) => this.tooltip(row, left, top, aloud),
        pick: (row) => this.pick(row),
        note: (text) => {
          byId("map-note").textContent = text;
          byId("map-note").hidden = false;
        },
      });
      app.legend(this.catalogue.legend, this.map);
      await this.map.start();
      const dark = window.matchMedia("(prefers-color-scheme: dark)");
      dark.addEventListener("change", () => this.map.themed());
      await this.views.fromAddress();
      if (this.views.view.kind === "near") this.choose(this.views.view.row);
      document.body.classList.add("ready");
      if (size <= 2000) this.knowAll(size);
    }

    /** A small catalogue's names are all fetched, for suggestions. */
    knowAll(size) {
      const rows = Array.from({ length: size }, (_, row) => row);
      // Suggestions are less complete without them: nothing to tell.
      setTimeout(() => this.recordings.get(rows).catch(() => {}), 300);
    }

    welcome() {
      // Senses ("46_bebop") are found by typing; terms say more at a glance.
      const words = (this.catalogue.words || [])
        .filter((word) => !/^\d+_/.test(word))
        .slice(0, 14);
      byId("welcome").replaceChildren(
        make(
          "p",
          {},
          "Every point is a recording; what sounds alike lies together. ",
          "Click a point to hear it, search a word, or choose two ",
          "recordings for a path from one to the other.",
        ),
        words.length
          ? make(
              "p",
              { class: "chips", role: "group", "aria-label": "Frequent words" },
              ...words.map((word) =>
                make("button", { type: "button", onclick: () => this.search(app.quoted(word)) }, word),
              ),
            )
          : "",
      );
      byId("welcome").hidden = false;
    }

    search(query) {
      byId("query").value = query;
      return this.views.go({ kind: "search", query });
    }

    near(row) {
      this.choose(row);
      return this.views.go({ kind: "near", row });
    }

    /** A point was clicked: it plays, and its neighbours are listed. */
    pick(row) {
      this.play(row);
      this.near(row);
    }

    /** Plays what the list has at a position; a path plays on. */
    playAt(at, through = this.views.view.kind === "path") {
      const row = this.list.rows[at];
      if (row === undefined) return;
      this.choose(row);
      this.play(row, through ? this.list.rows : []);
    }

    async play(row, queue = []) {
      try {
        await this.player.play(row, queue);
      } catch (error) {
        this.failed(error.message);
      }
    }

    started(recording) {
      this.list.playing(recording.row);
      if (this.chosen !== recording.row) this.choose(recording.row);
      document.title = `${app.name(recording)} \u2013 Music map`;
    }

    /** The card's button says what it would do. */
    paused() {
      const button = byId("card-play");
      if (!button) return;
      button.textContent = this.player.sounds(this.chosen) ? "Pause" : "Play";
    }

    async choose(row) {
      this.chosen = row;
      this.map.choose(row);
      const [recording] = await this.recordings.get([row]);
      if (this.chosen !== row) return;
      app.showCard(recording, {
        play: () =>
          this.player.now?.row === row ? this.player.toggle() : this.play(row),
        playing: () => this.player.sounds(row),
        near: () => this.near(row),
        search: (label) => this.search(label),
        end: (name) => this.end(name, recording),
      });
    }

    end(name, recording) {
      this.ends[name] = recording;
      this.route();
      if (this.ends.from && this.ends.to) this.path();
      else app.say(`The path ${name === "from" ? "starts" : "ends"} at ${app.name(recording)}`);
    }

    route() {
      app.showRoute(this.ends, {
        clear: (name) => {
          this.ends[name] = null;
          this.route();
        },
        make: () => this.path(),
        length: (input) => {
          const wanted = Math.round(Number(input.value)) || 12;
          this.ends.length = Math.min(50, Math.max(2, wanted));
          input.value = this.ends.length;
        },
      });
    }

    path() {
      const { from, to, length } = this.ends;
      return this.views.go({ kind: "path", from: from.row, to: to.row, length });
    }

    busy(view) {
      byId("results").setAttribute("aria-busy", "true");
      byId("alert").hidden = true;
      if (view.kind === "sound") app.say(`Listening to ${view.file.name}`);
      byId("title").textContent =
        view.kind === "sound" ? `Listening to ${view.file.name}\u2026` : byId("title").textContent;
      byId("query").value = view.kind === "search" ? view.query : "";
    }

    async shown({ view, title, hits, recordings, understood }) {
      byId("results").removeAttribute("aria-busy");
      byId("welcome").hidden = view.kind !== "none";
      byId("title").textContent = title;
      const parts = app.understood(understood || []);
      byId("meta").textContent = parts.join(", ");
      const { legend } = this.catalogue;
      this.list.show(recordings, hits, (row) =>
        app.classColor(legend, this.points.classes[row]),
      );
      byId("actions").hidden = !hits.length;
      this.map.show(
        hits.map(({ row }) => row),
        { line: view.kind === "path" },
      );
      byId("scroll").scrollTop = 0;
      if (view.kind === "none") return;
      app.say(
        recordings.length
          ? `${app.count(recordings.length, "recording", "recordings")}. First: ${app.name(recordings[0])}`
          : "Nothing found",
      );
      if (!hits.length) byId("meta").textContent = "Nothing found.";
      else byId("download").href = await this.backend.playlist(this.list.rows);
    }

    failed(message) {
      byId("results").removeAttribute("aria-busy");
      byId("alert").textContent = message;
      byId("alert").hidden = false;
      if (byId("title").textContent.startsWith("Listening")) {
        byId("title").textContent = "No answer";
      }
    }

    async tooltip(row, left, top, aloud = false) {
      const tip = byId("tooltip");
      this.hovered = row;
      if (row === null) {
        tip.hidden = true;
        return;
      }
      const known = this.recordings.peek(row);
      if (!known) {
        try {
          await this.recordings.get([row]);
        } catch {
          return; // A click will tell why.
        }
        if (this.hovered !== row) return;
      }
      app.showTooltip(this.recordings.peek(row), left, top);
      if (aloud) app.say(app.spoken(this.recordings.peek(row)));
    }
  }

  const begin = async () => {
    try {
      const backend = window.MUSIC_EMBED_DATA
        ? new app.Static(window.MUSIC_EMBED_DATA)
        : new app.Server();
      const page = (app.page = new Page(backend, await backend.catalogue()));
      await page.start();
    } catch (error) {
      byId("facts").textContent = "The catalogue could not be read.";
      byId("alert").textContent = error.message;
      byId("alert").hidden = false;
      throw error;
    }
  };

  begin();
})();
