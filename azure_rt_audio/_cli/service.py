"""Selects the service of a command: Azure if the environment configures it, else the emulator."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs
from attrs import frozen

from .. import AzureRealTimeAudio, AzureRealTimeOptions, ReconnectPolicy, SessionConfig, Tools
from .._printable import one_line
from ..protocol.dialects import DIALECTS
from ..protocol.endpoint import parse_endpoint
from ..protocol.session_defaults import with_transcription
from . import UsageError
from .speech import open_speech
from .texts import option_text

if TYPE_CHECKING:
    from ..dispatch import Dispatcher
    from ..emulator.model.replies import ResponderFunction
    from ..protocol.endpoint import Endpoint

__all__ = [
    "TRANSCRIPTION_VARIABLE",
    "VARIABLES",
    "Service",
    "add_service_arguments",
    "new_client",
    "open_service",
    "tell_remedies",
]

TRANSCRIPTION_VARIABLE: Final = "AZURE_OPENAI_TRANSCRIPTION_DEPLOYMENT"
VARIABLES: Final = ("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_DEPLOYMENT")

_AZURE_DOMAINS: Final = ("azure.com", "azure.us", "azure.cn")

_TEMPO: Final = 4.0
_PACE: Final = 1.5 * _TEMPO
_SECONDS_PER_WORD: Final = 0.03


@frozen(kw_only=True)
class Service:
    """
    A service to connect to.

    Attributes:
        name: Description on one line.
        label: The resource and the deployment, short enough for a title.
        speech: An emulator's speech recognition and synthesis, as predicates of "it".
        remedies: How to install missing features; a sentence each.
        speaks_clearly: Whether a recogniser understands its voice.
        listen: Recognises its voice in PCM16, 24 000 Hz; ``None`` if there is no recogniser or no voice.
        tempo: Speed of microphone and speaker relative to real time; 1.0 with a real service.
        is_embedded: Whether it is an emulator inside this process.
        record: A file to record into, or ``None``.
    """

    options: AzureRealTimeOptions
    name: str
    label: str
    tempo: float
    is_embedded: bool
    speech: str = ""
    remedies: tuple[str, ...] = ()
    speaks_clearly: bool = False
    listen: Callable[[bytes], str] | None = None
    record: str | None = None


def new_client(
    service: Service,
    dispatcher: Dispatcher | None = None,
    *,
    number: int = 1,
    does_reconnect: bool = True,
    history: str | None = None,
    tools: Tools | None = None,
) -> AzureRealTimeAudio:
    """
    Return a client of the service, which connects, and records if it was asked to.

    Args:
        number: Counts the clients of a command; each records into a file of its own.
        does_reconnect: Whether its session outlives a connection.
        history: A conversation to go on with, as JSON.
        tools: For the model to call.

    Raises:
        UsageError: The recording cannot be made, or the session cannot have the tools.
    """
    record = None if service.record is None else Path(service.record)
    if record is not None and number > 1:
        record = record.with_name(f"{record.stem}-{number}{record.suffix}")
    reconnect = ReconnectPolicy() if does_reconnect else None
    try:
        return AzureRealTimeAudio(
            service.options,
            dispatcher=dispatcher,
            record=record,
            reconnect=reconnect,
            history=history,
            tools=tools,
        )
    except ValueError as exc:
        if tools is None:
            raise
        raise UsageError(f"--tools: {exc}") from exc  # such as MCP servers in a dialect without
    except OSError as exc:
        raise UsageError(f"--record {record}: {exc.strerror or exc}") from exc


def add_service_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that select the service."""
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument(
        "--emulator",
        dest="where",
        action="store_const",
        const="emulator",
        help="use the emulator, even if the environment configures an Azure resource",
    )
    choice.add_argument(
        "--azure",
        dest="where",
        action="store_const",
        const="azure",
        help="use Azure, and fail if the environment does not configure it",
    )
    parser.add_argument(
        "--dialect", choices=tuple(DIALECTS), default="ga", help="dialect of the protocol (default: ga)"
    )
    parser.add_argument(
        "--transcription-deployment",
        metavar="NAME",
        type=option_text,
        help="transcribe the user with this deployment (default on Azure: what "
        f"{TRANSCRIPTION_VARIABLE} names, or no transcription)",
    )
    parser.add_argument(
        "--record",
        metavar="FILE",
        help="record everything that is said and heard into a new file, such as session.rta",
    )


@contextmanager
def open_service(
    arguments: argparse.Namespace,
    session: SessionConfig,
    recordings: Mapping[bytes, str],
    *,
    reply: ResponderFunction | None = None,
    will_hear: bool = False,
    needs_transcripts: bool = False,
) -> Iterator[Service]:
    """
    Yield the selected service; an emulator runs until the end of the block, and is told of.

    Args:
        recordings: Transcripts of PCM16 recordings for an emulator, which take precedence over its
            recogniser; the bundled recordings are known.
        reply: An emulator's answers; ``None`` for rule-based ones.
        will_hear: Whether speech will be sent soon; loads the recogniser in advance.
        needs_transcripts: Whether the command is useless without a transcription of the user.

    Raises:
        UsageError: The environment is incomplete or invalid.
        MissingExtraError: The emulator's dependencies are not installed.
    """
    missing = _missing()
    if arguments.transcription_deployment is not None:
        session = with_transcription(session, arguments.transcription_deployment)
    is_configured = any(os.environ.get(name) for name in (*VARIABLES, TRANSCRIPTION_VARIABLE))
    if arguments.where == "emulator" or (arguments.where is None and not is_configured):
        if will_hear:
            session = with_transcription(session, "gpt-4o-transcribe")
        is_chosen = arguments.where == "emulator"
        with _embedded(arguments.dialect, session, recordings, reply, will_hear, is_chosen) as service:
            _tell_invented(arguments, service)
            yield attrs.evolve(service, record=arguments.record)
        return
    if missing:
        raise UsageError(
            f"for Azure, set {', '.join(missing)} in the environment; or use the emulator with --emulator"
        )
    if needs_transcripts and not (
        arguments.transcription_deployment or os.environ.get(TRANSCRIPTION_VARIABLE)
    ):
        raise UsageError(
            "for Azure, name the deployment that transcribes: --transcription-deployment NAME, or "
            f"{TRANSCRIPTION_VARIABLE} in the environment"
        )
    try:
        options = AzureRealTimeOptions.from_env(dialect=arguments.dialect, session_config=session)
    except (ValueError, TypeError) as exc:
        raise UsageError(f"{exc}; or use the emulator with --emulator") from exc
    yield Service(
        options=options,
        name=f"{options.endpoint.authority}, deployment {options.deployment} (from the environment)",
        label=f"{_resource(options.endpoint)} · {options.deployment}",
        tempo=1.0,
        is_embedded=False,
        record=arguments.record,
    )


def _missing() -> list[str]:
    """Return the variables that Azure still needs; an endpoint may name the deployment itself."""
    missing = [name for name in VARIABLES if not os.environ.get(name)]
    if missing == ["AZURE_OPENAI_DEPLOYMENT"]:
        with suppress(ValueError):  # which is told when the options are made
            return [] if parse_endpoint(os.environ["AZURE_OPENAI_ENDPOINT"]).deployment else missing
    return missing


def _tell_invented(arguments: argparse.Namespace, service: Service) -> None:
    """Say on standard error that no model answers: what a command prints may go into a file."""
    command = getattr(arguments, "command", "")
    print(
        f"azure-rt-audio {command}: an emulator in this process answers, not Azure: it has no model, "
        f"{service.speech}",
        file=sys.stderr,
        flush=True,
    )


def tell_remedies(arguments: argparse.Namespace, service: Service) -> None:
    """Say on standard error how an emulator would understand words, or speak them."""
    for remedy in service.remedies:
        print(one_line(f"azure-rt-audio {arguments.command}: {remedy}"), file=sys.stderr, flush=True)


def _resource(endpoint: Endpoint) -> str:
    """Return the name of an Azure resource, which is the first part of its host; other hosts in full."""
    if endpoint.is_loopback:
        return "this machine"
    name, _, domain = endpoint.host.partition(".")
    return name if domain.lower().endswith(_AZURE_DOMAINS) else endpoint.host


@contextmanager
def _embedded(
    dialect: str,
    session: SessionConfig,
    recordings: Mapping[bytes, str],
    reply: ResponderFunction | None,
    will_hear: bool,
    is_chosen: bool,
) -> Iterator[Service]:
    from ..emulator import Delay, Emulator, Faults, before

    # Audio is sent somewhat faster than it is played, and text at reading speed, as by the real service: so
    # an answer can be watched and interrupted.
    slow_text = before("response.text.delta", Delay(_SECONDS_PER_WORD), count=None, times=None)
    with (
        open_speech(recordings, will_hear=will_hear) as speech,
        Emulator(
            responder=reply,
            recogniser=speech.recognise,
            detector=speech.detector,
            synthesiser=speech.voice,
            pace=_PACE,
            faults=Faults(slow_text),
        ) as emulator,
    ):
        why = " (--emulator)" if is_chosen else ", as the environment configures no Azure resource"
        yield Service(
            options=AzureRealTimeOptions(**emulator.options(dialect), session_config=session),
            name=f"the emulator in this process{why}",
            label="emulator",
            tempo=_TEMPO,
            is_embedded=True,
            speech=speech.description,
            remedies=speech.remedies,
            speaks_clearly=speech.engine == "flite",
            listen=speech.listen,
        )
