"use strict";
// The search box: a combobox that completes the word being typed.

(() => {
  const app = window.MusicMap;
  const MOST = 8;

  const fold = (text) => text.toLocaleLowerCase();

  /** Quotes what the grammar would take apart. */
  app.quoted = (name) => {
    if (!/(^|\s)[+-]|["']/.test(name)) return name;
    return name.includes('"') ? `'${name}'` : `"${name}"`;
  };

  /**
   * How well a word fits what was typed: 0 it begins so, 1 a part of it
   * does, 2 it is inside, null not at all.
   */
  const fit = (word, typed) => {
    const at = word.indexOf(typed);
    if (at < 0) return null;
    if (at === 0) return 0;
    let from = at;
    while (from >= 0) {
      if (!/[\p{L}\p{N}]/u.test(word[from - 1])) return 1;
      from = word.indexOf(typed, from + 1);
    }
    return 2;
  };

  /** Of what is typed, what may still be completed: longest first. */
  const endings = (text) => {
    const found = [];
    const begins = /(^|\s)([+-]?["']?)(?=[^\s+"'-])/g;
    for (const match of text.matchAll(begins)) {
      const head = match.index + match[1].length;
      const sign = /^[+-]/.test(match[2]) ? match[2][0] : "";
      const typed = text.slice(head + match[2].length).replace(/["']$/, "");
      // A sign further on begins another part of the query.
      if (/\s[+-]/.test(typed)) continue;
      found.push({ head, sign, typed: fold(typed) });
    }
    return found;
  };

  app.Suggest = class {
    /**
     * @param {string[]} words the most frequent first
     * @param {app.Recordings} recordings
     * @param {{search: function(string), near: function(number),
     *   leave: function}} on what a person decided
     */
    constructor(words, recordings, on) {
      this.words = words.map((word) => ({ word, folded: fold(word) }));
      this.recordings = recordings;
      this.on = on;
      this.input = app.byId("query");
      this.box = app.byId("suggestions");
      this.active = -1;
      this.items = [];
      this.listen();
    }

    listen() {
      const { input } = this;
      input.addEventListener("input", () => this.update());
      input.addEventListener("keydown", (event) => this.key(event));
      input.addEventListener("blur", () => this.close());
      app.byId("search").addEventListener("submit", (event) => {
        event.preventDefault();
        this.close();
        if (input.value.trim()) this.on.search(input.value.trim());
      });
      // A press must not take the focus before its click arrives.
      this.box.addEventListener("pointerdown", (event) => event.preventDefault());
      document.addEventListener("keydown", (event) => {
        const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
        const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
        if (event.key === "/" && plain && (!typing || event.target.type !== "text")) {
          event.preventDefault();
          input.focus();
          input.select();
        }
      });
    }

    key(event) {
      const open = !this.box.hidden;
      if (event.key === "ArrowDown" && !open && !this.input.value) {
        this.on.leave();
      } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        if (!open) this.update();
        if (this.box.hidden) {
          if (event.key === "ArrowDown") this.on.leave();
          return;
        }
        const step = event.key === "ArrowDown" ? 1 : -1;
        const count = this.items.length + 1;
        this.mark(((this.active + 1 + step + count) % count) - 1);
      } else if (event.key === "Escape" && open) {
        this.close();
      } else if (event.key === "Escape") {
        this.input.value = "";
      } else if (event.key === "Enter" && open && this.active >= 0) {
        this.accept(this.items[this.active]);
      } else if (event.key === "Tab" && open && this.active >= 0) {
        this.fill(this.items[this.active]);
        return;
      } else {
        return;
      }
      event.preventDefault();
    }

    /** What completes the text, best first. */
    find(text) {
      for (const { head, sign, typed } of endings(text)) {
        if (!typed) continue;
        const found = [];
        this.words.forEach(({ word, folded }, at) => {
          const how = fit(folded, typed);
          if (how !== null) found.push({ how, at, text: word, kind: "word" });
        });
        let at = this.words.length;
        for (const one of this.recordings.all()) {
          const how = fit(fold(`${one.title || ""} ${one.artist || ""} ${one.id}`), typed);
          at += 1;
          if (how === null || found.length > 500) continue;
          found.push({ how: how + 0.5, at, text: one.id, kind: "recording", one });
        }
        if (!found.length) continue;
        found.sort((a, b) => a.how - b.how || a.at - b.at);
        const exact = found.length === 1 && fold(found[0].text) === typed;
        if (exact && found[0].kind === "word") return [];
        return found.slice(0, MOST).map((item) => ({ ...item, head, sign, typed }));
      }
      return [];
    }

    update() {
      this.items = this.find(this.input.value);
      this.box.replaceChildren(...this.items.map((item, at) => this.option(item, at)));
      this.mark(-1);
      this.box.hidden = !this.items.length;
      this.input.setAttribute("aria-expanded", String(!this.box.hidden));
      if (this.items.length) {
        app.say(app.count(this.items.length, "suggestion", "suggestions"));
      }
    }

    option(item, at) {
      const shown = item.one ? app.name(item.one) : item.text;
      return app.make(
        "li",
        {
          id: `suggestion-${at}`,
          role: "option",
          "aria-selected": "false",
          onclick: () => this.accept(item),
          onpointermove: () => this.mark(at),
        },
        item.sign ? app.make("b", { class: "sign" }, item.sign === "-" ? "\u2212" : "+") : null,
        app.make("span", {}, shown),
        item.one ? app.make("small", {}, "recording") : null,
      );
    }

    mark(at) {
      this.active = at;
      [...this.box.children].forEach((option, index) => {
        option.setAttribute("aria-selected", String(index === at));
        if (index === at) option.scrollIntoView({ block: "nearest" });
      });
      if (at < 0) this.input.removeAttribute("aria-activedescendant");
      else this.input.setAttribute("aria-activedescendant", `suggestion-${at}`);
    }

    fill({ head, sign, text }) {
      this.input.value = this.input.value.slice(0, head) + sign + app.quoted(text);
      this.close();
    }

    accept(item) {
      if (item.one && item.head === 0 && !item.sign) {
        this.input.value = "";
        this.close();
        this.on.near(item.one.row);
        return;
      }
      this.fill(item);
      this.on.search(this.input.value.trim());
    }

    close() {
      this.box.hidden = true;
      this.active = -1;
      this.input.setAttribute("aria-expanded", "false");
      this.input.removeAttribute("aria-activedescendant");
    }
  };
})();
