"""Forks while a client connects: the child makes a client of its own, which works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

from azure_rt_audio.emulator import Emulator

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
]

_PROGRAM = """
import json, os, random, signal, sys, threading, traceback, warnings

warnings.simplefilter("ignore", DeprecationWarning)  # of a fork in a process with threads, which is the point
from azure_rt_audio import AzureRealTimeAudio

options, forks, seed = map(json.loads, sys.argv[1:])
chance, pause, broken = random.Random(seed), threading.Event(), []

def answer():
    signal.alarm(60)  # ends a child that hangs
    try:
        client = AzureRealTimeAudio(options, {"connect_timeout": 40})  # a busy machine is no hang
        os._exit(0 if client.ask("Hello", timeout=30).text and client.close() else 3)
    except BaseException:
        traceback.print_exc()
        os._exit(4)

for number in range(forks):
    client = AzureRealTimeAudio(options)  # connects on threads of its own
    pause.wait(chance.random() * (0.05 if forks == 1 else 0.01))
    child = os.fork()
    if not child:
        answer()
    _, status = os.waitpid(child, 0)
    if status:
        broken.append([number, status])
    client.close()
print(broken)
"""


def broken_children(service: Emulator, forks: int, seed: int, authority: trustme.CA, folder: Path) -> str:
    """Fork so many times in a fresh process; return which children broke, or what else went wrong."""
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    options = service.options(session_config={"modalities": ["text"]})
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, json.dumps(options), str(forks), str(seed)],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "SSL_CERT_FILE": str(folder / "ca.pem")},
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_forks_while_connecting(
    scheme: str,
    emulator: Emulator,
    tls_emulator: Emulator,
    authority: trustme.CA,
    tmp_path: Path,
    effort: float,
    seed: int,
) -> None:
    """In a program that connects again and again: 200 of them with all effort."""
    service = emulator if scheme == "ws" else tls_emulator
    forks = max(2, round(200 * min(1.0, effort / 8)))

    assert broken_children(service, forks, seed, authority, tmp_path) == "[]\n"


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_forks_at_the_first_connection(
    scheme: str,
    emulator: Emulator,
    tls_emulator: Emulator,
    authority: trustme.CA,
    tmp_path: Path,
    effort: float,
    seed: int,
) -> None:
    """In a program that has only just begun, and has yet to load its certificates: 40 of them likewise."""
    service = emulator if scheme == "ws" else tls_emulator
    runs = max(1, round(40 * min(1.0, effort / 20)))

    found = [broken_children(service, 1, seed + run, authority, tmp_path) for run in range(runs)]
    assert found == ["[]\n"] * runs


_IN_THE_MIDDLE = """
import os, signal, ssl, sys, threading, warnings

warnings.simplefilter("ignore", DeprecationWarning)
import socket
from azure_rt_audio._net.happy_eyeballs import resolve
from azure_rt_audio._net.tls import choose_context

entered, forking, left = threading.Event(), threading.Event(), []

def slow(real):
    def call(*given, **named):
        entered.set()
        forking.wait()
        threading.Event().wait(0.1)  # in the library, while the other thread is about to fork
        found = real(*given, **named)
        left.append(found)
        return found
    return call

ssl.create_default_context = slow(ssl.create_default_context)
socket.getaddrinfo = slow(socket.getaddrinfo)
os.register_at_fork(before=forking.set)
work = {"certificates": lambda: choose_context(None), "a name": lambda: resolve("127.0.0.1", 80, None)}
threading.Thread(target=work[sys.argv[1]], daemon=True).start()
entered.wait()
child = os.fork()
if not child:
    signal.alarm(40)
    os._exit(len(left) != 1)
print(os.waitpid(child, 0)[1])
"""


@pytest.mark.parametrize("what", ["certificates", "a name"])
def test_a_fork_waits(what: str) -> None:
    """It comes when OpenSSL or the resolver is left; else a lock stayed taken: 6 of 130 children hung."""
    done = subprocess.run(
        [sys.executable, "-c", _IN_THE_MIDDLE, what], stdout=subprocess.PIPE, text=True, timeout=60
    )

    assert done.stdout == "0\n"


_LOADING = """
import os, signal, ssl, threading, warnings

warnings.simplefilter("ignore", DeprecationWarning)
from azure_rt_audio._net.tls import choose_context

entered, real = threading.Event(), ssl.create_default_context

def load():
    entered.set()
    threading.Event().wait()

ssl.create_default_context = load
threading.Thread(target=choose_context, args=(None,), daemon=True).start()
entered.wait()
child = os.fork()
if not child:
    signal.alarm(20)
    ssl.create_default_context = real
    os._exit(not isinstance(choose_context(None), ssl.SSLContext))
print(os.waitpid(child, 0)[1])
"""


def test_a_fork_while_certificates_are_never_loaded() -> None:
    """If that never ends, the child loads them itself, and does not wait for a thread it does not have."""
    done = subprocess.run([sys.executable, "-c", _LOADING], stdout=subprocess.PIPE, text=True, timeout=60)

    assert done.stdout == "0\n"
