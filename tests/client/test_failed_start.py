"""A constructor that fails, or is interrupted, leaves nothing running and nothing behind."""

from __future__ import annotations

import gc
import logging
import threading
import weakref

import pytest
from fake_proxies import no_file_is_left_open
from listeners import HANG, Probe

from azure_rt_audio import AzureRealTimeAudio, QueueDispatcher, WorkerDispatcher
from azure_rt_audio._concurrency import shutdown

OPTIONS = {"host_name": "ws://127.0.0.1:1", "deployment": "m", "api_key": "k"}


class Host(QueueDispatcher):
    """Has a listener on each client before it connects."""

    def __init__(self) -> None:
        super().__init__()
        self.clients: list[weakref.ref[AzureRealTimeAudio]] = []
        self.told: list[str] = []

    def host(self, client: AzureRealTimeAudio) -> None:
        self.clients.append(weakref.ref(client))
        client.on("*", lambda event: self.told.append(event.type))


def fail_at(name: str, monkeypatch: pytest.MonkeyPatch, *, is_late: bool) -> type[BaseException]:
    """Have the start of threads of this name fail, or be interrupted just after; return what it raises."""
    real = threading.Thread.start
    kind = KeyboardInterrupt if is_late else RuntimeError

    def start(thread: threading.Thread) -> None:
        if not thread.name.startswith(name) or is_late:
            real(thread)
        if thread.name.startswith(name):
            raise kind("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    return kind


@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize("thread", ["azure-rt-reader-", "azure-rt-dial-"])
def test_a_failed_start_is_undone(
    thread: str, is_late: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Threads end, and nothing is left of the client."""
    caplog.set_level(
        logging.CRITICAL, logger="azure_rt_audio"
    )  # a kept record would keep the failure's traceback
    gc.collect()
    members = {stage: set(entries) for stage, entries in shutdown._members.items()}
    threads = set(threading.enumerate())
    host = Host()
    kind = fail_at(thread, monkeypatch, is_late=is_late)
    with no_file_is_left_open():
        with pytest.raises(kind, match="can't start") as caught:
            AzureRealTimeAudio(OPTIONS, dispatcher=host)
        monkeypatch.undo()

        for one in set(threading.enumerate()) - threads:
            if one.name.startswith(("azure-rt-reader-", "azure-rt-dial-")):
                one.join(HANG)
                assert not one.is_alive()
        del caught
        gc.collect()

    assert host.clients[0]() is None
    if is_late:  # what has begun may have failed by itself, and said so; its traceback holds the connection
        host.run_pending()
        host.told.clear()
        gc.collect()
    assert (host.run_pending(), host.told) == (0, [])
    assert [entries - members[stage] for stage, entries in shutdown._members.items()] == [set()] * len(
        members
    )


def test_the_worker_of_a_failed_start_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's own dispatcher is closed: its thread has run what waits, and ends."""
    worker, probe = WorkerDispatcher(), Probe()
    worker.submit(probe, "event")
    assert probe.next() == "event"
    monkeypatch.setattr("azure_rt_audio.client.default_dispatcher", lambda: worker)
    kind = fail_at("azure-rt-dial-", monkeypatch, is_late=False)

    with pytest.raises(kind):
        AzureRealTimeAudio(OPTIONS)

    assert worker.join(HANG)
