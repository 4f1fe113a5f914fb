"""
The program of a recogniser's process: audio on standard input, words on standard output.

Run by path, never imported: it knows nothing of this package. A request is its length in bytes, a
little-endian integer of 4 bytes, and PCM16, 16 000 Hz, mono. The answer is one line of JSON: a text,
``""`` if nothing was understood. Input that ends is the end. If
pocketsphinx cannot be imported, the only line says why: ``{"broken": reason}``.
"""

from __future__ import annotations

import json
import sys


def main() -> None:
    """Recognise until the input ends."""
    try:
        from pocketsphinx import Decoder
    except Exception as error:  # noqa: BLE001 - reported to the parent
        sys.stdout.write(json.dumps({"broken": f"{type(error).__name__}: {error}"}) + "\n")
        return
    decoder = Decoder(samprate=16_000, loglevel="FATAL")
    sound, words = sys.stdin.buffer, sys.stdout
    print(json.dumps("ready"), file=words, flush=True)
    while len(header := sound.read(4)) == 4:
        pcm = sound.read(int.from_bytes(header, "little"))
        decoder.start_utt()
        # In one piece: its loudness is then known beforehand, so that what is understood depends on
        # nothing that was said earlier.
        decoder.process_raw(pcm, no_search=False, full_utt=True)
        decoder.end_utt()
        found = decoder.hyp()
        print(json.dumps(found.hypstr if found is not None else ""), file=words, flush=True)


if __name__ == "__main__":
    main()
