"use strict";
// The catalogue without a server: window.MUSIC_EMBED_DATA, as
// `launch/explore.py --static` writes it. Vectors are int8, so that scores
// may differ from the server's in the third digit.

(() => {
  const app = window.MusicMap;

  const CANDIDATES = 24; // Recordings looked at around each stop of a path.

  const bytes = (base64) => {
    const text = atob(base64);
    const found = new Uint8Array(text.length);
    for (let at = 0; at < text.length; at += 1) found[at] = text.charCodeAt(at);
    return found;
  };

  /** Rows of int8 as they came, and what makes each of unit norm. */
  class Vectors {
    constructor({ int8 }, dim) {
      this.dim = dim;
      this.integers = new Int8Array(bytes(int8).buffer);
      this.size = this.integers.length / dim;
      this.inverse = new Float32Array(this.size);
      for (let row = 0; row < this.size; row += 1) {
        let squares = 0;
        for (let at = row * dim; at < (row + 1) * dim; at += 1) {
          squares += this.integers[at] ** 2;
        }
        this.inverse[row] = squares ? 1 / Math.sqrt(squares) : 0;
      }
    }

    /** A row as float32 [dim], of unit norm. */
    row(row) {
      const integers = this.integers.subarray(row * this.dim, (row + 1) * this.dim);
      return Float32Array.from(integers).map((value) => value * this.inverse[row]);
    }

    /** Cosines of all rows with a vector of unit norm. */
    cosines(vector) {
      const { dim, integers, inverse } = this;
      const found = new Float32Array(this.size);
      for (let row = 0, at = 0; row < this.size; row += 1) {
        let sum = 0;
        for (let index = 0; index < dim; index += 1, at += 1) {
          sum += integers[at] * vector[index];
        }
        found[row] = sum * inverse[row];
      }
      return found;
    }
  }

  app.Static = class {
    constructor(data) {
      this.data = data;
      this.size = data.catalogue.size;
      this.dim = data.catalogue.dim;
    }

    async catalogue() {
      return { ...this.data.catalogue, takes_sounds: false };
    }

    async points(size) {
      return app.points(bytes(this.data.points).buffer, size);
    }

    async recordings(rows) {
      return rows.map((row) => this.data.recordings[row]);
    }

    /** Unpacked when first asked for: the map is there before. */
    get vectors() {
      this.unpacked ||= new Vectors(this.data.vectors, this.dim);
      return this.unpacked;
    }

    get words() {
      this.unpackedWords ||= new Vectors(this.data.words, this.dim);
      return this.unpackedWords;
    }

    /** Cosines of all recordings with one. */
    near(row) {
      return this.vectors.cosines(this.vectors.row(row));
    }

    /** The nearest rows by scores, without those left out. */
    best(scores, k, leaveOut, via = null) {
      const rows = []; // By falling score, of equal ones the first row first.
      for (let row = 0; row < this.size; row += 1) {
        const full = rows.length === k;
        if ((full && scores[row] <= scores[rows[k - 1]]) || leaveOut(row)) continue;
        let at = rows.length;
        while (at > 0 && scores[rows[at - 1]] < scores[row]) at -= 1;
        rows.splice(at, 0, row);
        rows.length = Math.min(rows.length, k);
      }
      return rows.map((row) => ({ row, score: scores[row], via: via ? via(row) : "" }));
    }

    /** What leaves out rows themselves, and perhaps their artists' others. */
    without(rows, otherArtists) {
      const asked = new Set(rows);
      const artist = (row) => app.normal(this.data.recordings[row].artist || "");
      const artists = new Set(rows.map(artist).filter(Boolean));
      return (row) => asked.has(row) || (otherArtists && artists.has(artist(row)));
    }

    /** A term, a label or a recording of that name, or null. */
    find(text, prefix) {
      const word = prefix === "id:" ? null : this.findWord(text);
      if (word || prefix === "word:") return word;
      this.byId ||= new Map(this.data.recordings.map(({ id, row }) => [id, row]));
      const row = this.byId.get(text);
      return row === undefined ? null : { text, kind: "recording", row, labels: [] };
    }

    findWord(text) {
      const { words } = this.data;
      if (!words) return null;
      for (const name of [text, app.normal(text), app.spaced(text)]) {
        const at = words.names.flatMap((_, index) =>
          words.terms[index] === name ? [index] : [],
        );
        if (at.length) return this.word(text, "term", at);
      }
      for (const name of [text, app.normal(text)]) {
        const at = words.names.indexOf(name);
        if (at >= 0) return this.word(text, "label", [at]);
      }
      return null;
    }

    word(text, kind, at) {
      const labels = at.map((index) => this.data.words.names[index]);
      return { text, kind, at, labels };
    }

    async search(query, { k, otherArtists }) {
      const parts = app.parse(query, (text, prefix) => this.find(text, prefix));
      const scored = parts.map((part) => this.scored(part));
      const total = new Float32Array(this.size);
      scored.forEach(({ scores }, at) => {
        const weight = parts[at].sign / parts.length;
        for (let row = 0; row < this.size; row += 1) total[row] += weight * scores[row];
      });
      const rows = parts.filter(({ kind }) => kind === "recording").map(({ row }) => row);
      const via = (row) =>
        parts
          .map(({ sign, labels }, at) =>
            sign > 0 && labels.length > 1 ? labels[scored[at].which[row]] : null,
          )
          .filter(Boolean)
          .join(" + ");
      return {
        query,
        understood: parts.map(({ text, kind, sign, labels }) => ({ text, kind, sign, labels })),
        hits: this.best(total, k, this.without(rows, otherArtists), via),
      };
    }

    /** Scores of all recordings for one part; a term's by its best sense. */
    scored(part) {
      if (part.kind === "recording") {
        return { scores: this.near(part.row), which: null };
      }
      const scores = new Float32Array(this.size).fill(-Infinity);
      const which = new Uint16Array(this.size);
      part.at.forEach((index, sense) => {
        const found = this.vectors.cosines(this.words.row(index));
        for (let row = 0; row < this.size; row += 1) {
          if (found[row] <= scores[row]) continue;
          scores[row] = found[row];
          which[row] = sense;
        }
      });
      return { scores, which };
    }

    async neighbors(row, { k, otherArtists }) {
      const leaveOut = this.without([row], otherArtists);
      const hits = this.best(this.near(row), k, leaveOut);
      const text = this.data.recordings[row].id;
      return { query: text, understood: [{ text, kind: "recording", sign: 1, labels: [] }], hits };
    }

    /** Rows of the way from one recording to another, both among them. */
    async path(from, to, { length }) {
      const leaveOut = (row) => row === from || row === to;
      if (from === to) {
        const near = this.best(this.near(from), length - 1, leaveOut);
        return [from, ...near.map(({ row }) => row)];
      }
      const rows = app.way(
        [this.vectors.row(from), this.vectors.row(to)],
        length - 2,
        (point) => this.best(this.vectors.cosines(point), CANDIDATES, leaveOut),
        (row) => this.vectors.row(row),
      );
      return [from, ...rows, to];
    }

    async sound() {
      throw new Error("this page was written to files: nothing here can listen");
    }

    /** A playlist made here, with the addresses of the sounds. */
    async playlist(rows) {
      const lines = ["#EXTM3U"];
      for (const { audio, artist, title, id, duration_s: length } of await this.recordings(rows)) {
        if (!audio) continue;
        const name = [artist, title || id].filter(Boolean).join(" - ");
        const seconds = Number.isFinite(length) ? Math.round(length) : -1;
        const { protocol, href, pathname } = new URL(audio, document.baseURI);
        lines.push(
          `#EXTINF:${seconds},${name.replace(/\s+/g, " ")}`,
          protocol === "file:" ? decodeURIComponent(pathname) : href,
        );
      }
      const text = `${lines.join("\n")}\n`;
      if (this.offered) URL.revokeObjectURL(this.offered);
      this.offered = URL.createObjectURL(new Blob([text], { type: "audio/x-mpegurl" }));
      return this.offered;
    }
  };
})();
