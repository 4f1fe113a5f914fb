// Draws the lanes: connections, both sides, tools, latencies and events, on one axis of time.

const LANES = [
  ["ruler", "", 20], ["connections", "", 13], ["said", "You", 0], ["saidText", "", 21], ["heard", "Assistant", 0],
  ["heardText", "", 21], ["tools", "Tools", 19], ["waits", "Latency", 19], ["rows", "Events", 17],
];
const GAP = 5;
const MOST_ROWS = 4;  // of calls that run at the same time

/** The calls with their ends, those that run at the same time in rows of their own. */
function inRows(calls, seconds) {
  const ends = [];  // of the last call in each row
  return [...calls].sort((one, other) => one.start - other.start).map((call) => {
    let row = ends.findIndex((end) => end <= call.start);
    if (row < 0) row = Math.min(ends.length, MOST_ROWS - 1);
    const end = callEnd(call, seconds);
    ends[row] = Math.max(ends[row] ?? 0, end);
    return { call, end, row };
  });
}

class Lanes {
  constructor(data, waves, view) {
    this.data = data;
    this.waves = waves;
    this.view = view;
    this.canvas = $("lanes");
    this.overview = $("overview");
    this.cursor = 0;
    this.matches = [];
    this.hits = [];
    this.waiting = false;
    this.calls = inRows(data.tools, data.seconds);
    this.callRows = Math.max(1, ...this.calls.map((one) => one.row + 1));
    this.canvas.addEventListener("pointermove", (event) => this.hint(event));
    this.canvas.addEventListener("pointerleave", () => $("hint").classList.remove("shown"));
    view.listeners.push(() => this.refresh());
    new ResizeObserver(() => this.refresh()).observe(this.canvas);
    this.dragOverview();
  }

  refresh() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.draw();
      this.drawOverview();
    });
  }

  layout(height) {
    const more = 17 * (this.callRows - 1);
    const fixed = LANES.reduce((sum, lane) => sum + lane[2] + GAP, more);
    const wave = Math.max(24, Math.floor((height - fixed) / 2));
    const places = {};
    let top = 2;
    for (const [name, label, own] of LANES) {
      places[name] = { top, height: own || wave, label };
      if (name === "tools") places[name].height += more;
      top += places[name].height + GAP;
    }
    return places;
  }

  draw() {
    const [context, width, height] = prepared(this.canvas);
    const places = this.layout(height);
    const { data } = this;
    this.hits = [];
    this.context = context;
    this.width = width;
    context.font = '11.5px system-ui, "DejaVu Sans", sans-serif';
    context.textBaseline = "middle";

    this.drawRuler(places.ruler, height);
    for (const one of data.connections) {
      if (!one.was_made && data.reconnections.length) continue;  // an attempt: told below
      const name = `connection ${one.number}${one.end === null ? "" : `, closed: ${one.code ?? ""} ${one.reason}`}`;
      this.box(one.start, one.end ?? data.seconds, places.connections, one.is_lost ? "error" : "quiet", one.is_lost ? "error-soft" : "panel", name);
    }
    for (const one of data.reconnections) {
      const text = one.is_planned ? "" : "reconnecting";
      this.box(one.start, one.end ?? data.seconds, places.connections, "wait", "wait-soft", text, one.text);
    }
    for (const one of data.speech) {
      const end = one.end ?? data.seconds;
      this.box(one.start, end, places.said, "you-soft", "you-soft", "", `The service heard speech for ${lasting(end - one.start)}`);
    }
    this.side("said", places.said, "you");
    this.side("heard", places.heard, "model");
    for (const one of data.turns) {
      const isModel = one.role === "assistant";
      const text = isModel ? one.text.slice(0, one.heard) + (one.is_interrupted ? "…" : "") : one.text;
      this.box(one.start, one.end, isModel ? places.heardText : places.saidText, isModel ? "model" : "you",
        isModel ? "model-soft" : "you-soft", text || "(no words)", one.text || "(no words)", one.is_spoken ? 2 : Math.min(70, width / 10));
    }
    for (const { call: one, end, row } of this.calls) {
      const place = this.row(places.tools, row);
      const call = `${one.name}(${compact(one.arguments)})`;
      const hint = one.end === null ? call : `${call} → ${compact(one.output)}`;
      this.box(one.start, end, place, "tool", "tool-soft", call, hint, Math.min(70, width / 10));
    }
    for (const one of data.latencies) {
      const end = one.heard_at ?? one.first_at;
      const what = one.heard_at === null ? "first word or sound" : "first sound heard";
      this.box(one.asked_at, end, places.waits, "wait", "wait-soft", lasting(one.seconds), `${lasting(one.seconds)} from the end of the question to the ${what}`);
    }
    for (const one of data.cuts) this.cut(one, places);
    this.drawRows(places.rows);
    for (const name of ["said", "heard", "tools", "waits", "rows"]) this.label(places[name]);
    this.line(this.cursor, 0, height, "cursor");
  }

  drawRuler(place, height) {
    const { context, view, width } = this;
    const steps = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];
    const step = steps.find((one) => (one / view.span) * width >= 74) ?? 14400;
    context.textAlign = "left";
    for (let mark = Math.floor(view.start / step); mark * step <= view.end; mark++) {
      const x = Math.round(view.x(mark * step, width)) + 0.5;
      context.fillStyle = colours.line;
      context.fillRect(x - 0.5, 0, 1, height);
      context.fillStyle = colours.quiet;
      context.fillText(clock(mark * step, step < 0.1 ? 2 : step < 1 ? 1 : 0), x + 4, place.top + place.height / 2);
    }
  }

  side(name, place, colour) {
    const { context, view, width, data } = this;
    const wave = this.waves[name];
    if (wave) {
      const shown = width * Math.min(1, data.seconds / view.span);
      wave.draw(context, view.start, view.end, 0, place.top, shown, place.height, colours[colour]);
    }
    context.fillStyle = colours[colour];
    for (const [start, end] of data[`${name}Spans`]) {  // its sound was not recorded
      const x = view.x(start, width);
      const right = view.x(end, width);
      if (right >= 0 && x <= width) context.fillRect(x, place.top + place.height * 0.4, Math.max(1, right - x), place.height * 0.2);
    }
  }

  row(place, row) {
    const height = place.height / this.callRows;
    return { top: place.top + row * height, height: height - (this.callRows > 1 ? 2 : 0) };
  }

  box(start, end, place, border, fill, text, hint = text, least = 2) {
    const { context, view, width } = this;
    const x = view.x(start, width);
    const wide = Math.max(least, view.x(end, width) - x);
    if (x > width || x + wide < 0) return;
    context.fillStyle = colours[fill];
    context.fillRect(x, place.top, wide, place.height);
    context.fillStyle = colours[border];
    context.fillRect(x, place.top, 2, place.height);
    this.hits.push({ left: x, right: x + Math.max(wide, 6), top: place.top, bottom: place.top + place.height, start, end, hint });
    const left = Math.max(x, 0) + 6;
    if (text && x + wide - left > 16) {
      context.save();
      context.beginPath();
      context.rect(left - 2, place.top, x + wide - left, place.height);
      context.clip();
      context.fillStyle = colours.text;
      context.textAlign = "left";
      context.fillText(text.slice(0, 300), left, place.top + place.height / 2 + 0.5);
      context.restore();
    }
  }

  cut(one, places) {
    const { context, view, width } = this;
    const x = Math.round(view.x(one.at, width));
    if (x < -200 || x > width + 4) return;
    const top = places.heard.top;
    context.fillStyle = colours.error;
    context.fillRect(x - 1, top, 2, places.heardText.top + places.heardText.height - top);
    const who = one.by_user === null ? "" : one.by_user ? " by the user" : " by the program";
    const text = `interrupted${who}: ${lasting(one.heard_seconds)} heard of ${lasting(one.received_seconds)} received`;
    this.hits.push({ left: x - 5, right: x + 5, top, bottom: top + places.heard.height, start: one.at, end: one.at, hint: text });
    if (view.span < 60 && width > 500) {
      const label = `cut: ${lasting(one.heard_seconds)} of ${lasting(one.received_seconds)}`;
      const wide = context.measureText(label).width;
      context.fillStyle = colours["error-soft"];
      context.fillRect(x + 3, top + 1, wide + 8, 17);
      context.fillStyle = colours.error;
      context.textAlign = "left";
      context.fillText(label, x + 7, top + 10);
    }
  }

  drawRows(place) {
    const { context, view, width, data } = this;
    const rows = data.rows;
    let latest = -1;
    for (let index = firstIndex(rows.length, (one) => rows[one][0] >= view.start); index < rows.length; index++) {
      const row = rows[index];
      if (row[0] > view.end) break;
      const x = Math.round(view.x(row[0], width));
      if (x === latest) continue;
      latest = x;
      context.fillStyle = colours[row[1] === 0 ? "you" : row[1] === 1 ? "model" : "quiet"];
      const third = place.height / 3;
      context.fillRect(x, place.top + row[1] * third, 1, third);
    }
    for (const at of this.matches) this.line(at, place.top - 3, place.height + 6, "match", 3);
    for (const one of data.failures) {
      this.line(one.at, place.top - 2, place.height + 4, "error", 2);
      const x = view.x(one.at, width);
      this.hits.push({ left: x - 5, right: x + 5, top: place.top, bottom: place.top + place.height, start: one.at, end: one.at, hint: one.message });
    }
  }

  line(at, top, height, colour, wide = 1) {
    const x = Math.round(this.view.x(at, this.width) - wide / 2);
    if (x < -wide || x > this.width) return;
    this.context.fillStyle = colours[colour];
    this.context.fillRect(x, top, wide, height);
  }

  label(place) {
    const { context } = this;
    context.save();
    context.font = '600 10px system-ui, "DejaVu Sans", sans-serif';
    const wide = context.measureText(place.label).width;
    context.globalAlpha = 0.82;
    context.fillStyle = colours.paper;
    context.fillRect(0, place.top, wide + 10, 14);
    context.globalAlpha = 1;
    context.fillStyle = colours.quiet;
    context.textAlign = "left";
    context.fillText(place.label, 5, place.top + 7.5);
    context.restore();
  }

  drawOverview() {
    const [context, width, height] = prepared(this.overview);
    const { data, view } = this;
    const half = height / 2;
    const x = (at) => (at / view.seconds) * width;
    for (const [name, colour, top] of [["said", "you", 0], ["heard", "model", half]]) {
      const wave = this.waves[name];
      if (wave) wave.draw(context, 0, view.seconds, 0, top, width, half, colours[colour]);
      context.fillStyle = colours[colour];
      for (const [start, end] of data[`${name}Spans`]) context.fillRect(x(start), top + half * 0.3, Math.max(1, x(end) - x(start)), half * 0.4);
    }
    for (const [list, colour] of [[data.cuts, "error"], [data.failures, "error"], [this.matches.map((at) => ({ at })), "match"]]) {
      context.fillStyle = colours[colour];
      for (const one of list) context.fillRect(x(one.at), 0, 2, height);
    }
    const left = x(view.start);
    const wide = Math.max(3, x(view.span));
    context.fillStyle = colours.paper;
    context.globalAlpha = 0.6;
    context.fillRect(0, 0, left, height);
    context.fillRect(left + wide, 0, width, height);
    context.globalAlpha = 1;
    context.strokeStyle = colours.quiet;
    context.strokeRect(left + 0.5, 0.5, wide - 1, height - 1);
    context.fillStyle = colours.cursor;
    context.fillRect(x(this.cursor), 0, 1, height);
  }

  dragOverview() {
    const go = (event) => {
      if (event.buttons & 1) this.view.show((event.offsetX / this.overview.clientWidth) * this.view.seconds - this.view.span / 2, this.view.span);
    };
    this.overview.addEventListener("pointerdown", (event) => {
      this.overview.setPointerCapture(event.pointerId);
      go(event);
    });
    this.overview.addEventListener("pointermove", go);
  }

  /** What is drawn at a point, the smallest first. */
  hit(x, y) {
    const found = this.hits.filter((one) => x >= one.left && x <= one.right && y >= one.top && y <= one.bottom && one.hint);
    return found.sort((one, other) => one.right - one.left - (other.right - other.left))[0];
  }

  hint(event) {
    const hint = $("hint");
    const found = event.pointerType === "mouse" ? this.hit(event.offsetX, event.offsetY) : undefined;
    hint.classList.toggle("shown", Boolean(found));
    if (!found) return;
    const times = found.end > found.start ? `${clock(found.start, 2)} – ${clock(found.end, 2)}` : clock(found.start, 2);
    hint.textContent = `${times}\n${found.hint.slice(0, 400)}`;
    const left = clamp(event.offsetX + 12, 4, Math.max(4, this.width - hint.offsetWidth - 8));
    hint.style.left = `${left}px`;
    hint.style.top = `${this.canvas.offsetTop + event.offsetY + 16}px`;
  }
}
