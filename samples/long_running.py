"""
A program that runs for a long time: connections end, and the conversation goes on.

On the emulator the network drops before an answer begins, the service refuses the next attempt, and later a
session reaches its maximum age in the middle of an answer. In the end the program goes over to another
connection before the one that it has ends, as happens by itself before a session's time is up. The program is
written as if connections lasted for ever; it only prints what it is told.

Threads: listeners run on the main thread, in ``run_pending``.
"""

from __future__ import annotations

from _service import service

from azure_rt_audio import (
    AzureRealTimeAudio,
    QueueDispatcher,
    Reconnected,
    Reconnecting,
    ReconnectPolicy,
    ResponseLostError,
)
from azure_rt_audio.emulator import Close, Drop, Faults, Refuse, after, at_handshake, on_command

POLICY = ReconnectPolicy(initial_delay=0.1, max_seconds=300)
EXPIRED = Close(1001, "Your session hit the maximum duration of 60 minutes.")
QUESTIONS = ("Remember the word cello.", "Please count to 3.", "Hello!", "Goodbye!")


def on_reconnecting(event: Reconnecting) -> None:
    """Tell of each attempt."""
    print(f"  {event.reason}: attempt {event.attempt} to connect again")


def on_reconnected(event: Reconnected) -> None:
    """Tell what the new session knows."""
    how = "connected beforehand" if event.is_planned else "connected"
    print(f"  {how}: {len(event.restored)} items restored, {len(event.lost)} lost")


def main() -> None:
    """Ask a few questions over several connections."""
    faults = Faults()
    with (
        service({"modalities": ["text"]}, faults=faults) as options,
        AzureRealTimeAudio(options, dispatcher=QueueDispatcher(), reconnect=POLICY) as client,
    ):
        client.on("reconnecting", on_reconnecting)
        client.on("reconnected", on_reconnected)
        for number, question in enumerate(QUESTIONS):
            if number == 1:
                faults.add(on_command("response.create", Drop()))
                faults.add(at_handshake(Refuse(503)))
            elif number == 2:
                faults.add(after("response.text.delta", EXPIRED, count=None))
            elif number == 3:
                client.reconnect().result(timeout=30)
            try:
                answer = client.ask(question).text
            except ResponseLostError as error:  # the program had read some of it already
                answer = f"{error.response.text} [cut off]"
            client.run_pending()
            print(answer)
        print(f"{len(client.conversation)} items in all")


if __name__ == "__main__":
    main()
