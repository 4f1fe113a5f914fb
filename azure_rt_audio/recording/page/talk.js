// The conversation as text: turns, calls of functions and failures, in the order in which they came.

class Talk {
  constructor(data, onChoose) {
    this.data = data;
    this.place = $("talk");
    this.words = "";
    this.now = null;
    this.waits = new Map(data.latencies.map((one) => [one.response_id, one]));
    this.entries = [
      ...data.turns.map((one) => ({ at: one.start, end: one.end, cameAt: Math.min(one.start, one.came_at), kind: one.role, text: one.text, one })),
      ...data.tools.map((one) => ({ at: one.start, end: callEnd(one, data.seconds), kind: "tool", text: `${one.name} ${one.arguments} ${one.output ?? ""}`, one })),
      ...data.failures.map((one) => ({ at: one.at, end: one.at, kind: "failure", text: one.message, one })),
      ...data.reconnections.map((one) => ({ at: one.start, end: one.end ?? one.start, kind: "change", text: one.text, one })),
    ].sort((one, other) => (one.cameAt ?? one.at) - (other.cameAt ?? other.at));
    // An answer may be heard after the next question.
    this.timed = [...this.entries].sort((one, other) => one.at - other.at);
    this.place.addEventListener("click", (event) => {
      const turn = event.target.closest(".turn");
      if (turn) onChoose(this.entries[Number(turn.dataset.index)]);
    });
    this.show("");
  }

  show(words) {
    this.words = words;
    const answered = new Set();
    const made = this.entries.map((entry, index) => {
      const shown = element("button", `turn ${entry.kind}`, this.head(entry, answered), this.body(entry));
      shown.type = "button";
      shown.dataset.index = index;
      shown.hidden = Boolean(words) && !entry.text.toLowerCase().includes(words);
      entry.shown = shown;
      return shown;
    });
    if (!made.length) made.push(element("p", "", "Nobody said anything."));
    this.place.replaceChildren(...made);
  }

  head({ at, end, kind, one }, answered) {
    const names = { user: "You", assistant: "Assistant", system: "System", tool: "Tool", failure: "Error", change: "Connection" };
    const head = element("div", "head", `${clock(at)} · ${names[kind] ?? kind}`);
    if (end - at >= 0.1) head.append(` · ${lasting(end - at)}`);
    const wait = kind === "assistant" ? this.waits.get(one.response_id) : undefined;
    if (wait && !answered.has(wait)) {
      answered.add(wait);
      head.append(element("span", "mark wait", `after ${lasting(wait.seconds)}`));
    }
    if (one.is_interrupted) {
      head.append(element("span", "mark cut", `interrupted: ${lasting(one.heard_seconds)} of ${lasting(one.received_seconds)} heard`));
    } else if (one.status && one.status !== "completed") {
      head.append(element("span", "mark", one.status));
    }
    return head;
  }

  body({ kind, one }) {
    if (kind === "tool") {
      const output = one.output === null ? "no output was sent" : compact(one.output);
      return element("div", "body", element("code", "", ...marked(`${one.name}(${compact(one.arguments)})`, this.words)),
        element("br"), "→ ", element("code", "", ...marked(output, this.words)));
    }
    if (kind === "change") return element("div", "body", ...marked(one.text, this.words));
    if (kind === "failure") return element("div", "body", ...marked(one.message, this.words));
    const heard = kind === "assistant" ? one.text.slice(0, one.heard) : one.text;
    const rest = one.text.slice(heard.length);
    if (!one.text) return element("div", "body", element("em", "", one.is_spoken ? "not transcribed" : "no words"));
    const body = element("div", "body", ...marked(heard, this.words));
    if (rest) body.append(element("span", "unheard", ...marked(rest, this.words)));
    return body;
  }

  /** Mark what is said at a moment, and scroll to it if asked to. */
  mark(at, mustScroll) {
    const last = firstIndex(this.timed.length, (index) => this.timed[index].at > at + 0.0005) - 1;
    const now = this.timed[last]?.shown ?? null;
    if (now === this.now) return;
    this.now?.classList.remove("now");
    now?.classList.add("now");
    this.now = now;
    if (mustScroll && now && getComputedStyle(this.place).overflowY === "auto") {
      const [box, all] = [now.getBoundingClientRect(), this.place.getBoundingClientRect()];
      if (box.top < all.top || box.bottom > all.bottom) this.place.scrollTop += box.top - all.top - all.height / 3;
    }
  }
}
