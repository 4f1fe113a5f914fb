"""The end of the interpreter: what is ended then, in which order, and for how long at most."""

from __future__ import annotations

import gc
import itertools
import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from cli_runner import environment

from azure_rt_audio._concurrency import shutdown
from azure_rt_audio._concurrency.shutdown import SECONDS, Stage
from azure_rt_audio.emulator import Emulator

pytestmark = pytest.mark.thorough

HANG_SECONDS = 30.0

ORDER = ["VOICE", "DEVICES", "WINDOWS", "SESSIONS", "WORKERS", "TRANSPORTS", "RECORDINGS"]

MODULES = [
    "_transport.connection",
    "_session.engine",
    "devices.supervisor",
    "dispatch.worker",
    "voice.session",
]


def run(script: str, *arguments: str) -> tuple[str, str]:
    """Run a program to its end, and return what it wrote to both streams."""
    variables = environment()
    variables["PYTHONPATH"] = os.pathsep.join(
        [variables.get("PYTHONPATH", ""), str(Path(__file__).parents[1] / "support")]
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-u", "-c", textwrap.dedent(script), *arguments],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
        env=variables,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


class Member:
    """Something to be ended, that writes down when it is."""

    def __init__(self, name: str, told: list[str], error: BaseException | None = None) -> None:
        self.name = name
        self.told = told
        self.error = error

    def end(self) -> None:
        self.told.append(self.name)
        if self.error is not None:
            raise self.error

    def join(self, seconds: float) -> None:
        self.told.append(f"{self.name} joined")


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the other tests left behind is not ended here."""
    monkeypatch.setattr(shutdown, "_members", {stage: set() for stage in Stage})


# ------------------------------------------------------------ the order


@pytest.mark.parametrize("made", list(itertools.permutations(ORDER))[::420], ids="-".join)
def test_the_order_of_stages(made: tuple[str, ...]) -> None:
    """Stages run in the documented order, whichever was registered first."""
    told: list[str] = []
    members = [Member(name, told) for name in made]
    for member in members:
        shutdown.register(Stage[member.name], member, Member.end)

    shutdown._run_all()

    assert told == ORDER


def test_the_order_is_documented() -> None:
    """The module's description names the stages in the order that they have."""
    description = shutdown.__doc__ or ""

    assert [line.split("``")[1] for line in description.splitlines() if line[1:4] == ". `"] == ORDER
    assert [stage.name for stage in Stage] == ORDER


PROGRAM = """
    import importlib, json, sys, threading
    host, modules = json.loads(sys.argv[1])
    for module in modules:
        importlib.import_module(f"azure_rt_audio.{module}")
    from azure_rt_audio import AzureRealTimeAudio, InlineDispatcher, WorkerDispatcher
    from azure_rt_audio.voice import VoiceSession
    from fake_devices import StageMicrophone, StageSpeaker

    class Microphone(StageMicrophone):
        def close(self):
            if not self.is_closed.is_set():
                print("voice session ends, client", client.state.name)
                worker.submit(lambda _: print("listener runs, client", client.state.name), None)
            super().close()

    def fail(event):
        print("reported as lost:", event)

    worker = WorkerDispatcher()
    worker.submit(lambda _: None, None)  # its thread runs: Python 3.12 starts none at exit
    client = AzureRealTimeAudio(host)
    client.on("closed", lambda event: print("a listener on a thread of its own is called"))
    inline = AzureRealTimeAudio(host, dispatcher=InlineDispatcher())
    inline.on("error", fail)
    inline.on("closed", lambda event: print("goodbye", event.is_clean, inline._engine.attempts.is_closing))
    for each in client, inline:
        each.wait_until_ready(5)
    voice = VoiceSession(client, Microphone(), StageSpeaker(), echo="headphones")
    voice.start()
"""


@pytest.mark.parametrize(
    "modules", [MODULES, MODULES[::-1], MODULES[3:] + MODULES[:3], MODULES[1:] + MODULES[:1]], ids="-".join
)
def test_the_order_in_a_program(modules: list[str]) -> None:
    """
    A voice session ends while listeners still run, listeners end while the client is open, the end is no
    loss, every connection says goodbye, and no listener of ``closed`` runs on a thread of its own.
    """
    with Emulator(pace=0) as service:
        out, err = run(PROGRAM, json.dumps([service.options(), modules]))
        assert all(connection.wait_closed(5) for connection in service.connections)
        goodbyes = [connection.close_code for connection in service.connections]

    assert out.splitlines() == [
        "voice session ends, client OPEN",
        "listener runs, client OPEN",
        "goodbye True True",
    ]
    assert err == ""
    assert goodbyes == [1000, 1000]


UNFINISHED = """
    import atexit, sys, threading
    from azure_rt_audio import WorkerDispatcher
    worker, begun = WorkerDispatcher(), threading.Event()
    def listen(number):
        print("listener", number)
        begun.set()
        if number == 1 and sys.argv[1] == "busy":
            threading.Event().wait(30)
    if sys.argv[1] == "busy":
        worker.submit(listen, 1)
        begun.wait(5)
        for number in 2, 3:
            worker.submit(listen, number)
    else:
        atexit.register(worker.submit, listen, 1)
"""


def test_what_listeners_do_not_come_to_at_exit_is_told() -> None:
    """They had a second, while the first of them does not return."""
    assert run(UNFINISHED, "busy") == (
        "listener 1\n",
        "! calls of listeners are lost, 2: the interpreter exits, and their thread is still busy\n",
    )


def test_a_thread_of_listeners_that_is_needed_only_at_exit() -> None:
    """It is started, or where Python starts none any more, as 3.12, that is told."""
    out, err = run(UNFINISHED, "unused")

    if out:
        assert (out, err) == ("listener 1\n", "")
    else:
        assert err.startswith("! no thread for listeners (can't create new thread at interpreter shutdown)")
        assert err.endswith(
            "! calls of listeners are lost, 1: the interpreter exits, and Python starts no thread any more\n"
        )


def test_an_end_while_listeners_finish_is_no_loss() -> None:
    """A connection that the service ends while listeners still run at exit is not reported as lost."""
    script = """
        import threading
        from azure_rt_audio import AzureRealTimeAudio, InlineDispatcher, WorkerDispatcher
        from azure_rt_audio._concurrency import shutdown
        from azure_rt_audio.emulator import Emulator
        service = Emulator(pace=0).start()
        worker, exiting, over = WorkerDispatcher(), threading.Event(), threading.Event()
        client = AzureRealTimeAudio(service.options(), dispatcher=InlineDispatcher())
        client.wait_until_ready(5)
        client.on("error", lambda event: print("reported as lost:", event))
        client.on("closed", lambda event: over.set())
        def listen(_):
            exiting.wait(5)
            service.drop()
            print(over.wait(5), client._engine.attempts.is_closing)
        worker.submit(listen, None)
        class Stage:
            pass
        stage = Stage()
        shutdown.register(shutdown.Stage.WORKERS, stage, lambda _: exiting.set())
    """

    out, err = run(script)

    assert (out, err) == ("True True\n", "")


def test_hooks_of_others() -> None:
    """Devices end before the hooks of what was loaded before them, workers after the program's own hooks."""
    script = """
        import atexit
        from azure_rt_audio._concurrency.shutdown import Stage, register
        class Thing:
            def end(self):
                print(self.stage.name)
        def make(stage):
            thing = Thing()
            thing.stage = stage
            register(stage, thing, Thing.end)
            return thing
        kept = [make(stage) for stage in Stage]
        atexit.register(print, "PortAudio and Qt")
        kept += [make(Stage.VOICE), make(Stage.DEVICES), make(Stage.WINDOWS)]
        atexit.register(print, "the program")
    """

    out, err = run(script)

    early = ["VOICE", "DEVICES", "WINDOWS"]
    assert out.splitlines() == [
        "the program",
        *[name for name in early for _ in range(2)],
        "PortAudio and Qt",
        "SESSIONS",
        "WORKERS",
        "TRANSPORTS",
        "RECORDINGS",
    ]
    assert err == ""


def test_all_are_told_before_any_is_waited_for() -> None:
    """The members of a stage end at the same time."""
    told: list[str] = []
    members = [Member(name, told) for name in "ab"]
    for member in members:
        shutdown.register(Stage.WORKERS, member, Member.end, Member.join)

    shutdown._run_all()

    assert sorted(told[:2]) == ["a", "b"]
    assert sorted(told[2:]) == ["a joined", "b joined"]


# ------------------------------------------------------------ who is ended


def test_collected() -> None:
    """What nobody holds is collected, and then nothing of it is left in the list."""
    told: list[str] = []
    for stage in Stage:
        shutdown.register(stage, Member("gone", told), Member.end)
    gc.collect()

    assert not any(shutdown._members.values())
    shutdown._run_all()
    assert told == []


def test_forgotten() -> None:
    """What has ended is left alone; forgetting it again does nothing."""
    told: list[str] = []
    member = Member("ended", told)
    shutdown.register(Stage.DEVICES, member, Member.end)

    shutdown.forget(Stage.DEVICES, member)
    shutdown.forget(Stage.DEVICES, member)
    shutdown._run_all()

    assert told == []


def test_once() -> None:
    """What was ended ahead of others' hooks is not ended again."""
    told: list[str] = []
    member = Member("once", told)
    shutdown.register(Stage.VOICE, member, Member.end)

    shutdown._run_before_other_libraries()
    shutdown._run_all()

    assert told == ["once"]


def test_one_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever raises is logged, and keeps nobody from ending: neither of its stage nor of the next."""
    told: list[str] = []
    members = [Member(f"{stage.name} {n}", told, ValueError()) for stage in Stage for n in range(2)]
    for member in members:
        shutdown.register(Stage[member.name.split()[0]], member, Member.end)

    shutdown._run_all()

    assert sorted(told) == sorted(member.name for member in members)
    assert {record.getMessage() for record in caplog.records} == {"! Member did not end as it should at exit"}


def test_ctrl_c() -> None:
    """Ctrl-C while one stage is waited for skips no later stage."""
    told: list[str] = []
    members = [Member(name, told, KeyboardInterrupt() if name == "WORKERS" else None) for name in ORDER]
    for member in members:
        shutdown.register(Stage[member.name], member, Member.end)

    with pytest.raises(KeyboardInterrupt):
        shutdown._run_all()

    assert told == ORDER


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child() -> None:
    """A forked child ends what it made itself, and nothing of its parent's."""
    script = """
        import os
        from azure_rt_audio._concurrency.shutdown import Stage, register
        class Thing:
            def end(self):
                print(os.getpid() == first, self.name)
        def make(name):
            thing = Thing()
            thing.name = name
            register(Stage.WORKERS, thing, Thing.end)
            return thing
        first = os.getpid()
        parents = make("the parent's")
        child = os.fork()
        if child:
            assert os.waitpid(child, 0)[1] == 0
        else:
            childs = make("the child's")
    """

    out, err = run(script)

    assert out.splitlines() == ["False the child's", "True the parent's"]
    assert err == ""


# ------------------------------------------------------------ how long


def test_bounded() -> None:
    """Listeners that never return, however many, delay the exit by no more than their stage may."""
    script = """
        import atexit, threading, time
        began = 0.0
        atexit.register(lambda: print(time.monotonic() - began))
        from azure_rt_audio import WorkerDispatcher
        workers = [WorkerDispatcher() for _ in range(5)]
        entered = threading.Barrier(6)
        for worker in workers:
            worker.submit(lambda _: (entered.wait(5), threading.Event().wait()), None)
        entered.wait(5)
        began = time.monotonic()
    """
    began = time.monotonic()

    out, err = run(script)

    limit = SECONDS[Stage.WORKERS]
    assert limit * 0.9 < float(out) < limit + 1.5
    assert time.monotonic() - began < HANG_SECONDS
    assert err == ""


def test_the_wait_is_shared() -> None:
    """The seconds of a stage are for all its members together."""
    left: list[float] = []

    class Slow:
        def end(self) -> None:
            pass

        def join(self, seconds: float) -> None:
            left.append(seconds)
            end = time.monotonic() + 0.01
            while time.monotonic() < end:
                pass

    members = [Slow() for _ in range(3)]
    for member in members:
        shutdown.register(Stage.TRANSPORTS, member, Slow.end, Slow.join)

    shutdown._run_all()

    assert len(left) == 3
    assert SECONDS[Stage.TRANSPORTS] >= left[0] >= left[1] + 0.01 >= left[2] + 0.02
