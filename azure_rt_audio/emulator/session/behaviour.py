"""The settings of a session that its user replaces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ..model.deployments import ANY_DEPLOYMENT, Deployments
from ..model.replies import McpServers, RecogniserFunction, ResponderFunction, SynthesiserFunction
from ..speech.rule_responder import default_responder
from ..speech.scripted_recogniser import default_recogniser
from ..speech.tones import synthesise
from ..speech.vad import Detector, EnergyDetector

__all__ = ["Behaviour"]


@dataclass(frozen=True)
class Behaviour:
    """
    Immutable settings of a session.

    Attributes:
        responder: Gives the answers; see :mod:`~..model.replies`.
        recogniser: Transcribes user audio.
        synthesiser: Turns answers into audio.
        detector: Makes the detector of speech; see :mod:`~..speech.vad`.
        pace: Seconds of audio sent per second; 0 sends as fast as it can be made.
        first_delay: Seconds before the first output of a response.
        session_seconds: Maximum duration of a session.
        mcp_tools: Functions by the label of an MCP server and the name of a tool.
        deployments: Which models there are.
        renames_items: Whether items whose ids another session has made get new ones.
        refuses_calls: Whether the client may not create function calls.
        writes_on: Whether answers that the client created as text keep it from speaking.
        seed: Of the ids, to make them repeat; ``None`` makes them random. Sessions of one seed have the same.
    """

    responder: ResponderFunction = default_responder
    recogniser: RecogniserFunction = default_recogniser
    synthesiser: SynthesiserFunction = synthesise
    detector: Callable[[], Detector] = EnergyDetector
    pace: float = 0.0
    first_delay: float = 0.0
    session_seconds: float = 3600.0
    mcp_tools: McpServers = field(default_factory=dict)
    deployments: Deployments = ANY_DEPLOYMENT
    renames_items: bool = False
    refuses_calls: bool = False
    writes_on: bool = False
    seed: int | str | None = None
