"""Modules are imported by the program's own thread, before the threads of the client start."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import trustme
from fake_proxies import http_proxy, socks_proxy

from azure_rt_audio._net import dial
from azure_rt_audio.emulator import Emulator
from azure_rt_audio.options import WebSocketOptions

DEVICES = Path(__file__).parents[1] / "support" / "simulated_portaudio"

_PROGRAM = """
import json, os, ssl, sys, threading

class Watch:
    def find_spec(self, name, path=None, target=None):  # asked for what is not in sys.modules
        if threading.current_thread() is not threading.main_thread():
            print(threading.current_thread().name, "imports", name)

class Credential:
    def get_token(self, *scopes):
        self.token = options.pop("key")
        return self

sys.meta_path.insert(0, Watch())
from azure_rt_audio import AzureRealTimeAudio
options, websocket_options = map(json.loads, sys.argv[1:])
options["key"] = options.pop("api_key")
given = {name: value for name, value in options.items() if name != "key"}
with AzureRealTimeAudio({**given, "credential": Credential()}, websocket_options) as client:
    client.on("*", lambda event: None)
    print(client.ask("Hello").status)
"""


_TALK = """
import logging

logging.basicConfig()
with AzureRealTimeAudio({**given, "api_key": options["key"]}, record="talk.rta") as client:
    client.on("response.created", lambda event: 1 / 0)  # its traceback is written on the listeners' thread
    with client.talk():
        print(client.ask("Hello").status)
"""


@pytest.mark.thorough
def test_no_thread_of_a_talk_imports(emulator: Emulator, tmp_path: Path) -> None:
    """With devices at another rate, which need the resampler, with a recording and a listener that fails."""
    program = _PROGRAM[: _PROGRAM.index("with AzureRealTimeAudio")] + _TALK
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(emulator.options()), "{}"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env={
            **os.environ,
            "SIMULATED_RATE_HZ": "48000",
            "PYTHONPATH": os.pathsep.join([str(DEVICES), os.environ.get("PYTHONPATH", "")]),
        },
    )

    assert (done.stderr.count("ZeroDivisionError"), done.stdout) == (1, "completed\n")


_SPEECH = """
from azure_rt_audio.emulator import ChatModel, Emulator, Recogniser, SileroDetector

with (
    Recogniser() as recogniser,
    Emulator(
        recogniser=recogniser, detector=SileroDetector, responder=ChatModel("http://localhost:1"), pace=0
    ) as service,
    AzureRealTimeAudio(service.options()) as client,
):
    client.append_audio(bytes(48_000))
    client.commit_audio().result(20)
    print(client.create_response().result(check=False).status)
"""


@pytest.mark.thorough
def test_no_thread_of_the_emulator_imports() -> None:
    """While it listens, understands, and asks a model that cannot be reached."""
    program = _PROGRAM[: _PROGRAM.index("options, websocket_options")] + _SPEECH
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)

    assert (done.stderr, done.stdout) == ("", "failed\n")


@pytest.mark.thorough
@pytest.mark.parametrize("way", ["nothing", "http", "socks5h"])
def test_no_thread_of_the_client_imports(
    way: str, emulator: Emulator, tls_emulator: Emulator, authority: trustme.CA, tmp_path: Path
) -> None:
    """While it connects with a token, also through a proxy and over TLS, and while it talks."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    websocket_options: dict[str, str] = {}
    service = emulator if way == "nothing" else tls_emulator
    with contextlib.ExitStack() as stack:
        if way == "http":
            websocket_options["http_proxy"] = f"http://{stack.enter_context(http_proxy([]))}"
        elif way == "socks5h":
            websocket_options["http_proxy"] = f"socks5h://{stack.enter_context(socks_proxy([]))}"
            if sys.platform not in ("linux", "freebsd"):
                pytest.skip("this system's trust is not to be changed by a variable")
            websocket_options["ssl_context"] = "truststore"
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, json.dumps(service.options()), json.dumps(websocket_options)],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "SSL_CERT_FILE": str(tmp_path / "ca.pem")},
        )

    assert (done.stderr, done.stdout) == ("", "completed\n")


@pytest.mark.parametrize(("variable", "is_socks"), [("ALL_PROXY", True), ("HTTP_PROXY", False)])
def test_a_proxy_of_the_environment_counts(
    variable: str, is_socks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """python-socks is imported beforehand if the environment names such a proxy, and else not at all."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv(variable, f"{'socks5' if is_socks else 'http'}://proxy.example")
    imported: list[bool] = []
    monkeypatch.setattr(dial, "import_socks", lambda: imported.append(True))

    dial.import_now(WebSocketOptions())

    assert imported == [True] * is_socks
