"""Ctrl-C, real ones, in every call that blocks and in the midst of sending."""

from __future__ import annotations

import base64
import json
import signal
import socket
import threading
import time

from close_peers import greet, host_of
from close_scripts import HANG_SECONDS, said_by, services, started
from fake_servers import CLOSE, close_frame, read_frame, tcp_server

INTERRUPTED = """
from azure_rt_audio import QueueDispatcher

def watch(name, begun, over):
    begun.wait()
    before, looks = None, 0
    while looks < 3 and not over.is_set():
        found = sys._current_frames()[threading.main_thread().ident]
        now = found.f_code, found.f_lasti
        before, looks = now, looks + 1 if now == before else 0
        over.wait(0.005)
    if not over.is_set():
        print(name)

def press(name, call):
    begun, over = threading.Event(), threading.Event()
    watching = threading.Thread(target=watch, args=(name, begun, over))
    watching.start()
    try:
        begun.set()
        call()
        print("returned")
    except KeyboardInterrupt:
        print("interrupted")
    over.set()
    watching.join()

def append_for_ever():
    while True:
        deaf.append_audio(bytes(96_000))

def enter(which):
    with connect(which):
        pass

queue = QueueDispatcher()
"""

CLIENTS = 'mute, dark, deaf = connect("mute"), connect("dark"), connect("deaf")'

BLOCKING_CALLS = {
    "wait_for": "mute.wait_for('response.done', timeout=None)",
    "wait_for, with a limit": "mute.wait_for('response.done', timeout=60)",
    "ask": "mute.ask('Hello', timeout=None)",
    "response": "mute.create_response().result(None)",
    "text": "list(mute.create_response().text(None))",
    "audio": "list(mute.create_response().audio(None))",
    "iteration": "list(mute.create_response())",
    "events": "next(mute.events('response.done'))",
    "future": "mute.commit_audio().result()",
    "future's exception": "mute.commit_audio().exception()",
    "run_pending": "queue.run_pending(None)",
    "with": "enter('dark')",
    "with, no session": "enter('blank')",
    "wait_until_ready": "dark.wait_until_ready(None)",
    "append_audio, early": "dark.append_audio(bytes(2))",
    "commit_audio, early": "dark.commit_audio()",
    "create_response, early": "dark.create_response()",
    "cancel_response, early": "dark.cancel_response()",
    "update_session, early": "dark.update_session({})",
    "append_audio, stalled": "append_for_ever()",
    "close": "mute.close(60)",
}
"""Every way to block in the library; the last one ends the client that others use."""


def interrupt_all() -> dict[str, float]:
    """Press Ctrl-C in every blocking call of one program; return the seconds each then took to end."""
    with services() as hosts:
        return interrupt_calls(CLIENTS, BLOCKING_CALLS, "deaf dark mute", hosts)


def interrupt_calls(
    begin: str, calls: dict[str, str], clients: str, hosts: dict[str, str]
) -> dict[str, float]:
    """
    Do so with other calls.

    Args:
        begin: Makes the clients.
        clients: Their names, in the order in which they are closed at the end.
    """
    presses = [f"press({name!r}, lambda: {call})" for name, call in calls.items()]
    ends = [f"print(*[client.close(TIMEOUT) for client in ({', '.join(clients.split())},)])"]
    seconds: dict[str, float] = {}
    with started("\n".join([INTERRUPTED, begin, *presses, *ends]), hosts) as process:
        for name in calls:
            said = said_by(process)
            assert said == name, said
            pressed = time.monotonic()
            process.send_signal(signal.SIGINT)
            assert said_by(process) == "interrupted", name
            seconds[name] = time.monotonic() - pressed
        ended = said_by(process)
        out, err = process.communicate(timeout=HANG_SECONDS)
    assert ended == " ".join("True" for _ in clients.split()), ended
    assert (process.returncode, out, err) == (0, "", ""), (process.returncode, out, err)
    return seconds


STORM = """
import logging
# Who is interrupted in logging's first look leaves it locked.
for name in list(logging.root.manager.loggerDict):
    for level in (logging.DEBUG, logging.INFO, logging.WARNING):
        logging.getLogger(name).isEnabledFor(level)

armed = False
def interrupt(*_):
    global armed
    if armed:
        armed = False
        raise KeyboardInterrupt
signal.signal(signal.SIGINT, interrupt)

client = connect("service", roomy=True)
number, told, interrupts = 0, [], 0
def send():
    global armed, number
    armed = True
    while is_on():
        number += 1
        client.append_audio(number.to_bytes(4, "little") + bytes((2, 2400, 12_000)[number % 3]), rate)
        told.append(number)
        sum(range(number % 2 * 10_000))  # some come one by one, some in a row
    armed = False
def is_on():  # on a busy machine interrupts come slowly
    return number < 4000 or interrupts <= 100 and number < 100_000
print("go")
while is_on():
    try:
        send()
    except KeyboardInterrupt:
        interrupts += 1
signal.signal(signal.SIGINT, signal.SIG_IGN)
print(json.dumps([interrupts, told]))
print(client.close(25))
"""


def storm(*, is_stream: bool) -> tuple[int, list[int], list[int]]:
    """
    Press Ctrl-C all the time while a program sends.

    Args:
        is_stream: Whether what it sends goes through a converter, which threads take turns with.

    Returns:
        How often a call was interrupted, the numbers of the messages whose calls returned, and those of the
        messages that arrived whole.
    """
    arrived: list[int] = []

    def count(sock: socket.socket) -> None:
        sock.settimeout(HANG_SECONDS)
        greet(sock)
        while True:
            opcode, payload = read_frame(sock)
            if opcode == CLOSE:
                sock.sendall(close_frame(1000))
                return
            command = json.loads(payload)
            if command["type"] == "input_audio_buffer.append":
                arrived.append(int.from_bytes(base64.b64decode(command["audio"])[:4], "little"))

    with (
        tcp_server(count) as url,
        started(f"rate = {24_000 if is_stream else None}\n{STORM}", {"service": host_of(url)}) as process,
    ):
        assert said_by(process) == "go"
        over = threading.Event()

        def press() -> None:
            while not over.wait(0.001):
                process.send_signal(signal.SIGINT)

        pressing = threading.Thread(target=press, name="pressing")
        pressing.start()
        try:
            interrupts, told = json.loads(said_by(process))
        finally:
            over.set()
            pressing.join()
        closed = said_by(process)
        assert closed == "True", closed
        out, err = process.communicate(timeout=HANG_SECONDS)
    assert (process.returncode, out, err) == (0, "", ""), (process.returncode, out, err)
    return interrupts, told, arrived
