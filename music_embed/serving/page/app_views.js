"use strict";
// What the list shows: answers to a search, neighbours, a sound, a path.
// The address says which (#q=bebop, #near=12, #path=3,40), so that the
// browser's own buttons go back, and a view can be kept as a bookmark.

(() => {
  const app = window.MusicMap;
  const MOST = 50;

  /** The address of a view. */
  const address = (view) => {
    const { kind } = view;
    if (kind === "search") return `#${new URLSearchParams({ q: view.query })}`;
    if (kind === "near") return `#near=${view.row}`;
    if (kind === "path") return `#path=${view.from},${view.to},${view.length}`;
    return "#";
  };

  const parsed = (hash, size) => {
    const parameters = new URLSearchParams(hash.replace(/^#/, ""));
    const rows = (name) =>
      (parameters.get(name) || "").split(",").map((text) => parseInt(text, 10));
    const known = (row) => row >= 0 && row < size;
    if (parameters.get("q")) return { kind: "search", query: parameters.get("q") };
    const [near] = rows("near");
    if (known(near)) return { kind: "near", row: near };
    const [from, to, length] = rows("path");
    if (known(from) && known(to)) {
      return { kind: "path", from, to, length: length || 12 };
    }
    return { kind: "none" };
  };

  app.Views = class {
    /**
     * @param {Object} backend
     * @param {app.Recordings} recordings
     * @param {{size: number}} catalogue
     * @param {{shown: function(Object)}} on shown({view, title, meta,
     *   understood, hits, recordings}) and failed(view, message)
     */
    constructor(backend, recordings, catalogue, on) {
      Object.assign(this, { backend, recordings, catalogue, on });
      this.view = { kind: "none" };
      this.otherArtists = false;
      window.addEventListener("popstate", () => this.fromAddress());
    }

    fromAddress() {
      return this.run(parsed(window.location.hash, this.catalogue.size));
    }

    /** Shows a view, and makes it the browser's place. */
    go(view) {
      const place = address(view);
      if (place !== window.location.hash) history.pushState(null, "", place);
      return this.run(view);
    }

    again() {
      return this.run(this.view);
    }

    /** The last asked wins: what is under way for another view is dropped. */
    async run(view) {
      this.view = view;
      this.asked?.abort();
      const asked = (this.asked = new AbortController());
      this.on.busy(view);
      try {
        const found = await this.find(view, asked.signal);
        found.recordings = await this.recordings.get(found.hits.map(({ row }) => row));
        if (!asked.signal.aborted) this.on.shown({ view, ...found });
      } catch (error) {
        if (!asked.signal.aborted) this.on.failed(view, error.message);
      }
    }

    async find(view, signal) {
      const options = { k: MOST, otherArtists: this.otherArtists, signal };
      if (view.kind === "search") {
        const answer = await this.backend.search(view.query, options);
        return { ...answer, title: `Near \u201c${view.query}\u201d` };
      }
      if (view.kind === "near") {
        const [one] = await this.recordings.get([view.row]);
        const answer = await this.backend.neighbors(view.row, { ...options, k: 20 });
        return { hits: answer.hits, understood: [], title: `Nearest to ${app.name(one)}` };
      }
      if (view.kind === "sound") {
        const answer = await this.backend.sound(view.file, options);
        return { hits: answer.hits, understood: [], title: `Sounds like ${view.file.name}` };
      }
      if (view.kind === "path") return this.path(view, signal);
      return { hits: [], understood: [], title: "Where to begin" };
    }

    async path({ from, to, length }, signal) {
      const rows = await this.backend.path(from, to, { length, signal });
      const [one, other] = await this.recordings.get([from, to]);
      return {
        hits: rows.map((row) => ({ row })),
        understood: [],
        title: `From ${one.title || one.id} to ${other.title || other.id}`,
      };
    }
  };

  /** How a query was taken, as short texts: nothing where it is plain. */
  app.understood = (parts) => {
    const told = parts.map(({ text, kind, sign, labels }) => {
      const senses = kind === "term" && labels.length > 1;
      const what = senses ? ` (${labels.length} senses)` : "";
      const how = kind === "recording" ? " (a recording)" : what;
      const mark = sign < 0 ? "\u2212" : "+";
      return `${parts.length > 1 || sign < 0 ? mark : ""}${text}${how}`;
    });
    return told.length === 1 && told[0] === parts[0].text ? [] : told;
  };
})();
