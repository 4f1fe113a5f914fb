// Plays the sound of the page, or without sound lets the cursor run.

class Player {
  constructor(seconds, hasSound, onMove) {
    this.seconds = seconds;
    this.hasSound = hasSound;
    this.onMove = onMove;
    this.audio = null;
    this.at = 0;
    this.rate = 1;
    this.since = null;  // when the clock without sound began to run, and where
  }

  get isPlaying() {
    return this.since !== null || Boolean(this.audio && !this.audio.paused && !this.audio.ended);
  }

  get position() {
    if (this.audio && this.isPlaying) return this.audio.currentTime;
    if (this.since) return Math.min(this.seconds, this.since.at + ((performance.now() - this.since.time) / 1000) * this.rate);
    return this.at;
  }

  /** The element that plays; the sound is unpacked when it is needed first. */
  load() {
    if (this.audio || !this.hasSound) return;
    this.audio = new Audio(URL.createObjectURL(new Blob([bytesOf("sound")], { type: "audio/ogg; codecs=opus" })));
    this.audio.preservesPitch = true;
    this.audio.addEventListener("error", () => {
      this.hasSound = false;  // a browser without Opus in Ogg
      this.audio = null;
      $("play").title = "This browser cannot play Opus in Ogg: the cursor runs without sound";
      if (this.wants) this.play();
    });
    this.audio.addEventListener("ended", () => {
      this.pause();
      this.seek(this.seconds);
    });
    this.audio.addEventListener("loadedmetadata", () => { this.audio.currentTime = this.at; });
    this.audio.currentTime = this.at;
  }

  play() {
    if (document.readyState === "loading") {  // the sound is the last of the page
      document.addEventListener("DOMContentLoaded", () => this.play(), { once: true });
      return;
    }
    if (this.at >= this.seconds - 0.05) this.at = 0;
    this.wants = true;
    this.load();
    if (this.audio) {
      this.audio.playbackRate = this.rate;
      this.audio.currentTime = this.at;
      this.audio.play().catch(() => this.pause());
    } else {
      this.since = { at: this.at, time: performance.now() };
    }
    this.show();
    requestAnimationFrame(() => this.tick());
  }

  pause() {
    this.at = this.position;
    this.wants = false;
    this.since = null;
    if (this.audio) this.audio.pause();
    this.show();
    this.onMove(this.at, false);
  }

  toggle() {
    if (this.wants) this.pause();
    else this.play();
  }

  seek(at) {
    this.at = clamp(at, 0, this.seconds);
    if (this.audio) this.audio.currentTime = this.at;
    if (this.since) this.since = { at: this.at, time: performance.now() };
    this.onMove(this.at, false);
  }

  setRate(rate) {
    const at = this.position;
    this.rate = rate;
    if (this.audio) this.audio.playbackRate = rate;
    if (this.since) this.since = { at, time: performance.now() };
  }

  tick() {
    if (!this.wants) return;
    this.at = this.position;
    this.onMove(this.at, true);
    if (this.at >= this.seconds) this.pause();
    else requestAnimationFrame(() => this.tick());
  }

  show() {
    $("play").textContent = this.wants ? "❚❚" : "▶";
    $("play").setAttribute("aria-label", this.wants ? "Pause" : "Play");
  }
}
