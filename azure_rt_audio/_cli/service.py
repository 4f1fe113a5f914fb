"""Whom a command talks to: Azure if the environment names it, the emulator otherwise."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from attrs import frozen

from .. import AzureRealTimeOptions, SessionConfig
from ..protocol.dialects import DIALECTS
from ..protocol.session_defaults import with_transcription
from . import UsageError
from .speech import open_senses

if TYPE_CHECKING:
    from ..emulator.model.replies import ResponderFunction

__all__ = ["VARIABLES", "Service", "add_service_arguments", "open_service"]

TRANSCRIPTION_VARIABLE: Final = "AZURE_OPENAI_TRANSCRIPTION_DEPLOYMENT"
VARIABLES: Final = ("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_DEPLOYMENT")

_TEMPO: Final = 4.0
_PACE: Final = 1.5 * _TEMPO
_SECONDS_PER_WORD: Final = 0.03


@frozen(kw_only=True)
class Service:
    """
    Somebody to talk to.

    Attributes:
        name: Who it is, on one line.
        remark: What else a user should know.
        senses: How an emulator hears and sounds, after "it".
        remedies: What to install for what it cannot do; a sentence each.
        speaks_clearly: Whether a recogniser understands its voice.
        listen: What tells what it says in PCM16, 24 000 Hz; ``None`` if that is no words.
        tempo: Seconds of sound that pass in a second, at the microphone and at the loudspeaker: 1.0 with
            a service that lives in real time.
        is_embedded: Whether it is an emulator inside this process.
    """

    options: AzureRealTimeOptions
    name: str
    remark: str | None = None
    tempo: float
    is_embedded: bool
    senses: str = ""
    remedies: tuple[str, ...] = ()
    speaks_clearly: bool = False
    listen: Callable[[bytes], str] | None = None


def add_service_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what chooses the service."""
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument(
        "--emulator",
        dest="where",
        action="store_const",
        const="emulator",
        help="talk to the emulator even if the environment names an Azure resource",
    )
    choice.add_argument(
        "--azure",
        dest="where",
        action="store_const",
        const="azure",
        help="talk to Azure, or say what is missing for that",
    )
    parser.add_argument(
        "--dialect", choices=tuple(DIALECTS), default="ga", help="the protocol to speak (default: ga)"
    )
    parser.add_argument(
        "--transcription-deployment",
        metavar="NAME",
        help="transcribe the user with this deployment (default on Azure: what "
        f"{TRANSCRIPTION_VARIABLE} names, or no transcription)",
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
    Yield the service that was chosen; an emulator runs as long as the block does.

    Args:
        recordings: What is said in which PCM16, for an emulator's ears, whatever they understand; those of
            the package need not be told.
        reply: What an emulator answers; ``None`` for something sensible.
        will_hear: Whether somebody will speak, so that an emulator's ears should be ready, and transcribe.
        needs_transcripts: Whether there is no use in it without a transcription of the user.

    Raises:
        UsageError: The environment is incomplete or holds something impossible.
        MissingExtraError: The emulator's dependencies are not installed.
    """
    missing = [name for name in VARIABLES if not os.environ.get(name)]
    if arguments.transcription_deployment is not None:
        session = with_transcription(session, arguments.transcription_deployment)
    if arguments.where == "emulator" or (arguments.where is None and missing):
        if will_hear:
            session = with_transcription(session, "whisper-1")
        with _embedded(arguments.dialect, session, recordings, reply, will_hear, missing) as service:
            yield service
        return
    if missing:
        raise UsageError(
            f"for Azure, set {', '.join(missing)} in the environment; or talk to the emulator with --emulator"
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
        raise UsageError(f"{exc}; or talk to the emulator with --emulator") from exc
    yield Service(
        options=options,
        name=f"{options.endpoint.authority}, deployment {options.deployment} (from the environment)",
        tempo=1.0,
        is_embedded=False,
    )


@contextmanager
def _embedded(
    dialect: str,
    session: SessionConfig,
    recordings: Mapping[bytes, str],
    reply: ResponderFunction | None,
    will_hear: bool,
    missing: list[str],
) -> Iterator[Service]:
    from ..emulator import Delay, Emulator, Faults, before

    # Sound comes somewhat faster than it is played, text at the speed of a fast reader: so that, as with
    # the real service, there is something to watch and to interrupt.
    slow_text = before("response.text.delta", Delay(_SECONDS_PER_WORD), count=None, times=None)
    with (
        open_senses(recordings, will_hear=will_hear) as senses,
        Emulator(
            responder=reply,
            recogniser=senses.ears,
            detector=senses.detector,
            synthesiser=senses.voice,
            pace=_PACE,
            faults=Faults(slow_text),
        ) as emulator,
    ):
        if not missing:
            name, remark = "an emulator in this program, as asked for", None
        elif len(missing) < len(VARIABLES):
            name = "an emulator in this program"
            remark = f"to talk to Azure, {' and '.join(missing)} must be set as well"
        else:
            name = "an emulator in this program, as the environment names no Azure resource"
            remark = None
        yield Service(
            options=AzureRealTimeOptions(**emulator.options(dialect), session_config=session),
            name=name,
            remark=remark,
            tempo=_TEMPO,
            is_embedded=True,
            senses=senses.described,
            remedies=senses.remedies,
            speaks_clearly=senses.engine == "flite",
            listen=senses.listen,
        )
