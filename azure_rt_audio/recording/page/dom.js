// Elements, times and colours. Text from the recording becomes text nodes only, never HTML.

const $ = (id) => document.getElementById(id);

function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

/** Seconds as a clock, 1:02:03.4; *digits* after the point. */
function clock(seconds, digits = 1) {
  const unit = 10 ** digits;
  const whole = Math.round(Math.max(0, seconds) * unit);
  const minutes = Math.floor(whole / unit / 60);
  const rest = ((whole - minutes * 60 * unit) / unit).toFixed(digits).padStart(digits ? 3 + digits : 2, "0");
  return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
}

/** A duration in words: 620 ms, 2.4 s. */
function lasting(seconds) {
  return seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
}

/** JSON on one line; other text as it is. */
function compact(text) {
  try {
    return JSON.stringify(JSON.parse(text));
  } catch {
    return text;
  }
}

/** When a call of a function was over: its output sent, and, of one in the background, its result there. */
function callEnd(call, seconds) {
  const isRunning = call.ran_from !== null && call.ran_until === null;
  return isRunning ? seconds : Math.max(call.end ?? call.start, call.ran_until ?? call.start);
}

function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

/** The first index at which *isBeyond*, in a list in which it stays true from there on. */
function firstIndex(length, isBeyond) {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isBeyond(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** *text* with marks around each occurrence of *words*, as nodes. */
function marked(text, words) {
  if (!words) return [text];
  const nodes = [];
  const lower = text.toLowerCase();
  let from = 0;
  // Lower case may be longer than the text in some languages; then nothing is marked.
  for (let at = lower.length === text.length ? lower.indexOf(words) : -1; at >= 0; at = lower.indexOf(words, from)) {
    nodes.push(text.slice(from, at), element("mark", "", text.slice(at, at + words.length)));
    from = at + words.length;
  }
  nodes.push(text.slice(from));
  return nodes.filter((node) => node !== "");
}

const colours = {};

function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["paper", "panel", "line", "text", "quiet", "you", "you-soft", "model", "model-soft", "tool",
    "tool-soft", "wait", "wait-soft", "error", "error-soft", "match", "cursor"]) {
    colours[name] = style.getPropertyValue(`--${name}`).trim();
  }
}

/** The context of a canvas of its size on the screen, cleared. */
function prepared(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return [context, width, height];
}

function bytesOf(id) {
  const text = $(id).textContent;
  const parts = [];
  let size = 0;
  for (let at = 0; at < text.length; at += 1 << 20) {  // base64 may be divided at multiples of four
    const binary = atob(text.slice(at, at + (1 << 20)));
    const bytes = new Uint8Array(binary.length);
    for (let index = 0; index < binary.length; index++) bytes[index] = binary.charCodeAt(index);
    parts.push(bytes);
    size += bytes.length;
  }
  if (parts.length === 1) return parts[0];
  const whole = new Uint8Array(size);
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
