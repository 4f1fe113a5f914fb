// The list of events. Only the rows that can be seen are in the document.

const ROW_HEIGHT = 26;
const SPARE_ROWS = 8;
const MAX_HEIGHT = 8_000_000;  // browsers do not scroll further than some ten million pixels

class Events {
  constructor(data, onChoose) {
    this.data = data;
    this.all = data.rows.map((_, index) => index);
    this.shown = this.all;
    this.words = "";
    this.now = -1;
    this.chosen = -1;
    this.onChoose = onChoose;
    this.list = $("list");
    this.rows = $("rows");
    this.list.addEventListener("scroll", () => this.refresh(), { passive: true });
    new ResizeObserver(() => this.refresh()).observe(this.list);
    this.rows.addEventListener("click", (event) => {
      const row = event.target.closest(".row");
      if (row) this.choose(Number(row.dataset.index));
    });
    this.list.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15 }[event.key];
      if (!step || !this.shown.length) return;
      event.preventDefault();
      event.stopPropagation();
      const place = this.shown.indexOf(this.chosen);
      this.choose(this.shown[clamp(place + step, 0, this.shown.length - 1)]);
    });
    $("close").addEventListener("click", () => this.close());
  }

  filter(indexes, words) {
    this.shown = indexes ?? this.all;
    this.words = words;
    this.list.scrollTop = 0;
    this.refresh();
  }

  /** Pixels of the list for each row: fewer than its height where the list would be too long to scroll. */
  get pitch() {
    return Math.min(ROW_HEIGHT, MAX_HEIGHT / Math.max(1, this.shown.length));
  }

  refresh() {
    const { data, list, shown, pitch } = this;
    this.rows.style.height = `${shown.length * pitch + (ROW_HEIGHT - pitch)}px`;
    if (!list.clientHeight) return;
    const first = Math.max(0, Math.floor(list.scrollTop / pitch) - SPARE_ROWS);
    const last = Math.min(shown.length, first + Math.ceil(list.clientHeight / ROW_HEIGHT) + 2 * SPARE_ROWS);
    const made = [];
    for (let place = first; place < last; place++) {
      const index = shown[place];
      const [at, way, , type, what] = data.rows[index];
      const name = data.types[type];
      const row = element("div", `row ${["sent", "received", "local"][way]}`,
        element("span", "at", clock(at, 2)),
        element("span", "way", ["↑", "↓", "·"][way]),
        element("span", "kind", ...marked(name, this.words)),
        element("span", "what", ...marked(what, this.words)));
      if (/^error$|failed|^lost$|closed/.test(name)) row.classList.add("bad");
      row.classList.toggle("now", index === this.now);
      row.classList.toggle("chosen", index === this.chosen);
      row.dataset.index = index;
      row.setAttribute("role", "option");
      row.setAttribute("aria-selected", index === this.chosen);
      row.style.top = `${list.scrollTop + (place - list.scrollTop / pitch) * ROW_HEIGHT}px`;
      made.push(row);
    }
    this.rows.replaceChildren(...made);
  }

  choose(index) {
    if (index === undefined || index < 0) return;
    this.chosen = index;
    const [at, way, connection, type, , details] = this.data.rows[index];
    const from = ["sent on connection", "received on connection", "here,"][way];
    $("details").hidden = false;
    $("details").querySelector("h2").replaceChildren(`${this.data.types[type]} · ${clock(at, 3)} · ${from} ${connection || ""}`);
    $("details").querySelector("pre").replaceChildren(...marked(JSON.stringify(details, null, 2) ?? "", this.words));
    $("details").scrollTop = 0;
    this.reveal(index);
    this.onChoose(at);
  }

  close() {
    $("details").hidden = true;
    this.chosen = -1;
    this.refresh();
  }

  /** Mark the last event at or before a moment. */
  mark(at, mustScroll) {
    const rows = this.data.rows;
    const now = firstIndex(rows.length, (index) => rows[index][0] > at + 0.0005) - 1;
    if (now === this.now) return;
    this.now = now;
    if (mustScroll) this.reveal(now);
    else this.refresh();
  }

  reveal(index) {
    const { list, shown, pitch } = this;
    const place = Math.max(0, firstIndex(shown.length, (one) => shown[one] > index) - 1);
    const top = place * pitch;
    if (top < list.scrollTop || top + ROW_HEIGHT > list.scrollTop + list.clientHeight) {
      list.scrollTop = top - list.clientHeight / 2;
    }
    this.refresh();
  }
}
