"""``azure-rt-audio emulator``: runs the emulator as a server for other programs."""

from __future__ import annotations

import argparse
import os
import shlex
import ssl
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .._printable import one_line
from . import UsageError, recordings
from .service import TRANSCRIPTION_VARIABLE, VARIABLES
from .speech import open_speech
from .texts import option_text

if TYPE_CHECKING:
    from ..emulator import ChatModel

__all__ = ["add_arguments", "run"]

_POLL_SECONDS: Final = 0.2
_KEY_VARIABLE: Final = "EMULATOR_CHAT_KEY"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8765, help="port; 0 takes a free one (default: 8765)")
    parser.add_argument(
        "--key",
        type=option_text,
        default="emulator-key",
        help="the accepted API key (default: emulator-key)",
    )
    parser.add_argument(
        "--deployment",
        metavar="NAME",
        type=option_text,
        action="append",
        help="name of a deployment, also of one that transcribes; may be repeated (default: any name with "
        '"realtime" in it, gpt-4o-transcribe and gpt-realtime-whisper)',
    )
    parser.add_argument("--tls-cert", metavar="FILE", help="certificate chain in PEM; serves wss://")
    parser.add_argument("--tls-key", metavar="FILE", help="the certificate's private key in PEM")
    parser.add_argument(
        "--pace",
        type=float,
        default=3.0,
        help="speed of the audio sent, relative to real time; 0 for no limit (default: 3)",
    )
    parser.add_argument(
        "--hears",
        metavar="FILE=TEXT",
        action="append",
        default=[],
        help="the transcript of a WAV file that a client will send; may be repeated. Other speech is "
        "recognised with the speech extra; without it, only its duration is known",
    )
    parser.add_argument(
        "--chat-url",
        metavar="URL",
        help="answer with a language model: an OpenAI-compatible endpoint, such as "
        f"http://localhost:11434/v1; its key, if it needs one, is read from {_KEY_VARIABLE} "
        "(default: rule-based answers)",
    )
    parser.add_argument(
        "--chat-model", metavar="NAME", help="name of its model (default: the first one it lists)"
    )
    parser.add_argument("--quiet", action="store_true", help="do not log events")


def run(arguments: argparse.Namespace) -> int:
    """
    Serve until Ctrl-C. Blocks.

    Returns:
        0.
    """
    from ..emulator import Emulator
    from ..emulator.model.deployments import Deployments

    if not arguments.pace >= 0:  # also refuses NaN
        raise UsageError(f"--pace is {arguments.pace}; pass 0 or more")
    if not 0 <= arguments.port <= 65535:
        raise UsageError(f"--port is {arguments.port}; pass 0 to 65535")
    reply = _chat_model(arguments.chat_url, arguments.chat_model)
    tls = _tls(arguments.tls_cert, arguments.tls_key)
    with open_speech(_transcripts(arguments.hears)) as speech:
        emulator = Emulator(
            api_key=arguments.key,
            deployments=arguments.deployment,
            host=arguments.host,
            port=arguments.port,
            responder=reply,
            recogniser=speech.recognise,
            detector=speech.detector,
            synthesiser=speech.voice,
            ssl_context=tls,
            pace=arguments.pace,
            on_log=_ignore if arguments.quiet else _log,
        )
        try:
            emulator.start()
        except (OSError, OverflowError) as exc:
            raise UsageError(
                f"cannot listen on {arguments.host}:{arguments.port}: {exc}; choose another with --host or "
                "--port"
            ) from exc
        answers = "answers by rule" if reply is None else f"answers with {arguments.chat_url}"
        abilities = [f"It {answers}, {speech.description}.", *(f"({remedy})" for remedy in speech.remedies)]
        deployment = emulator.options()["deployment"]
        transcribing = Deployments(tuple(arguments.deployment or ())).transcribing
        welcome = _welcome(emulator.host_name, arguments.key, deployment, transcribing, arguments.tls_cert)
        try:
            print("\n".join([*abilities, welcome]), flush=True)
            while not emulator.wait(_POLL_SECONDS):  # a longer wait cannot be interrupted on every system
                pass
        except KeyboardInterrupt:
            pass
        finally:
            emulator.stop()
    return 0


def _chat_model(url: str | None, model: str | None) -> ChatModel | None:
    from ..emulator import ChatModel

    if url is None:
        if model is not None:
            raise UsageError("--chat-model chooses a model of --chat-url URL; pass both")
        return None
    try:
        return ChatModel(url, model=model, key=os.environ.get(_KEY_VARIABLE))
    except ValueError as exc:
        raise UsageError(f"--chat-url: {exc}") from exc


def _welcome(host_name: str, key: str, deployment: str, transcribing: str, certificate: str | None) -> str:
    # A server on all addresses is reached through the loopback address.
    address = host_name.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
    names = (*VARIABLES, TRANSCRIPTION_VARIABLE)
    lines = [_assignment(*pair) for pair in zip(names, (address, key, deployment, transcribing), strict=True)]
    if certificate is not None:
        lines.append(_assignment("SSL_CERT_FILE", str(Path(certificate).resolve())))
    listing = "\n".join(f"    {line}" for line in lines)
    return (
        f"The emulator listens on {host_name} (GA and preview protocols). Ctrl-C stops it.\n"
        f"For clients, in another terminal:\n\n{listing}\n"
    )


def _assignment(name: str, value: str) -> str:
    return f'$env:{name} = "{value}"' if os.name == "nt" else f"export {name}={shlex.quote(value)}"


def _transcripts(pairs: list[str]) -> dict[bytes, str]:
    found: dict[bytes, str] = {}
    for pair in pairs:
        path, equals, text = pair.partition("=")
        if not equals or not text.strip():
            raise UsageError(f"--hears {pair!r}: pass FILE=TEXT, such as question.wav='What time is it?'")
        found[recordings.read(path, "--hears")] = text
    return found


def _tls(certificate: str | None, key: str | None) -> ssl.SSLContext | None:
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise UsageError("--tls-cert and --tls-key belong together; pass both or neither")
    for option, path in (("--tls-cert", certificate), ("--tls-key", key)):
        try:
            with open(path, "rb"):
                pass
        except OSError as exc:  # which does not say which of them
            raise UsageError(f"{option}: cannot read {path}: {exc.strerror or exc}") from exc
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as exc:
        raise UsageError(f"--tls-cert and --tls-key cannot be used: {exc}") from exc
    return context


def _log(line: str) -> None:
    print(one_line(line), file=sys.stderr, flush=True)


def _ignore(line: str) -> None:
    """Discard the log."""
