"""The client on many threads, and events that nobody expected."""

from __future__ import annotations

import math
import queue
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from listeners import HANG, MARKER, TONE, Aside, Connect, Probe, Stage, message, ready

from azure_rt_audio import (
    AzureRealTimeAudio,
    ConnectionClosedError,
    InlineDispatcher,
    PendingResponse,
    QueueDispatcher,
    ServiceError,
    WebSocketState,
)
from azure_rt_audio.emulator import (
    Emulator,
    after,
)
from azure_rt_audio.protocol.events import Error

# ------------------------------------------------------------ forward compatibility


def test_an_unknown_event(client: AzureRealTimeAudio, emulator: Emulator) -> None:
    """An event newer than this library reaches listeners by its name, its class and "*"."""
    from azure_rt_audio.protocol.events import UnknownEvent

    probes = {key: Probe() for key in ("response.hologram.delta", UnknownEvent, "*")}
    for key, probe in probes.items():
        client.on(key, probe)

    emulator.say({"type": "response.hologram.delta", "event_id": "h", "beam": [1, 2]})

    for probe in probes.values():
        event = probe.next()
        assert (type(event), event.type, event.raw["beam"]) == (
            UnknownEvent,
            "response.hologram.delta",
            [1, 2],
        )


@pytest.mark.parametrize("name", ["init", "closed", "status_changed", "*"])
def test_an_event_with_one_of_our_names(client: AzureRealTimeAudio, emulator: Emulator, name: str) -> None:
    """If the service comes to use a name of ours, its event is not taken for ours."""
    from azure_rt_audio.protocol.events import UnknownEvent

    ours, theirs, everything = Probe(), Probe(), Probe()
    client.on(name, everything if name == "*" else ours)
    client.on(UnknownEvent, theirs)
    before = ours.told

    emulator.say({"type": name})
    theirs.next()
    emulator.say(MARKER)
    theirs.next()

    assert [event for event in ours.told if event not in before and type(event) is UnknownEvent] == []
    assert len(everything.told) in (0, 2)


@pytest.mark.parametrize(
    ("frame", "path"),
    [
        ("no json", "$"),
        ("[1]", "$"),
        ('{"no": "type"}', "$.type"),
        ('{"type": 7}', "$.type"),
        (b"\xff\xfe", "$"),
    ],
)
def test_a_malformed_frame(client: AzureRealTimeAudio, emulator: Emulator, frame: Any, path: str) -> None:
    """What is not understood is an error that says where, and the next event arrives."""
    from azure_rt_audio import DecodeError

    errors, markers = Probe(), Probe()
    client.on(DecodeError, errors)
    client.on("test.marker", markers)

    emulator.send_raw(frame)
    emulator.say(MARKER)

    error = errors.next()
    assert (error.path.startswith(path), client.state) == (True, WebSocketState.OPEN)
    assert markers.next().type == "test.marker"


# ------------------------------------------------------------ what a dialect cannot carry

GA_CANNOT = {"temperature": 0.7}
PREVIEW_CANNOT = {"parallel_tool_calls": True}


def test_what_is_left_out_is_said_once(connect: Connect, dialect: str) -> None:
    """A field the dialect lacks is left out with one warning, at the user's own line."""
    field = GA_CANNOT if dialect == "ga" else PREVIEW_CANNOT
    (name,) = field
    with pytest.warns(UserWarning, match=rf"session\.{name} does not exist in the {dialect}") as caught:
        client = connect(session_config=field)
    client.wait_until_ready(HANG)

    for _ in range(2):  # a second warning would be an error here
        client.update_session(field).result(HANG)
    assert [Path(warning.filename).name for warning in caught] == ["conftest.py"]


@pytest.mark.parametrize("method", ["create_response", "createResponse"])
def test_the_warning_names_the_users_line(client: AzureRealTimeAudio, dialect: str, method: str) -> None:
    """By whichever name a method was called, the warning points at the call, also if it has to wait."""
    field = GA_CANNOT if dialect == "ga" else PREVIEW_CANNOT
    first = client.create_response()

    with pytest.warns(UserWarning, match="was not sent") as caught:
        second = getattr(client, method)(field)

    assert [Path(warning.filename).name for warning in caught] == ["test_client_threads.py"]
    assert (first.result(HANG).status, second.result(HANG).status) == ("completed", "completed")


def test_a_warning_that_is_an_error_changes_nothing(client: AzureRealTimeAudio, dialect: str) -> None:
    """With warnings as errors the request is not sent, and the next one is."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning):
            client.create_response(GA_CANNOT if dialect == "ga" else PREVIEW_CANNOT)

    assert client.create_response(if_active="raise").result(HANG).is_completed


# ------------------------------------------------------------ threads


def test_any_thread_may_ask(client: AzureRealTimeAudio) -> None:
    """Many threads use one client at once; each gets its own answers."""
    asides = [
        Aside(
            lambda number=number: client.create_conversation_item(message(str(number))).result(HANG).item.text
        )
        for number in range(16)
    ]

    assert [aside.result() for aside in asides] == [str(number) for number in range(16)]


def test_a_listener_may_block_on_the_client(client: AzureRealTimeAudio, emulator: Emulator) -> None:
    """On the default dispatcher, a listener may ask, wait and be answered."""
    answers = Probe()
    client.once("test.marker", lambda _: answers(client.ask("Hello", timeout=HANG).text))

    emulator.say(MARKER)

    assert answers.next().startswith("Hello")


def test_the_reader_never_waits_for_listeners(client: AzureRealTimeAudio) -> None:
    """While a listener is stuck, callers are answered; the listener then sees everything, in order."""
    stage, probe = Stage(), Probe()
    client.once("input_audio_buffer.cleared", stage)
    client.on("conversation.item.created", probe)
    client.clear_audio_buffer()
    stage.wait()

    ids = [client.create_conversation_item(message("a")).result(HANG).item.id for _ in range(5)]
    before = probe.told
    stage.go_on.set()

    assert before == []
    assert [probe.next().item.id for _ in range(5)] == ids


@pytest.mark.parametrize(
    "wait",
    [
        lambda c: c.wait_for("response.done"),
        lambda c: c.ask("Hello"),
        lambda c: c.commit_audio().result(),
        lambda c: c.create_response().result(),
        lambda c: next(c.create_response().text()),
        lambda c: next(c.events("response.done")),
        lambda c: c.commit_audio().exception(),
    ],
)
def test_the_reader_must_not_wait_for_itself(connect: Connect, wait: Callable[[Any], Any]) -> None:
    """What would wait for ever in an inline listener raises at once."""
    client, answers = ready(connect, dispatcher=InlineDispatcher()), Probe()

    def listener(_: object) -> None:
        try:
            wait(client)
        except BaseException as exc:  # noqa: BLE001 - looked at by the test
            answers(exc)

    client.once("input_audio_buffer.cleared", listener)
    client.clear_audio_buffer()

    error = answers.next()
    assert isinstance(error, RuntimeError)
    assert "use the default dispatcher" in str(error)


def test_waiting_for_readiness_on_the_reader(connect: Connect) -> None:
    """Before the session is ready, an inline listener may send, but not wait."""
    door, answers = threading.Event(), Probe()
    with Emulator(on_log=lambda line: door.wait(HANG) if "handshake" in line else None) as service:
        client = connect(service=service, dispatcher=InlineDispatcher())

        def listener(_: object) -> None:
            sent = client.clear_audio_buffer()
            try:
                client.wait_until_ready()
            except RuntimeError as exc:
                answers((sent, exc))

        client.once("session.created", listener)
        door.set()

        sent, error = answers.next()
        assert "must not block" in str(error)
        assert sent.result(HANG).type == "input_audio_buffer.cleared"
        assert [c["type"] for c in service.received()] == ["session.update", "input_audio_buffer.clear"]
        client.close()


def test_an_inline_listener_may_send(connect: Connect) -> None:
    """Sending from the I/O thread works, and does not wait."""
    client, done = ready(connect, dispatcher=InlineDispatcher()), Probe()
    client.on("response.done", done)
    client.once("input_audio_buffer.cleared", lambda _: client.create_response())

    client.clear_audio_buffer()

    assert done.next().response.status == "completed"


def test_an_inline_listener_runs_where_its_event_comes_from(connect: Connect, emulator: Emulator) -> None:
    """An event of the service on the I/O thread; a status on the thread that sets it."""
    client, told, set_here = ready(connect, dispatcher=InlineDispatcher()), Probe(), Probe()
    client.on("test.marker", told)
    client.on("status_changed", set_here)
    client.status = "speaking"
    emulator.say(MARKER)
    told.next()

    assert set_here.threads == {threading.current_thread().name}
    assert [name.rpartition("-")[0] for name in told.threads] == ["azure-rt-reader"]


def test_callbacks_of_futures_run_where_listeners_run(client: AzureRealTimeAudio) -> None:
    """A future's callback is on the listeners' thread and may block."""
    answers = Probe()

    client.clear_audio_buffer().add_done_callback(
        lambda future: answers((future.result().type, client.commit_audio().exception(HANG)))
    )

    kind, error = answers.next()
    assert (kind, type(error)) == ("input_audio_buffer.cleared", ServiceError)
    assert next(iter(answers.threads)).startswith("azure-rt-events-")


def test_listeners_on_a_thread_of_the_programs_choosing(connect: Connect) -> None:
    """With a queue, listeners run when the program says so, on its own thread."""
    queue = QueueDispatcher()
    client, probe = ready(connect, dispatcher=queue), Probe()
    client.on("input_audio_buffer.cleared", probe)

    client.clear_audio_buffer().result(HANG)
    before = probe.told
    while not probe.threads:
        queue.run_pending(HANG)

    assert (before, probe.threads) == ([], {threading.current_thread().name})


def test_a_listener_with_a_dispatcher_of_its_own(client: AzureRealTimeAudio) -> None:
    """One listener may run elsewhere than the others."""
    queue, own, others = QueueDispatcher(), Probe(), Probe()
    client.on("input_audio_buffer.cleared", own, dispatcher=queue)
    client.on("input_audio_buffer.cleared", others)

    client.clear_audio_buffer()
    others.next()
    before = own.told
    queue.run_pending(HANG)

    assert (before, len(own.told)) == ([], 1)


@pytest.mark.parametrize("dispatcher", ["worker", object(), print])
def test_what_is_no_dispatcher(emulator: Emulator, client: AzureRealTimeAudio, dispatcher: Any) -> None:
    """Something that cannot be submitted to is refused, by the constructor and by on()."""
    with pytest.raises(TypeError, match="dispatcher must have submit"):
        AzureRealTimeAudio(emulator.options(), dispatcher=dispatcher)
    with pytest.raises(TypeError, match="dispatcher must have submit"):
        client.on("init", print, dispatcher=dispatcher)


def test_a_collision_with_the_services_own_response(connect: Connect) -> None:
    """If the service answers a turn at the moment we ask, our request is answered after that."""
    with Emulator(pace=20) as service:
        client = ready(connect, service=service, dispatcher=InlineDispatcher())
        handles: queue.Queue[PendingResponse] = queue.Queue()
        errors, refusals = Probe(), Probe()
        client.on("error", errors)
        client.on(Error, refusals)
        client.once("input_audio_buffer.committed", lambda _: handles.put(client.create_response()))

        client.append_audio(TONE + bytes(48_000))
        pending = handles.get(timeout=HANG)
        response = pending.result(HANG)

        assert response.is_completed
        events = [event["type"] for event in service.sent() if event["type"].startswith("response.")]
        assert [kind for kind in events if kind in ("response.created", "response.done")] == [
            "response.created",
            "response.done",
        ] * 2
        assert len(service.received("response.create")) == 1  # sent after the user's turn, so never refused
        assert (refusals.told, errors.told) == ([], [])
        client.close()


def test_a_rule_after_an_event(connect: Connect, emulator: Emulator) -> None:
    """The connection may be lost in the middle of a response; whoever waits is told."""
    from azure_rt_audio.emulator import Drop

    client = ready(connect, reconnect=None)
    emulator.faults.add(after("response.audio.delta", Drop()))

    with pytest.raises(ConnectionClosedError) as caught:
        client.ask("Hello", timeout=HANG)

    assert caught.value.type == "connection_error"


def test_listeners_run_in_a_loop_of_the_programs_own(connect: Connect) -> None:
    """``run_pending`` runs what waits, on the thread that calls it, and says how much that was."""
    client, probe = connect(dispatcher=QueueDispatcher()), Probe()
    client.on("init", probe)
    client.wait_until_ready(HANG)

    assert client.run_pending(HANG) == 1
    assert client.run_pending() == 0
    assert probe.threads == {threading.current_thread().name}


class Watched(QueueDispatcher):
    """Tells when somebody begins to wait, before anything can be told to who waits."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = threading.Semaphore(0)

    def _run(self, timeout: float | None, is_over: Callable[[], bool]) -> int:
        def is_over_now() -> bool:
            self.waits.release()
            return is_over()

        return super()._run(timeout, is_over_now)


@pytest.mark.parametrize("end", ["close", "service"])
def test_run_pending_ends_with_the_session(
    end: str, connect: Connect, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a limit it raises why, at once and ever after; what waits runs before that."""
    dispatcher, closed = Watched(), Probe()
    client = connect(dispatcher=dispatcher, reconnect=None)
    client.wait_until_ready(HANG)
    waiting = Aside(lambda: client.run_pending(None))
    limited = Aside(lambda: client.run_pending(2 * HANG))
    assert dispatcher.waits.acquire(timeout=HANG)
    assert dispatcher.waits.acquire(timeout=HANG)
    if end == "close":
        assert client.close()
    else:
        emulator.close(4000, "bye")

    with pytest.raises(ConnectionClosedError) as caught:
        waiting.result()
    assert limited.result() == 0
    assert "bye" not in caplog.text  # who waits without a limit is told
    assert caught.value.close_code == (1000 if end == "close" else 4000)
    client.on("closed", closed)
    assert client.run_pending(None) == 1
    with pytest.raises(ConnectionClosedError):
        client.run_pending(math.inf)
    assert (client.run_pending(), client.run_pending(0.001)) == (0, 0)


def test_run_pending_says_what_it_needs(client: AzureRealTimeAudio) -> None:
    """Where listeners run by themselves there is nothing to run."""
    with pytest.raises(RuntimeError, match=r"dispatcher=QueueDispatcher\(\)"):
        client.run_pending()
