"""The pages of the documentation that error texts and helps name, where a page explains more."""

from __future__ import annotations

from typing import Final

__all__ = [
    "ARRAYS",
    "CERTIFICATES",
    "COMMANDS",
    "ENTRA_ID",
    "ERRORS",
    "EVENTS",
    "EXTRAS",
    "FORKING",
    "LIMITS",
    "PROXIES",
    "THREADS",
    "TRANSCRIPTS",
    "WAITING",
]

ARRAYS: Final = "See docs/how-to/speech-from-arrays.md."
CERTIFICATES: Final = "See docs/how-to/certificates.md."
ENTRA_ID: Final = "See docs/how-to/entra-id.md."
ERRORS: Final = "See docs/how-to/errors-and-retries.md."
EVENTS: Final = "See docs/reference/events.md."
EXTRAS: Final = "See docs/reference/extras.md."
FORKING: Final = "See docs/how-to/forking.md."
LIMITS: Final = "See docs/how-to/usage-and-limits.md."
PROXIES: Final = "See docs/how-to/proxies.md."
THREADS: Final = "See docs/explanation/threads.md."
TRANSCRIPTS: Final = "See docs/how-to/transcripts.md."
WAITING: Final = "See docs/how-to/waiting.md."

COMMANDS: Final = {
    "demo": "See docs/tutorial/first-conversation.md.",
    "talk": "See docs/how-to/echo.md and docs/how-to/microphone.md.",
    "chat": "See docs/tutorial/first-conversation.md.",
    "speak": "See docs/reference/command-line.md.",
    "transcribe": "See docs/how-to/transcripts.md.",
    "devices": "See docs/how-to/microphone.md.",
    "replay": "See docs/how-to/recordings.md.",
    "emulator": "See docs/how-to/testing.md and docs/explanation/emulator.md.",
}
"""Of each command of the command line."""
