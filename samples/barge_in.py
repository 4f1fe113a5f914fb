"""
Barge-in: the user speaks over an answer; playback stops at once, and the answer is truncated there.

With ``--devices`` you speak, with microphone and speaker; otherwise two recordings are played.

Threads: ``azure-rt-voice-N`` records and sends, a listener thread of the voice session plays and interrupts;
``show`` runs like other listeners, on ``azure-rt-events-N``; the main thread waits.
"""

from __future__ import annotations

import queue
from importlib.resources import files
from typing import Any

from _service import parser, service

from azure_rt_audio import AzureRealTimeAudio
from azure_rt_audio.audio import read_wav
from azure_rt_audio.devices import SimulatedMicrophone, SimulatedSpeaker
from azure_rt_audio.voice import FirstSound, Interrupted

ANSWER = "It is sunny in Lisbon. Tomorrow there may be some clouds, and on the day after that a little rain."


def recording(name: str) -> bytes:
    """Return a recording of the package, as PCM16."""
    with (files("azure_rt_audio") / "data" / f"{name}.wav").open("rb") as file:
        return read_wav(file)


def main() -> None:
    """Ask, listen for a moment, interrupt."""
    parser.add_argument("--devices", action="store_true", help="use your microphone and speaker")
    has_devices = parser.parse_args().devices
    events: queue.Queue[Any] = queue.Queue()

    def show(event: Any) -> None:
        if isinstance(event, FirstSound):
            print("the answer begins")
            events.put(event)
        elif isinstance(event, Interrupted):
            for cut in event.cuts:
                was_cut = 0 < cut.heard_ms < cut.received_ms
                print("interrupted:", "truncated where playback stopped" if was_cut else "nothing was played")
            events.put(event)

    session = {"turn_detection": {"type": "server_vad", "silence_duration_ms": 500}}
    with (
        service(
            session, recogniser=["What is the weather like in Lisbon?", "Stop."], responder=lambda *_: ANSWER
        ) as options,
        AzureRealTimeAudio(options) as client,
    ):
        client.on("conversation.item.truncated", lambda event: events.put(event))
        if has_devices:
            with client.talk(on_event=show) as voice:
                voice.wait()
            return
        microphone = SimulatedMicrophone(recording("question"))
        with client.talk(microphone, SimulatedSpeaker(), echo="headphones", on_event=show):
            events.get(timeout=30)  # the first sound of the answer
            microphone.say(recording("interruption"))
            kinds = {type(events.get(timeout=30)).__name__ for _ in range(2)}
            print("truncation confirmed by the service:", "ConversationItemTruncated" in kinds)


if __name__ == "__main__":
    main()
