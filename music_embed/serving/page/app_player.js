"use strict";
// The player: one recording, or a playlist that goes on by itself.

(() => {
  const app = window.MusicMap;

  app.Player = class {
    /**
     * @param {app.Recordings} recordings
     * @param {function(Object)} onStart called with the recording that plays
     * @param {function} onChange it plays or pauses
     */
    constructor(recordings, onStart, onChange) {
      this.recordings = recordings;
      this.onStart = onStart;
      this.audio = app.byId("audio");
      this.queue = [];
      this.at = -1;
      this.audio.addEventListener("ended", () => this.step(1));
      const change = () => onChange();
      this.audio.addEventListener("play", change);
      this.audio.addEventListener("pause", change);
      this.audio.addEventListener("error", () => this.failed());
      app.byId("previous").addEventListener("click", () => this.step(-1));
      app.byId("next").addEventListener("click", () => this.step(1));
    }

    /**
     * @param {number} row
     * @param {number[]} queue rows that are played on through, row among them
     */
    async play(row, queue = []) {
      this.queue = queue;
      this.at = queue.indexOf(row);
      const [recording] = await this.recordings.get([row]);
      app.byId("player").hidden = false;
      app.byId("previous").hidden = app.byId("next").hidden = !queue.length;
      app.byId("previous").disabled = this.at <= 0;
      app.byId("next").disabled = this.at < 0 || this.at + 1 >= queue.length;
      this.now = recording;
      this.onStart(recording);
      if (!recording.audio) {
        this.audio.hidden = true;
        this.audio.removeAttribute("src");
        this.audio.load();
        this.tell("its sound file is not at hand");
        return;
      }
      this.audio.hidden = false;
      this.tell("");
      this.audio.src = recording.audio;
      this.session(recording);
      try {
        await this.audio.play();
      } catch (error) {
        // Another recording was chosen meanwhile, or "error" tells already.
        if (error.name === "NotAllowedError") this.tell("press play");
      }
    }

    /** Whether a row sounds now. */
    sounds(row) {
      return this.now?.row === row && !this.audio.paused;
    }

    /** Pauses what sounds, and goes on with it. */
    toggle() {
      if (this.audio.paused) this.audio.play();
      else this.audio.pause();
    }

    tell(problem) {
      const { now } = this;
      const place = this.queue.length ? `${this.at + 1} of ${this.queue.length}` : "";
      app.byId("now").replaceChildren(
        app.make("strong", {}, now.title || now.id),
        app.make(
          "span",
          { class: problem ? "problem" : "" },
          [now.artist, place, problem].filter(Boolean).join(" \u00b7 "),
        ),
      );
    }

    failed() {
      if (!this.now || !this.audio.getAttribute("src")) return;
      this.tell("this browser cannot play its file");
      app.say(`${app.name(this.now)} cannot be played here`);
      if (this.at >= 0) this.step(1);
    }

    step(by) {
      const to = this.at + by;
      if (this.at < 0 || to < 0 || to >= this.queue.length) return;
      this.play(this.queue[to], this.queue);
    }

    /** Title and keys of the system's own player. */
    session(recording) {
      if (!("mediaSession" in navigator)) return;
      navigator.mediaSession.metadata = new MediaMetadata({
        title: recording.title || recording.id,
        artist: recording.artist || "",
      });
      const handle = (action, by) =>
        navigator.mediaSession.setActionHandler(
          action,
          this.queue.length ? () => this.step(by) : null,
        );
      handle("previoustrack", -1);
      handle("nexttrack", 1);
    }
  };
})();
