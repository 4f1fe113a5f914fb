"""What came of a response whose end did not."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from ..protocol.conversation import Conversation
from ..protocol.events import Event, ResponseCreated, ResponseDone, ResponseOutputAudioDelta
from ..protocol.responses import Response

__all__ = ["streamed_response"]


def streamed_response(pieces: Sequence[Event]) -> Response | None:
    """Return the response that events brought; ``None`` if it never began."""
    if not pieces:
        return None
    begun = next((event.response for event in pieces if isinstance(event, ResponseCreated)), Response())
    response = evolve(begun, status="incomplete", output=[])
    mirror = Conversation()  # completes the output of a response that ends by what streamed
    for event in (*pieces, ResponseDone(response=response)):
        mirror._apply(event)
    response._keep_sound([event for event in pieces if isinstance(event, ResponseOutputAudioDelta)])
    return response
