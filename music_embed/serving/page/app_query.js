"use strict";
// Queries of the page without a server: what they say and who answers best,
// as music_embed.retrieval's query, search and playlist have it.

(() => {
  const app = window.MusicMap;

  const PIECE =
    /([+-]\s*)?((?:word|id):)?(?:"([^"]*)"(?!\S)|'([^']*)'(?!\S)|(\S+))/g;

  const pieces = (query) => {
    const found = [];
    for (const [, sign, prefix, double, single, bare] of query.matchAll(PIECE)) {
      if (bare === "+" || bare === "-") {
        throw new Error(`"${query}": nothing follows ${bare}`);
      }
      const quoted = double ?? single;
      const text = quoted ?? bare;
      if (!text.trim()) throw new Error(`"${query}": an empty pair of quotes`);
      found.push({
        text,
        prefix: prefix || "",
        sign: (sign || "").startsWith("-") ? -1 : 1,
        signed: Boolean(sign),
        alone: quoted !== undefined || Boolean(prefix),
      });
    }
    return found;
  };

  /** The longest run of pieces that names something, and its length. */
  const longest = (rest, find) => {
    const [{ sign, alone, prefix, text }] = rest;
    let last = 1;
    while (!alone && last < rest.length && !rest[last].signed && !rest[last].alone) {
      last += 1;
    }
    for (let end = last; end > 0; end -= 1) {
      const run = rest.slice(0, end).map((piece) => piece.text).join(" ");
      const found = find(run, prefix);
      if (found) {
        return { part: { ...found, text: prefix + run, sign }, used: end };
      }
    }
    throw new Error(`"${text}": no word of the model and no recording's id`);
  };

  /**
   * Parts of a query: the longest name first.
   * @param {string} query
   * @param {function(string, string): Object|null} find what a text names,
   *   given it and its prefix ("word:", "id:" or "")
   * @returns {{text: string, kind: string, sign: number}[]}
   */
  app.parse = (query, find) => {
    const text = query.trim();
    const marked = /(?:^|\s)[+-]|(?:^|\s)["']/.test(text);
    const whole = find(text, marked ? "id:" : "");
    if (whole) return [{ ...whole, sign: 1 }];
    let rest = pieces(text);
    const parts = [];
    while (rest.length) {
      const { part, used } = longest(rest, find);
      parts.push(part);
      rest = rest.slice(used);
    }
    if (parts.every(({ sign }) => sign < 0)) {
      throw new Error(`"${text}": says only what is not wanted: add what is`);
    }
    return parts;
  };

  /** Case and forms of characters are forgiven; punctuation, too, if spaced. */
  app.normal = (text) => text.normalize("NFKC").toLowerCase().trim();
  app.spaced = (text) =>
    app.normal(text).replace(/[^\p{L}\p{N}\p{M}]+/gu, " ").trim();

  const dot = (one, other) => {
    let sum = 0;
    for (let at = 0; at < one.length; at += 1) sum += one[at] * other[at];
    return sum;
  };

  const squared = (one, other) => 2 - 2 * dot(one, other);

  /** Points at equal distances between two on the sphere. */
  const between = (first, last, number) => {
    const angle = Math.acos(Math.min(1, Math.max(-1, dot(first, last))));
    const straight = Math.sin(angle) < 1e-4;
    return Array.from({ length: number }, (_, at) => {
      const part = (at + 1) / (number + 1);
      const [a, b] = straight
        ? [1 - part, part]
        : [Math.sin((1 - part) * angle), Math.sin(part * angle)];
      const point = first.map((value, place) => a * value + b * last[place]);
      const norm = Math.sqrt(dot(point, point)) || 1;
      return point.map((value) => value / norm);
    });
  };

  /**
   * Rows from one recording to another: of those near each point of the way
   * one is taken, so that steps and detours are least (dynamic programming).
   * @param {Float32Array[]} ends of the first and last recording
   * @param {number} number of recordings between them
   * @param {function(Float32Array): {row: number, score: number}[]} near
   * @param {function(number): Float32Array} vector of a row
   */
  app.way = (ends, number, near, vector) => {
    const points = between(ends[0], ends[1], number);
    const owner = new Map();
    points.forEach((point, layer) => {
      for (const { row, score } of near(point)) {
        if (score > (owner.get(row)?.score ?? -Infinity)) {
          owner.set(row, { score, layer });
        }
      }
    });
    const layers = points.map(() => []);
    [...owner.keys()]
      .sort((one, other) => one - other)
      .forEach((row) => layers[owner.get(row).layer].push(row));
    let before = [{ vector: ends[0], cost: 0, rows: [] }];
    layers.forEach((rows, layer) => {
      if (!rows.length) return;
      before = rows.map((row) => {
        const here = vector(row);
        let best = null;
        for (const from of before) {
          const cost = from.cost + squared(here, from.vector);
          if (!best || cost < best.cost) best = { cost, from };
        }
        const cost = best.cost + squared(here, points[layer]);
        return { vector: here, cost, rows: [...best.from.rows, row] };
      });
    });
    const whole = before.map(({ vector: last, cost }) => cost + squared(ends[1], last));
    return before[whole.indexOf(Math.min(...whole))].rows;
  };
})();
