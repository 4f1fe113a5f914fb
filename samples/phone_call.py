"""
A phone call: G.711 µ-law at 8 kHz, in packets of 20 ms both ways, as on a telephone line.

The caller is a recording, and the answer is saved as ``call.wav``; a gateway's socket would take their place.
When the caller begins to speak, queued playback is discarded.

Threads: the main thread is the line, one packet in and one packet out per tick; the service's packets come
from ``azure-rt-events-N``, through a queue.
"""

from __future__ import annotations

import queue
import threading
from contextlib import suppress
from importlib.resources import files

from _service import service

from azure_rt_audio import AzureRealTimeAudio
from azure_rt_audio.audio import Converter, WavWriter, read_wav, ulaw_decode
from azure_rt_audio.events import (
    InputAudioBufferSpeechStarted,
    ResponseDone,
    ResponseOutputAudioDelta,
)

PACKET = 160  # bytes: 20 ms
SILENCE = b"\xff" * PACKET
TICK_SECONDS = 0.02 / 4  # four times as fast as a real line
FORMATS = {"input_audio_format": "g711_ulaw", "output_audio_format": "g711_ulaw"}


class Call:
    """The packets that are queued for the caller."""

    def __init__(self, client: AzureRealTimeAudio) -> None:
        self.packets: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.is_answered = threading.Event()
        client.on(ResponseOutputAudioDelta, self.play)
        client.on(ResponseDone, self.finish)
        client.on(InputAudioBufferSpeechStarted, self.discard)

    def play(self, event: ResponseOutputAudioDelta) -> None:
        for start in range(0, len(event.audio), PACKET):
            self.packets.put(event.audio[start : start + PACKET].ljust(PACKET, b"\xff"))

    def finish(self, event: ResponseDone) -> None:
        print(f"said: {event.response.text}")
        self.is_answered.set()

    def discard(self, event: InputAudioBufferSpeechStarted) -> None:
        print("the caller speaks")
        with suppress(queue.Empty):
            while True:
                self.packets.get_nowait()

    def next_packet(self) -> bytes:
        try:
            return self.packets.get_nowait()  # after empty(), get() may wait: others take, too
        except queue.Empty:
            return SILENCE


def main() -> None:
    """Take the call, and hang up when the answer has been played."""
    with (files("azure_rt_audio") / "data" / "question.wav").open("rb") as file:
        line = Converter(from_hz=24_000, to_format="g711_ulaw")
        caller = line.feed(read_wav(file)) + line.finish()
    session = {**FORMATS, "turn_detection": {"type": "server_vad", "silence_duration_ms": 500}}
    with (
        service(
            session, recogniser=["Are you open today?"], responder=lambda *_: "Yes, until six."
        ) as options,
        AzureRealTimeAudio(options) as client,
        WavWriter("call.wav", 8_000) as heard,
    ):
        call, sent, tick = Call(client), 0, threading.Event()
        while not (call.is_answered.is_set() and call.packets.empty()):
            packet = caller[sent : sent + PACKET]
            sent += len(packet)
            client.append_audio(packet.ljust(PACKET, b"\xff"))
            heard.write(ulaw_decode(call.next_packet()))
            tick.wait(TICK_SECONDS)
    print("hung up, the call is saved as call.wav")


if __name__ == "__main__":
    main()
