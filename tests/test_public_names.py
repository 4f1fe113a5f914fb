"""What is public: these modules and names, all of them documented. Everything else may change at any time."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import azure_rt_audio

PACKAGE = Path(azure_rt_audio.__file__).parent

PUBLIC = {
    "azure_rt_audio": """
        AzureRealTimeAudio AzureRealTimeOptions BrokenExtraError Closed ConnectError
        ConnectionClosedError ContentPart Conversation ConversationEntry DecodeError
        DispatchOverflowError Dispatcher FunctionCallItem FunctionCallOutputItem FunctionTool Init
        InlineDispatcher InputAudioTranscription McpListingError McpServer MessageItem
        MissingExtraError ModelStatusEnum
        NoiseReduction NotebookDispatcher PendingResponse QtDispatcher QueueDispatcher RealtimeError
        ReconnectPolicy Reconnected Reconnecting
        Recorder RecordingError Response ResponseActiveError ResponseConfig ResponseIncompleteError
        ResponseLostError ResponseSupersededError Secret SendLag ServiceError Session SessionConfig
        StatusChanged Subscription TkDispatcher Tool ToolChoice ToolContext ToolError Tools
        TranscriptionFailedError TurnDetection UNSET
        WebSocketOptions WebSocketState WorkerDispatcher
        __version__
    """,
    "azure_rt_audio.audio": """
        AudioLike AudioReader Channel Converter Resampler SAMPLE_RATE_HZ SoundWarning WavWriter alaw_decode
        alaw_encode
        bytes_per_ms check_base64 decode_base64 duration_ms read_audio read_wav resample to_array
        to_pcm16 ulaw_decode ulaw_encode write_audio write_wav
    """,
    "azure_rt_audio.devices": """
        Device DeviceError DeviceEvent DeviceLost DeviceOpened Microphone MicrophoneLike Played
        SimulatedMicrophone SimulatedSpeaker Speaker SpeakerLike list_devices
    """,
    "azure_rt_audio.dispatch": """
        Dispatcher InlineDispatcher NotebookDispatcher QtDispatcher QueueDispatcher TkDispatcher
        WorkerDispatcher
    """,
    "azure_rt_audio.emulator": """
        Attempt BadFrame Behaviour ChatModel Clock Close Connection Conversation Delay Detector
        Difference Drop
        Emulator EnergyDetector Failure Faults FunctionCall IgnorePings Item ManualClock Part
        Recogniser Redirect Refuse Reply Rule Say SendRaw Session SessionEngine Silence
        SileroDetector StopReading Swallow Synthesiser SystemClock after after_seconds at_handshake before
        default_recogniser default_responder on_command speak synthesise
    """,
    "azure_rt_audio.errors": """
        BrokenExtraError ConnectError ConnectionClosedError DecodeError DeviceError
        DispatchOverflowError McpListingError MissingExtraError RealtimeError RecordingError
        ResponseActiveError ResponseIncompleteError ResponseLostError ResponseSupersededError ServiceError
        TranscriptionFailedError classify
    """,
    "azure_rt_audio.events": """
        Closed ConversationCreated ConversationInfo ConversationItemAdded ConversationItemDeleted
        ConversationItemDone ConversationItemInputAudioTranscriptionCompleted
        ConversationItemInputAudioTranscriptionDelta ConversationItemInputAudioTranscriptionFailed
        ConversationItemInputAudioTranscriptionSegment ConversationItemRetrieved
        ConversationItemTruncated Error ErrorDetails Event GuardTripped Init InputAudioBufferCleared
        InputAudioBufferCommitted InputAudioBufferDtmfEventReceived InputAudioBufferSpeechStarted
        InputAudioBufferSpeechStopped InputAudioBufferTimeoutTriggered LogProbability
        McpListToolsCompleted McpListToolsFailed McpListToolsInProgress OutputAudioBufferCleared
        OutputAudioBufferStarted OutputAudioBufferStopped PartEvent RateLimit RateLimitsUpdated
        Reconnected Reconnecting
        ResponseContentPartAdded ResponseContentPartDone ResponseCreated ResponseDone
        ResponseFunctionCallArgumentsDelta ResponseFunctionCallArgumentsDone
        ResponseMcpCallArgumentsDelta ResponseMcpCallArgumentsDone ResponseMcpCallCompleted
        ResponseMcpCallFailed ResponseMcpCallInProgress ResponseOutputAudioDelta
        ResponseOutputAudioDone ResponseOutputAudioTranscriptDelta ResponseOutputAudioTranscriptDone
        ResponseOutputItemAdded ResponseOutputItemDone ResponseOutputTextDelta
        ResponseOutputTextDone SendLag SessionClosed SessionCreated SessionInputTranscriptDelta
        SessionOutputAudioDelta SessionOutputTranscriptDelta SessionUpdated StatusChanged
        ToolApprovalRequested ToolEnded ToolProgress ToolStarted
        TranscriptionError TranscriptionInputTokens TranscriptionLanguage
        TranscriptionSessionCreated TranscriptionSessionUpdated TranscriptionUsage UnknownEvent
    """,
    "azure_rt_audio.qt": """
        RealtimeSignals
    """,
    "azure_rt_audio.recording": """
        ConnectionEnded Dropped End Entry Header Heard LevelsMeasured ListenerFailed Lost Note Opened Problem
        Received Reconnected Reconnecting Recording Sent ToolEnded ToolStarted UnknownEntry
    """,
    "azure_rt_audio.testing": """
        rt_emulator rt_replay
    """,
    "azure_rt_audio.tools": """
        McpServer Tool ToolContext ToolError Tools
    """,
    "azure_rt_audio.voice": """
        Cut EchoPolicy FirstSound Interrupted Levels MicrophoneLike Played SelfInterruption
        SpeakerLike VoiceEvent VoiceSession
    """,
}
"""A public module and the names to be imported from it."""

INTERNAL = {"client", "options", "protocol"}
"""Modules without an underscore; their public names are imported from the package, or from ``events``."""

INTERNAL_FILES = {
    "audio": "channels containers converter files g711 level pcm resample riff samples warning wav",
    "devices": "events interfaces microphone playback portaudio ring simulated speaker supervisor",
    "dispatch": "base mailbox notebook qt queued tk worker",
    "emulator": "dialects model replay server session speech",
    "recording": (
        "analysis document dropped_sound format lines page reconnections recording stereo subtitles timeline "
        "tracks"
    ),
    "tools": (
        "approver checks collection context declaration docstring layers mcp_server output schema shape tool"
    ),
    "voice": (
        "account canceller downlink echo echo_reference events interfaces played self_interruption "
        "session uplink"
    ),
}
"""The files and folders of a public package. They are internal: names are imported from the package."""

NEEDS_AN_EXTRA = {"azure_rt_audio.qt"}
"""Modules that are read here but not imported."""


def file_of(module: str) -> Path:
    """Return the source file of a module."""
    path = PACKAGE.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def exported(module: str) -> list[str]:
    """Return the ``__all__`` of a module."""
    if module not in NEEDS_AN_EXTRA:
        return list(importlib.import_module(module).__all__)
    for node in ast.parse(file_of(module).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    raise AssertionError(f"{module} has no __all__")


@functools.cache
def documented_constants() -> frozenset[str]:
    """Return the module-level names that are followed by a docstring."""
    return frozenset(_documented_constants())


def _documented_constants() -> Iterator[str]:
    for path in PACKAGE.rglob("*.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        for node, following in itertools.pairwise(body):
            is_documented = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
            if is_documented and isinstance(node, ast.AnnAssign):
                yield ast.unparse(node.target)
            elif is_documented and isinstance(node, ast.Assign):
                yield from map(ast.unparse, node.targets)


@pytest.mark.parametrize("module", PUBLIC)
def test_a_module_exports_its_public_names(module: str) -> None:
    """No fewer and no more: a new name is a promise, and one that is gone breaks programs."""
    assert sorted(exported(module)) == sorted(PUBLIC[module].split())


@pytest.mark.parametrize("module", sorted(PUBLIC.keys() - NEEDS_AN_EXTRA))
def test_every_public_name_is_documented(module: str) -> None:
    """A class, its methods and properties, a function, a constant and an alias have a docstring."""
    constants = documented_constants()
    source = importlib.import_module(module)

    assert source.__doc__
    missing = [
        place
        for name in PUBLIC[module].split()
        if not name.startswith("__")
        for place in undocumented(name, getattr(source, name), constants)
    ]
    assert missing == []


def undocumented(name: str, value: Any, constants: frozenset[str]) -> Iterator[str]:
    """Yield what of a public name has no docstring."""
    if inspect.isclass(value):
        if not vars(value).get("__doc__"):
            yield name
        for member, inner in vars(value).items():
            is_code = isinstance(inner, property | classmethod | staticmethod) or inspect.isfunction(inner)
            if is_code and not member.startswith("_") and not inspect.getdoc(getattr(value, member)):
                yield f"{name}.{member}"
    elif inspect.isroutine(value):
        if not value.__doc__:
            yield name
    elif name not in constants:
        yield name


def test_every_module_is_public_or_internal() -> None:
    """A new module has an underscore, or its place in the lists above."""
    modules = {
        path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    public = {module.partition(".")[2] for module in PUBLIC} - {""}

    assert {module for module in modules if not module.startswith("_")} == public | INTERNAL


@pytest.mark.parametrize("package", INTERNAL_FILES)
def test_a_public_package_has_no_public_files(package: str) -> None:
    """A new file has an underscore, or its place in the list above."""
    files = {
        path.stem
        for path in (PACKAGE / package).iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }

    assert sorted(file for file in files if not file.startswith("_")) == INTERNAL_FILES[package].split()


def test_no_public_package_is_forgotten() -> None:
    """Each public folder has a list of its files."""
    assert {module.partition(".")[2] for module in PUBLIC if file_of(module).stem == "__init__"} - {
        ""
    } == set(INTERNAL_FILES)
