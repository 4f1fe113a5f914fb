"""Tables of the reference that come from the code: events, fields, errors, commands, extras."""

from __future__ import annotations

import argparse
import configparser
import json
import re
from pathlib import Path
from typing import Any

import attrs
from docstrings import default_of, field_table, fields_said, markdown, own_fields, table, type_of

from azure_rt_audio._cli.program import new_parser
from azure_rt_audio._net.connect_errors import refused
from azure_rt_audio.options import AzureRealTimeOptions
from azure_rt_audio.protocol import commands, responses, session, tools
from azure_rt_audio.protocol.codec import to_json
from azure_rt_audio.protocol.dialects import choose_dialect
from azure_rt_audio.protocol.dialects.nesting import RESPONSE, SESSION, Nesting
from azure_rt_audio.protocol.dialects.preview import _ONLY_CARRIED_BY_FIRST
from azure_rt_audio.protocol.service_errors import _BENIGN_CODES, _REMEDIES
from azure_rt_audio.protocol.session_defaults import DEFAULTS

ROOT = Path(__file__).parents[2]
GA, PREVIEW = choose_dialect("v1", None), choose_dialect("2025-04-01-preview", None)

SENT_BY = {
    "session.update": "update_session",
    "input_audio_buffer.append": "append_audio",
    "input_audio_buffer.commit": "commit_audio",
    "input_audio_buffer.clear": "clear_audio_buffer",
    "conversation.item.create": "create_conversation_item",
    "conversation.item.retrieve": "retrieve_item",
    "conversation.item.truncate": "truncate_item",
    "conversation.item.delete": "delete_item",
    "response.create": "create_response",
    "response.cancel": "cancel_response",
}
"""Which method sends a client event; the others are sent with ``send``."""

EXTRAS = {
    "audio": (
        "microphones and speakers, sound that is not at 24 000 Hz, files other than WAV",
        "PortAudio on Linux: `apt install libportaudio2`, `dnf install portaudio`",
    ),
    "echo": ('`echo="cancel"`: echo cancellation (28 MB, with WebRTC\'s audio processing)', ""),
    "emulator": ("the emulator", ""),
    "speech": (
        "speech recognition and synthesis in the emulator (the recogniser's model has 29 MB)",
        "a speech synthesiser: `apt install flite`; macOS and Windows have one",
    ),
    "cli": ("the command `talk`, progress bars", ""),
    "qt": (
        "windows of Qt; with PyQt6 or PyQt5 instead of PySide6, `pip install qtpy`",
        "Qt's own on Linux: see the page on windows of Qt",
    ),
    "jupyter": ("`client.display()` in a notebook", ""),
    "azure": ("signing in with Entra ID instead of a key", ""),
    "socks": ("SOCKS proxies", ""),
    "truststore": ("certificates checked by the system", ""),
    "demo": ("the demo, with speech where that has wheels", "`apt install flite` for spoken words"),
}
"""What an extra is for, and the packages of the system that it needs."""

VARIABLES = {
    "AZURE_OPENAI_ENDPOINT": "`host_name`: the resource's endpoint, in any spelling",
    "AZURE_OPENAI_API_KEY": "`api_key`; not read where a `credential` is given",
    "AZURE_OPENAI_DEPLOYMENT": "`deployment`: the name of the model's deployment",
    "AZURE_OPENAI_TRANSCRIPTION_DEPLOYMENT": "the deployment that transcribes the user; unset, nobody does",
    "EMULATOR_CHAT_KEY": "the key for `azure-rt-audio emulator --chat-url`",
    "HTTPS_PROXY": "the proxy for `wss://`, unless `http_proxy` is given",
    "HTTP_PROXY": "the same for `ws://`",
    "ALL_PROXY": "the proxy where the two above are not set",
    "NO_PROXY": "hosts, domains, networks (`10.0.0.0/8`) or `*` that are reached without one",
    "SSL_CERT_FILE": "a file of certificate authorities that OpenSSL trusts",
    "SSL_CERT_DIR": "a folder of them",
    "NO_COLOR": "turns the colours of the commands off",
}
"""What of the environment is read, and what for."""


def client_events() -> str:
    """Return the table of what a client sends."""
    rows = []
    for name in commands.__all__:
        cls = getattr(commands, name)
        if cls is commands.Command:
            continue
        method = SENT_BY.get(cls.TYPE, "send")
        notes = [f"not on {d.label}" for d in (GA, PREVIEW) if d.why_not(cls.TYPE)]
        summary = (cls.__doc__ or "").strip().splitlines()[0]
        needed = [f"`{a.name}`" for a in own_fields(cls)]
        rows.append(
            (
                f"`{cls.TYPE}`",
                " ".join([markdown(summary), f"({', '.join(notes)})" if notes else ""]).strip(),
                ", ".join(needed),
                f"{{py:meth}}`~azure_rt_audio.AzureRealTimeAudio.{method}`",
            )
        )
    return table(("event", "does", "fields", "sent by"), rows)


def session_fields() -> str:
    """Return the table of what a session can be told."""
    return _two_shapes(session.SessionConfig, SESSION, "session", "session.update")


def response_fields() -> str:
    """Return the table of what a response can be told."""
    return _two_shapes(responses.ResponseConfig, RESPONSE, "response", "response.create")


def _two_shapes(cls: type[Any], nesting: Nesting, part: str, command: str) -> str:
    renamed = {flat: ga for ga, flat in nesting.renamed.items()}
    said = fields_said(cls)
    rows = []
    for a in own_fields(cls):
        nested = ".".join(("audio", *nesting.audio[a.name])) if a.name in nesting.audio else a.name
        if a.name in ("modalities",) or (a.name == "max_response_output_tokens" and part == "session"):
            nested = renamed[a.name]
        lacking = [d.label for d in (GA, PREVIEW) if f"{part}.{a.name}" in d._not_carried(command)]
        if f"response.{a.name}" in _ONLY_CARRIED_BY_FIRST["response.create"]:
            lacking = ["GA", "preview after 2024-10-01"]
        text = markdown(said.get(a.name, ""))
        if lacking:
            text = f"{text} *Not on {', '.join(lacking)}.*".strip()
        default = getattr(DEFAULTS, a.name, None) if part == "session" else None
        is_set = part == "session" and to_json(DEFAULTS).get(a.name) is not None
        shown = f"`{json.dumps(to_json(DEFAULTS)[a.name])}`" if is_set and default is not None else "not sent"
        rows.append((f"`{a.name}`", f"`{nested}`", markdown(f"`{type_of(cls, a.name)}`"), shown, text))
    if part == "response":
        return table(("flat", "GA, nested", "type", "meaning"), [(a, b, c, e) for a, b, c, _, e in rows])
    return table(("flat", "GA, nested", "type", "default", "meaning"), rows)


def default_session() -> str:
    """Return the session that is asked for where nothing is configured, in both shapes."""
    shown = []
    for title, dialect in (("GA", GA), ("Preview", PREVIEW)):
        message = dialect.to_wire({"type": "session.update", "session": to_json(DEFAULTS)}, lambda _: None)
        shown.append(f"{title}:\n\n```json\n{json.dumps(message['session'], indent=2)}\n```\n")
    return "\n".join(shown)


def objects(names: str) -> str:
    """Return the tables of objects that stand in fields."""
    shown = []
    for name in names.split():
        cls = next(getattr(m, name) for m in (session, responses, tools) if hasattr(m, name))
        summary = (cls.__doc__ or "").strip().split("\n\n")[0]
        shown.append(f"### {name}\n\n{markdown(' '.join(summary.split()))}\n\n{field_table(cls)}")
    return "\n".join(shown)


def options() -> str:
    """Return the table of the options' defaults and variables."""
    of_field = {"host_name": "ENDPOINT", "api_key": "API_KEY", "deployment": "DEPLOYMENT"}
    rows = [
        (
            f"`{a.name}`",
            f"`AZURE_OPENAI_{of_field[a.name]}`" if a.name in of_field else "",
            '`"v1"`' if a.name == "api_version" else default_of(a),
        )
        for a in attrs.fields(AzureRealTimeOptions)
        if a.init
    ]
    return table(("option", "variable", "default"), rows)


def environment() -> str:
    """Return the table of environment variables."""
    return table(("variable", "means"), [(f"`{name}`", text) for name, text in VARIABLES.items()])


def codes() -> str:
    """Return the table of the service's codes that the library knows."""
    rows = [
        (
            f"`{code}`",
            "yes" if code in _BENIGN_CODES else "no",
            markdown(_REMEDIES.get(code, "")),
        )
        for code in sorted(_REMEDIES.keys() | _BENIGN_CODES)
    ]
    return table(("`error.code`", "`is_benign`", "what to do"), rows)


def handshakes() -> str:
    """Return the table of what a refused handshake is told about."""
    url = "wss://my-resource.openai.azure.com/openai/v1/realtime?model=gpt-realtime"
    rows = []
    for status in (200, 302, 400, 401, 403, 404, 408, 429, 431, 500):
        error = refused(url, status, {}, b"")
        rows.append(
            (f"{status}" + (" and more" if status == 500 else ""), f"`{error.type}`", markdown(error.hint))
        )
    error = refused(url, 407, {}, b"", proxy="proxy:3128")
    rows.insert(6, ("407, of a proxy", f"`{error.type}`", markdown(error.hint).replace("<kind>", "KIND")))
    return table(("`error.status`", "`error.type`", "what to do"), rows)


def command_line() -> str:
    """Return the help of each command, from the parser."""
    parser = new_parser()
    shown = [f"{parser.description}\n\n{parser.epilog}"]
    actions = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    for name, command in actions[0].choices.items():
        usage = re.sub(r"\s+", " ", command.format_usage().removeprefix("usage: ")).strip()
        formatter = command._get_formatter()
        rows = []
        for action in command._actions:
            spelling = ", ".join(action.option_strings) or action.metavar or action.dest
            if action.option_strings and action.nargs != 0:
                metavar = action.metavar or ("|".join(map(str, action.choices or ())) or action.dest.upper())
                spelling += f" {metavar}"
            text = formatter._expand_help(action) if action.help else ""
            rows.append((markdown(f"`{spelling}`"), markdown(text)))
        about = f"{command.description}\n\n```console\n{usage}\n```\n\n"
        epilog = f"\n{command.epilog}\n" if command.epilog else ""
        heading = f"## azure-rt-audio {name}\n\n"
        shown.append(heading + about + table(("argument", "does"), rows) + epilog)
    return "\n\n".join(shown)


def extras() -> str:
    """Return the table of extras, with their requirements from ``setup.cfg``."""
    setup = configparser.ConfigParser(inline_comment_prefixes=None)
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    rows = []
    for name, wanted in setup["options.extras_require"].items():
        lines = [line.strip() for line in wanted.splitlines() if line.strip() and not line.startswith("#")]
        found = [re.split(r"[><=;]", line)[0].strip() for line in lines if not line.startswith("#")]
        brings = ", ".join(f"`{each}`" for each in dict.fromkeys(found))
        purpose, system = EXTRAS[name]
        rows.append((f"`{name}`", purpose, brings, system))
    return table(("extra", "for", "brings", "packages of the system"), rows)
