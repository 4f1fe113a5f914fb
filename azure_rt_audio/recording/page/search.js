// Search in all texts and events; lists show what matches, the timeline marks it.

const DELAY_MS = 120;

class Search {
  constructor(data, events, talk, onMatches, onGo) {
    this.data = data;
    this.events = events;
    this.talk = talk;
    this.onMatches = onMatches;
    this.onGo = onGo;
    this.matches = [];
    this.current = -1;
    this.index = null;
    this.timer = 0;
    const input = $("search");
    input.addEventListener("input", () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.run(input.value), DELAY_MS);
    });
    input.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter") {
        if (this.words !== input.value.trim().toLowerCase()) this.run(input.value);
        this.go(event.shiftKey ? -1 : 1);
      }
      if (event.key === "Escape") {
        input.value = "";
        this.run("");
        input.blur();
      }
    });
    $("next").addEventListener("click", () => this.go(1));
    $("previous").addEventListener("click", () => this.go(-1));
    this.show();
  }

  /** The text of each event in lower case; made with the first search. */
  texts() {
    this.index ??= this.data.rows.map(([, , , type, what, details]) =>
      `${this.data.types[type]}\n${what}\n${details === null ? "" : JSON.stringify(details)}`.toLowerCase());
    return this.index;
  }

  run(typed) {
    const words = typed.trim().toLowerCase();
    clearTimeout(this.timer);
    this.words = words;
    this.current = -1;
    if (!words) {
      this.matches = [];
      this.events.filter(null, "");
    } else {
      const found = [];
      this.texts().forEach((text, index) => {
        if (text.includes(words)) found.push(index);
      });
      this.events.filter(found, words);
      const said = this.talk.entries.filter((entry) => entry.text.toLowerCase().includes(words));
      // What was said comes first: its events, with the pieces of the text, are near to it.
      this.matches = said.length ? said.map((entry) => ({ at: entry.at, end: entry.end }))
        : found.map((index) => ({ at: this.data.rows[index][0], index }));
    }
    this.talk.show(words);
    this.onMatches(this.matches.map((match) => match.at));
    this.show();
  }

  go(step) {
    if (!this.matches.length) return;
    const count = this.matches.length;
    this.current = this.current < 0 && step < 0 ? count - 1 : (this.current + step + count) % count;
    this.show();
    this.onGo(this.matches[this.current]);
  }

  show() {
    const count = this.matches.length;
    $("found").textContent = !this.words ? "" : !count ? "no match" : this.current < 0 ? `${count} found` : `${this.current + 1} of ${count}`;
    $("next").disabled = $("previous").disabled = !count;
  }
}
