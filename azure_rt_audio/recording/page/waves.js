// A waveform: lowest and highest samples of short pieces, and of 8, 64, … of these together.

const STEP = 8;

class Wave {
  /** *bytes*: the lowest and the highest sample of each piece, plus 128. */
  constructor(bytes, pieceSeconds) {
    this.pieceSeconds = pieceSeconds;
    this.levels = [bytes];
    while (this.levels[this.levels.length - 1].length > 2 * 2000) {
      this.levels.push(coarser(this.levels[this.levels.length - 1]));
    }
    this.loudest = 1;
    for (const sample of this.levels[this.levels.length - 1]) {
      this.loudest = Math.max(this.loudest, Math.abs(sample - 128));
    }
  }

  /** Draw seconds *start* to *end* into a rectangle. */
  draw(context, start, end, left, top, width, height, colour) {
    const perPixel = (end - start) / width / this.pieceSeconds;
    let level = 0;
    while (level + 1 < this.levels.length && perPixel >= STEP ** (level + 1)) level++;
    const bytes = this.levels[level];
    const size = this.pieceSeconds * STEP ** level;
    const middle = top + height / 2;
    const scale = height / 2 / Math.max(24, this.loudest);
    context.fillStyle = colour;
    context.beginPath();
    for (let x = 0; x < width; x++) {
      const from = start + ((end - start) * x) / width;
      const first = Math.max(0, Math.floor(from / size));
      const last = Math.max(first + 1, Math.ceil((from + (end - start) / width) / size));
      let low = 128;
      let high = 128;
      for (let piece = first; piece < last && 2 * piece < bytes.length; piece++) {
        if (bytes[2 * piece] < low) low = bytes[2 * piece];
        if (bytes[2 * piece + 1] > high) high = bytes[2 * piece + 1];
      }
      if (high > low) {
        context.rect(left + x, middle - (high - 128) * scale, 1, Math.max(1, (high - low) * scale));
      }
    }
    context.fill();
  }
}

function coarser(bytes) {
  const pieces = Math.ceil(bytes.length / 2 / STEP);
  const made = new Uint8Array(2 * pieces);
  for (let piece = 0; piece < pieces; piece++) {
    let low = 128;
    let high = 128;
    const end = Math.min(bytes.length, 2 * STEP * (piece + 1));
    for (let at = 2 * STEP * piece; at < end; at += 2) {
      if (bytes[at] < low) low = bytes[at];
      if (bytes[at + 1] > high) high = bytes[at + 1];
    }
    made[2 * piece] = low;
    made[2 * piece + 1] = high;
  }
  return made;
}
