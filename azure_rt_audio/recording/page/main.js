// Puts the page together.

const data = JSON.parse($("data").textContent);
const waves = {};
for (const name of ["said", "heard"]) {
  const bytes = bytesOf(name) ?? new Uint8Array();
  waves[name] = bytes.length ? new Wave(bytes, data.pieceMs / 1000) : null;
}

// ---------------------------------------------------------------- light and dark

const dark = matchMedia("(prefers-color-scheme: dark)");

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  readColours();
  lanes?.refresh();
}

// ---------------------------------------------------------------- head

$("title").textContent = data.title;
$("about").textContent = data.about.map(([name, value]) => `${name}: ${value}`).join(" · ");
const interruptions = data.cuts.length;
for (const [name, value, isBad] of [
  ["duration", clock(data.seconds, 0)],
  ["turns", data.turns.length],
  ["median latency", data.medianLatency === null ? "–" : lasting(data.medianLatency)],
  ["interruptions", interruptions],
  ["tool calls", data.tools.length],
  ["connections", data.connections.filter((one) => one.was_made).length],
  ["errors", data.failures.length, data.failures.length > 0],
]) {
  $("facts").append(element("div", "", element("dt", "", name), element("dd", isBad ? "bad" : "", String(value))));
}
if (data.problems.length) {
  const shown = data.problems.slice(0, 50).map(([line, message]) => element("li", "", `line ${line}: ${message}`));
  if (data.problems.length > shown.length) shown.push(element("li", "", `and ${data.problems.length - shown.length} more`));
  $("problems").append(`${data.problems.length} ${data.problems.length === 1 ? "line" : "lines"} of the file could not be read:`, element("ul", "", ...shown));
  $("problems").hidden = false;
}

// ---------------------------------------------------------------- parts

let lanes = null;
const view = new View(data.seconds);
const player = new Player(data.seconds, data.hasSound, (at, isPlaying) => {
  $("clock").textContent = clock(at);
  if (lanes.cursor !== at) {
    lanes.cursor = at;
    if (isPlaying && (at > view.end - view.span * 0.05 || at < view.start)) view.show(at - view.span * 0.05, view.span);
    else lanes.refresh();
  }
  talk.mark(at, true);
  events.mark(at, true);
});
const events = new Events(data, (at) => {
  player.seek(at);
  view.reveal(at);
});
const talk = new Talk(data, (entry) => {
  player.seek(entry.at);
  view.reveal(entry.at, Math.min(view.span, Math.max(10, 3 * (entry.end - entry.at))));
});
lanes = new Lanes(data, waves, view);
const search = new Search(data, events, talk,
  (times) => {
    lanes.matches = times;
    lanes.refresh();
  },
  (match) => {
    view.reveal(match.at, Math.min(view.span, 20));
    if (match.index === undefined) player.seek(match.at);
    else events.choose(match.index);
  });
follow($("lanes"), view, (x, y) => {
  const found = lanes.hit(x, y);
  player.seek(found && found.end - found.start < view.span / 50 ? found.start : view.at(x, lanes.width));
});

setTheme(dark.matches ? "dark" : "light");
dark.addEventListener("change", () => setTheme(dark.matches ? "dark" : "light"));
if (!player.hasSound) $("play").title = data.noSound ? `No sound: ${data.noSound}` : "The page has no sound: the cursor runs";

// ---------------------------------------------------------------- buttons and keys

const toggleTheme = () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
$("theme").addEventListener("click", toggleTheme);
$("play").addEventListener("click", () => player.toggle());
$("in").addEventListener("click", () => view.zoom(0.5));
$("out").addEventListener("click", () => view.zoom(2));
$("fit").addEventListener("click", () => view.show(0, data.seconds));
$("speed").addEventListener("change", () => player.setRate(Number($("speed").value)));

function choose(tab) {
  document.querySelector("main").dataset.tab = tab;
  for (const name of ["talk", "events"]) $(`tab-${name}`).setAttribute("aria-selected", name === tab);
  events.refresh();
}
$("tab-talk").addEventListener("click", () => choose("talk"));
$("tab-events").addEventListener("click", () => choose("events"));
choose("talk");

const KEYS = {
  " ": () => player.toggle(),
  "+": () => view.zoom(0.5, player.at >= view.start && player.at <= view.end ? player.at : undefined),
  "=": () => view.zoom(0.5),
  "-": () => view.zoom(2),
  0: () => view.show(0, data.seconds),
  ArrowLeft: () => view.pan(-view.span / 8),
  ArrowRight: () => view.pan(view.span / 8),
  Home: () => view.show(0, view.span),
  End: () => view.show(data.seconds, view.span),
  "/": () => $("search").focus(),
  t: toggleTheme,
  Escape: () => events.close(),
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select")) return;
  if (event.key === " " && event.target.matches("button")) return;  // presses the button
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});
player.seek(0);
document.documentElement.dataset.ready = "true";
