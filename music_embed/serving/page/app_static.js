"use strict";
// The catalogue without a server: window.MUSIC_EMBED_DATA, as
// `launch/explore.py --static` writes it. Vectors are int8, so that scores
// may differ from the server's in the third digit.

(() => {
  const app = window.MusicMap;

  const bytes = (base64) =>
    Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));

  const vectors = ({ scale, int8 }, dim) => {
    const integers = new Int8Array(bytes(int8).buffer);
    const values = Float32Array.from(integers, (value) => value * scale);
    for (let at = 0; at < values.length; at += dim) {
      const row = values.subarray(at, at + dim);
      const norm = Math.hypot(...row) || 1;
      row.forEach((value, index) => (row[index] = value / norm));
    }
    return values;
  };

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

    get vectors() {
      this.unpacked ||= vectors(this.data.vectors, this.dim);
      return this.unpacked;
    }

    vector(row) {
      return this.vectors.subarray(row * this.dim, (row + 1) * this.dim);
    }

    /** Cosines of all recordings with a vector. */
    cosines(vector) {
      const found = new Float32Array(this.size);
      for (let row = 0; row < this.size; row += 1) {
        let sum = 0;
        const at = row * this.dim;
        for (let index = 0; index < this.dim; index += 1) {
          sum += this.vectors[at + index] * vector[index];
        }
        found[row] = sum;
      }
      return found;
    }

    /** The nearest rows by scores, without those left out. */
    best(scores, k, leaveOut, via = null) {
      const rows = Array.from({ length: this.size }, (_, row) => row);
      return rows
        .filter((row) => !leaveOut(row))
        .sort((one, other) => scores[other] - scores[one] || one - other)
        .slice(0, k)
        .map((row) => ({ row, score: scores[row], via: via ? via(row) : null }));
    }

    /** What leaves out rows themselves, and perhaps their artists' others. */
    without(rows, otherArtists) {
      const asked = new Set(rows);
      const artists = new Set(
        rows.map((row) => this.data.recordings[row].artist).filter(Boolean),
      );
      return (row) =>
        asked.has(row) ||
        (otherArtists && artists.has(this.data.recordings[row].artist));
    }

    /** A recording, a label or a term of that name, or null. */
    find(text) {
      this.byId ||= new Map(this.data.recordings.map(({ id, row }) => [id, row]));
      if (this.byId.has(text)) {
        return { text, kind: "recording", row: this.byId.get(text), labels: [] };
      }
      const { words } = this.data;
      if (!words) return null;
      const plain = text.toLocaleLowerCase();
      this.folded ||= {
        names: words.names.map((name) => name.toLocaleLowerCase()),
        terms: words.terms.map((term) => term.toLocaleLowerCase()),
      };
      const { names, terms } = this.folded;
      const ofTerm = [];
      terms.forEach((term, at) => {
        if (term === plain) ofTerm.push(at);
      });
      if (ofTerm.length) return this.word(text, "term", ofTerm);
      const at = names.indexOf(plain);
      return at < 0 ? null : this.word(text, "label", [at]);
    }

    word(text, kind, at) {
      const labels = at.map((index) => this.data.words.names[index]);
      return { text, kind, at, labels };
    }

    async search(query, { k, otherArtists }) {
      const parts = app.parse(query, (text) => this.find(text));
      this.unpackedWords ||= this.data.words && vectors(this.data.words, this.dim);
      const scored = parts.map((part) => this.scored(part));
      const total = new Float32Array(this.size);
      const weight = 1 / Math.sqrt(parts.length);
      for (let row = 0; row < this.size; row += 1) {
        scored.forEach(({ scores }, at) => {
          total[row] += weight * parts[at].sign * scores[row];
        });
      }
      const rows = parts.filter(({ kind }) => kind === "recording").map(({ row }) => row);
      const senses = parts.findIndex(({ labels }) => labels.length > 1);
      const via = senses < 0
        ? null
        : (row) => parts[senses].labels[scored[senses].which[row]];
      return {
        query,
        understood: parts.map(({ text, kind, sign, labels }) => ({ text, kind, sign, labels })),
        hits: this.best(total, k, this.without(rows, otherArtists), via),
      };
    }

    /** Scores of all recordings for one part; a term's by its best sense. */
    scored(part) {
      if (part.kind === "recording") {
        return { scores: this.cosines(this.vector(part.row)), which: null };
      }
      const scores = new Float32Array(this.size).fill(-Infinity);
      const which = new Uint16Array(this.size);
      part.at.forEach((index, sense) => {
        const from = index * this.dim;
        const vector = this.unpackedWords.subarray(from, from + this.dim);
        this.cosines(vector).forEach((score, row) => {
          if (score <= scores[row]) return;
          scores[row] = score;
          which[row] = sense;
        });
      });
      return { scores, which };
    }

    async neighbors(row, { k, otherArtists }) {
      const leaveOut = this.without([row], otherArtists);
      const hits = this.best(this.cosines(this.vector(row)), k, leaveOut);
      const text = this.data.recordings[row].id;
      return { query: text, understood: [{ text, kind: "recording", sign: 1, labels: [] }], hits };
    }

    /** Recordings on the way from one to another, each near its place. */
    async path(from, to, { length }) {
      const [start, end] = [this.vector(from), this.vector(to)];
      const used = new Set([from, to]);
      const rows = [from];
      for (let step = 1; step + 1 < length && used.size < this.size; step += 1) {
        const part = step / (length - 1);
        const between = start.map((value, at) => (1 - part) * value + part * end[at]);
        const [hit] = this.best(this.cosines(between), 1, (row) => used.has(row));
        used.add(hit.row);
        rows.push(hit.row);
      }
      return from === to ? rows : [...rows, to];
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
