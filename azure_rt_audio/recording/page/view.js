// Which part of the recording is shown; wheel, pinch, dragging and keys change it.

const MIN_SPAN = 0.5;

class View {
  constructor(seconds) {
    this.seconds = Math.max(seconds, MIN_SPAN);
    this.start = 0;
    this.span = this.seconds;
    this.listeners = [];
  }

  get end() {
    return this.start + this.span;
  }

  show(start, span) {
    this.span = clamp(span, Math.min(MIN_SPAN, this.seconds), this.seconds);
    this.start = clamp(start, 0, this.seconds - this.span);
    for (const listener of this.listeners) listener();
  }

  zoom(factor, at = this.start + this.span / 2) {
    const span = clamp(this.span * factor, Math.min(MIN_SPAN, this.seconds), this.seconds);
    this.show(at - (at - this.start) * (span / this.span), span);
  }

  pan(seconds) {
    this.show(this.start + seconds, this.span);
  }

  /** Move so that *at* is in the middle, unless it is well inside. */
  reveal(at, span = this.span) {
    const margin = this.span * 0.05;
    if (span === this.span && at > this.start + margin && at < this.end - margin) return;
    this.show(at - span / 2, span);
  }

  x(at, width) {
    return ((at - this.start) / this.span) * width;
  }

  at(x, width) {
    return this.start + (x / width) * this.span;
  }
}

/** Let wheel, fingers and mouse on *canvas* move *view*; a click is *onClick(x, y)*. */
function follow(canvas, view, onClick) {
  const pointers = new Map();
  let moved = 0;

  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const width = canvas.clientWidth;
    const lines = event.deltaMode === 1 ? 16 : 1;
    const across = (event.shiftKey ? event.deltaY || event.deltaX : event.deltaX) * lines;
    if (!event.ctrlKey && (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY))) {
      view.pan((across / width) * view.span);
    } else {
      const strength = event.ctrlKey ? 0.01 : 0.002;
      view.zoom(Math.exp(clamp(event.deltaY * lines, -300, 300) * strength), view.at(event.offsetX, width));
    }
  }, { passive: false });

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, event.offsetX);
    if (pointers.size === 1) moved = 0;
  });

  canvas.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (before === undefined) return;
    const width = canvas.clientWidth;
    const others = [...pointers].filter(([id]) => id !== event.pointerId).map(([, x]) => x);
    moved += Math.abs(event.offsetX - before);
    if (others.length) {
      const other = others[0];
      const was = Math.max(8, Math.abs(before - other));
      const is = Math.max(8, Math.abs(event.offsetX - other));
      view.zoom(was / is, view.at(other, width));
    } else if (moved > 4) {
      view.pan(((before - event.offsetX) / width) * view.span);
    }
    pointers.set(event.pointerId, event.offsetX);
  });

  const lift = (event) => {
    const wasAlone = pointers.size === 1;
    if (!pointers.delete(event.pointerId)) return;
    if (event.type === "pointerup" && wasAlone && moved <= 4) onClick(event.offsetX, event.offsetY);
  };
  canvas.addEventListener("pointerup", lift);
  canvas.addEventListener("pointercancel", lift);
}
