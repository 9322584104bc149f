"use strict";
// The catalogue behind launch/explore.py: one method a route.

(() => {
  const app = window.MusicMap;

  /** Takes the bytes of /api/points apart: float32 x, float32 y, uint8. */
  app.points = (buffer, size) => {
    if (buffer.byteLength !== 9 * size) {
      throw new Error(
        `the map has ${buffer.byteLength} bytes, ${9 * size} were expected`,
      );
    }
    return {
      x: new Float32Array(buffer, 0, size),
      y: new Float32Array(buffer, 4 * size, size),
      classes: new Uint8Array(buffer, 8 * size, size),
    };
  };

  app.Server = class {
    async ask(route, options = {}) {
      let answer;
      try {
        answer = await fetch(route, options);
      } catch (error) {
        if (error.name === "AbortError") throw error;
        throw new Error("the server does not answer: is it still running?");
      }
      if (answer.ok) return answer;
      let why = `${answer.status} ${answer.statusText}`;
      try {
        why = (await answer.json()).error || why;
      } catch {
        // Not JSON: the status says it.
      }
      throw new Error(why);
    }

    async json(route, parameters = {}, options = {}) {
      const query = new URLSearchParams(parameters).toString();
      const answer = await this.ask(query ? `${route}?${query}` : route, options);
      return answer.json();
    }

    catalogue() {
      return this.json("api/catalogue");
    }

    async points(size) {
      const answer = await this.ask("api/points");
      return app.points(await answer.arrayBuffer(), size);
    }

    recordings(rows) {
      return this.json("api/recordings", { rows: rows.join(",") });
    }

    search(query, { k, otherArtists, signal }) {
      const parameters = { q: query, k, other_artists: otherArtists ? 1 : 0 };
      return this.json("api/search", parameters, { signal });
    }

    neighbors(row, { k, otherArtists, signal }) {
      const parameters = { row, k, other_artists: otherArtists ? 1 : 0 };
      return this.json("api/neighbors", parameters, { signal });
    }

    sound(file, { k, signal }) {
      return this.json(
        "api/sound",
        { k },
        {
          method: "POST",
          body: file,
          headers: {
            "Content-Type": "application/octet-stream",
            "X-Filename": encodeURIComponent(file.name),
          },
          signal,
        },
      );
    }

    async path(from, to, { length, signal }) {
      const parameters = { from, to, length };
      return (await this.json("api/path", parameters, { signal })).rows;
    }

    /** Where the playlist of these rows is downloaded from. */
    async playlist(rows) {
      return `api/playlist?rows=${rows.join(",")}`;
    }
  };
})();
