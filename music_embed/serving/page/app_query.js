"use strict";
// The words of a query, for the page without a server: ids, labels, terms,
// signs and quotes, as music_embed.retrieval.search takes them.

(() => {
  const app = window.MusicMap;

  /** Tokens with their signs; a quoted one is taken whole. */
  const tokens = (query) => {
    const found = [];
    const pattern = /([+-]?)(?:"([^"]*)"|'([^']*)'(?=\s|$)|(\S+))/g;
    for (const [, sign, double, single, plain] of query.matchAll(pattern)) {
      const quoted = double ?? single;
      const text = (quoted ?? plain).trim();
      if (!text) continue;
      found.push({ signed: Boolean(sign), sign: sign === "-" ? -1 : 1, quoted: quoted !== undefined, text });
    }
    return found;
  };

  /**
   * Parts of a query: the longest name first.
   * @param {string} query
   * @param {function(string): Object|null} find a recording, label or term
   * @returns {{text: string, kind: string, sign: number}[]}
   */
  app.parse = (query, find) => {
    const all = tokens(query);
    const parts = [];
    for (let at = 0; at < all.length; ) {
      const { sign } = all[at];
      let end = at + 1;
      if (!all[at].quoted) {
        while (end < all.length && !all[end].signed && !all[end].quoted) end += 1;
      }
      let found = null;
      for (; end > at && !found; end -= found ? 0 : 1) {
        found = find(all.slice(at, end).map(({ text }) => text).join(" "));
      }
      if (!found) {
        throw new Error(`"${all[at].text}": no recording, word or sense of that name`);
      }
      parts.push({ ...found, sign });
      at = end;
    }
    if (!parts.length) throw new Error("the query is empty");
    return parts;
  };
})();
