"""
Errors: which to retry, which to fix, which to ignore.

Threads: listeners of ``error`` run on ``azure-rt-events-N``, everything else on the main thread.
"""

from __future__ import annotations

import threading

from _service import service

from azure_rt_audio import AzureRealTimeAudio, AzureRealTimeOptions, ConnectError, RealtimeError, ServiceError
from azure_rt_audio.emulator import Faults, Refuse, at_handshake

errors_seen: list[str] = []
RETRIABLE = ("connection_error", "rate_limit_error", "server_error")  # a wrong key stays wrong


def on_error(error: RealtimeError) -> None:
    """Record every error, also those that a call raises; benign ones need no handling."""
    kind = "benign" if isinstance(error, ServiceError) and error.is_benign else error.type
    errors_seen.append(f"{kind}: {error.code or error.status}")


def connect(options: AzureRealTimeOptions, max_attempts: int = 4) -> AzureRealTimeAudio:
    """Connect; wait and retry where that can help."""
    for attempt in range(max_attempts):
        client = AzureRealTimeAudio(options)
        client.on("error", on_error)
        try:
            client.wait_until_ready()
            return client
        except ConnectError as error:
            client.close()
            if error.type not in RETRIABLE:
                raise
            pause = error.retry_after or 0.5 * 2**attempt
            print(f"HTTP {error.status}, retry in {pause} s")
            threading.Event().wait(pause)
    raise TimeoutError(f"no connection after {max_attempts} attempts")


def main() -> None:
    """Show a busy service, a refused request, a misspelt field and a benign error."""
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
        client.cancel_response()  # nothing is in progress: the service reports a benign error
        print(client.ask("Hello!").text)
    print("\n".join(errors_seen))


if __name__ == "__main__":
    main()
