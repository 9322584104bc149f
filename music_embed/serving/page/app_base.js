"use strict";
// What the other scripts share: making elements, times, errors.
// Every script adds to one object, MusicMap; nothing else is global.

(() => {
  const app = (window.MusicMap = window.MusicMap || {});

  /** The element of an id, which must exist. */
  app.byId = (id) => document.getElementById(id);

  /**
   * Makes an element. Texts of the catalogue come in as text nodes only,
   * so no title can be taken for markup.
   * @param {string} tag
   * @param {Object} attributes onX: a listener; others as they are;
   *   null, undefined and false are left out
   * @param {...(Node|string|null)} children
   */
  app.make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) {
        element.addEventListener(name.slice(2), value);
      } else {
        element.setAttribute(name, value === true ? "" : value);
      }
    }
    element.append(...children.filter((child) => child !== null));
    return element;
  };

  /** Seconds as 3:07 or 1:02:09; empty where unknown. */
  app.time = (seconds) => {
    if (!Number.isFinite(seconds)) return "";
    const whole = Math.round(seconds);
    const parts = [Math.floor(whole / 60) % 60, whole % 60];
    if (whole >= 3600) parts.unshift(Math.floor(whole / 3600));
    return parts
      .map((part, at) => (at ? String(part).padStart(2, "0") : part))
      .join(":");
  };

  /** A score as .83: two digits, a true minus, no leading zero. */
  app.score = (value) => {
    const text = Math.abs(value).toFixed(2).replace(/^0/, "");
    return value < -0.005 ? `\u2212${text}` : text;
  };

  app.count = (number, one, many) =>
    `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

  /** "Title, Artist", of what is known. */
  app.name = (recording) =>
    recording.artist
      ? `${recording.title || recording.id}, ${recording.artist}`
      : recording.title || recording.id;

  /** Says something to people who listen to the page. */
  app.say = (text) => {
    app.byId("status").textContent = text;
  };

  /** CSS colour of a class of the legend, by its position. */
  app.classColor = (legend, position) =>
    legend[position].label === "other" ? "--other" : `--class-${position}`;

  /** The dot of a class: of one custom property, so that themes change it. */
  app.dot = (property) => {
    const dot = app.make("span", { class: "dot", "aria-hidden": "true" });
    dot.style.setProperty("--dot", `var(${property})`);
    return dot;
  };

  app.calm = () =>
    window.matchMedia("(prefers-reduced-motion: reduce)").matches;

  /**
   * Recordings' facts, asked for together and kept.
   * @param {{recordings: function(number[]): Promise<Object[]>}} backend
   */
  app.Recordings = class {
    constructor(backend) {
      this.backend = backend;
      this.known = new Map();
      this.asked = new Map();
    }

    /** What is known of a row already, or undefined. */
    peek(row) {
      return this.known.get(row);
    }

    /** All that is known by now. */
    all() {
      return this.known.values();
    }

    /** @param {number[]} rows in the order of the answer */
    async get(rows) {
      await Promise.all(rows.map((row) => this.one(row)));
      return rows.map((row) => this.known.get(row));
    }

    async one(row) {
      if (this.known.has(row)) return this.known.get(row);
      if (!this.asked.has(row)) {
        if (!this.waiting) {
          this.waiting = [];
          this.flushed = new Promise((resolve) => setTimeout(resolve, 15))
            .then(() => this.flush());
        }
        this.waiting.push(row);
        this.asked.set(row, this.flushed);
      }
      await this.asked.get(row);
      return this.known.get(row);
    }

    async flush() {
      const rows = this.waiting;
      this.waiting = null;
      try {
        for (let at = 0; at < rows.length; at += 200) {
          const part = rows.slice(at, at + 200);
          for (const recording of await this.backend.recordings(part)) {
            this.known.set(recording.row, recording);
          }
        }
      } finally {
        rows.forEach((row) => this.asked.delete(row));
      }
    }
  };
})();
