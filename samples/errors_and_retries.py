"""
What can go wrong, and what to do about it: try again, mend it, or let it be.

Threads: listeners of ``error`` run on ``azure-rt-events-N``, everything else on the main thread.
"""

from __future__ import annotations

import threading

from _service import service

from azure_rt_audio import AzureRealTimeAudio, AzureRealTimeOptions, ConnectError, RealtimeError, ServiceError
from azure_rt_audio.emulator import Faults, Refuse, at_handshake

journal: list[str] = []
CURABLE = ("connection_error", "rate_limit_error", "server_error")  # a wrong key stays wrong


def on_error(error: RealtimeError) -> None:
    """Write down every error, whoever else is told; benign ones need nothing at all."""
    harm = "harmless" if isinstance(error, ServiceError) and error.is_benign else error.type
    journal.append(f"{harm}: {error.code or error.status}")


def connect(options: AzureRealTimeOptions, patience: int = 4) -> AzureRealTimeAudio:
    """Connect; wait and try again where that can help."""
    for attempt in range(patience):
        client = AzureRealTimeAudio(options)
        client.on("error", on_error)
        try:
            client.wait_until_ready()
            return client
        except ConnectError as error:
            client.close()
            if error.type not in CURABLE:
                raise
            pause = error.retry_after or 0.5 * 2**attempt
            print(f"HTTP {error.status}, again in {pause} s")
            threading.Event().wait(pause)
    raise TimeoutError(f"no connection after {patience} attempts")


def main() -> None:
    """Meet a busy service, a refusal, a mistake and a trifle."""
    busy = Faults(at_handshake(Refuse(429, retry_after_ms=200), times=2))
    with service({"modalities": ["text"]}, faults=busy) as options, connect(options) as client:
        try:
            client.delete_item("no_such_item").result(timeout=10)
        except ServiceError as error:
            print(f"refused by the service: {error.code}")
        try:
            client.update_session({"voise": "alloy"})
        except ValueError as error:
            print(f"never sent: {error}")
        client.cancel_response()  # there is none: the service says so, and goes on
        print(client.ask("Hello!").text)
    print("\n".join(journal))


if __name__ == "__main__":
    main()
