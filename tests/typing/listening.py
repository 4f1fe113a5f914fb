"""What a listener receives is known from the event it names."""

from __future__ import annotations

from typing import Any

from typing_extensions import assert_type

from azure_rt_audio import (
    AzureRealTimeAudio,
    Closed,
    ConnectError,
    Init,
    QueueDispatcher,
    RealtimeError,
    ServiceError,
    Session,
    StatusChanged,
    Subscription,
)
from azure_rt_audio.protocol.events import ResponseDone, ResponseOutputAudioDelta


def show(*values: object) -> None:
    """Do something with what is typed."""


def on_delta(delta: ResponseOutputAudioDelta) -> None:
    show(len(delta.audio))


def on_done(done: ResponseDone) -> None:
    show(done.response.status)


def on_session(session: Session) -> None:
    show(session.voice)


def on_error(error: RealtimeError) -> None:
    show(error.type, error.message, error.code, error.retry_after)


def on_service_error(error: ServiceError) -> None:
    show(error.is_benign)


def on_nothing() -> None:
    show("nothing")


def by_class(client: AzureRealTimeAudio) -> None:
    assert_type(client.on(ResponseOutputAudioDelta, on_delta), Subscription)
    client.once(ResponseOutputAudioDelta, on_delta, dispatcher=QueueDispatcher())
    client.on(ResponseOutputAudioDelta, lambda delta: show(delta.audio.hex()))
    client.on(ServiceError, on_service_error)
    client.on(ServiceError, on_error)
    client.on(Init, lambda init: show(init.session.id))
    client.on(Closed, lambda closed: show(closed.is_clean))
    client.on(StatusChanged, lambda changed: show(changed.previous.value))

    client.on(ResponseOutputAudioDelta, on_done)  # type: ignore[arg-type]
    client.once(ConnectError, on_service_error)  # type: ignore[arg-type]
    client.on(ResponseOutputAudioDelta, on_nothing)  # type: ignore[arg-type]


def by_name(client: AzureRealTimeAudio) -> None:
    assert_type(client.on("init", on_session), Subscription)
    client.on("error", on_error)
    client.once("response.audio.delta", on_delta)
    client.once("response.output_audio.delta", on_delta)
    client.on("response.done", lambda done: show(done.response.status))
    client.on("status_changed", lambda changed: show(changed.previous.value))
    client.on("reconnecting", lambda event: show(event.delay_s))
    client.on("reconnected", lambda event: show(event.lost))
    client.on("*", show)
    client.on("init", lambda session: show(session.expires_at))
    client.on("error", lambda error: show(error.status))


def as_decorator(client: AzureRealTimeAudio) -> None:
    @client.on(ResponseOutputAudioDelta)
    def play(delta: ResponseOutputAudioDelta) -> None:
        show(delta.delta)

    @client.once("init")
    def begin(session: Session) -> None:
        show(session.id)

    @client.on("response.done")
    def finish(done: ResponseDone) -> None:
        show(done.response.status)

    @client.on("response.done")  # type: ignore[arg-type]
    def odd(delta: ResponseOutputAudioDelta) -> None:
        show(delta.delta)

    @client.on(ResponseDone)  # type: ignore[arg-type]
    def wrong(delta: ResponseOutputAudioDelta) -> None:
        show(delta.delta)

    begin(Session())
    begin(ResponseDone)  # type: ignore[arg-type]
    client.off(ResponseOutputAudioDelta, play)
    client.off("init", begin)
    client.off("error")
    client.off_all()


def waiting(client: AzureRealTimeAudio) -> None:
    assert_type(client.wait_for(ResponseDone), ResponseDone)
    assert_type(client.wait_for(ResponseDone, lambda done: done.response.is_completed, 5.0), ResponseDone)
    assert_type(client.wait_for("response.done", timeout=None), ResponseDone)
    assert_type(client.wait_for("response.audio.delta"), ResponseOutputAudioDelta)
    assert_type(client.wait_for("response.output_audio.delta"), ResponseOutputAudioDelta)
    assert_type(client.wait_for("init"), Session)
    assert_type(client.wait_for("error"), RealtimeError)
    assert_type(client.wait_for("an.event.to.come"), Any)
    client.wait_for(ResponseDone, lambda done: done.delta)  # type: ignore[attr-defined]
    client.wait_until_ready(5)
    with client.events(ResponseOutputAudioDelta, ResponseDone, timeout=5) as either:
        for one in either:
            assert_type(one, ResponseOutputAudioDelta | ResponseDone)
            if isinstance(one, ResponseDone):
                show(one.response.status)
    for status in client.events(StatusChanged):
        show(status.previous.value)
    for done in client.events("response.done"):
        assert_type(done, ResponseDone)
    with client.events("response.done", ResponseDone, timeout=5) as events:
        for event in events:
            show(event)
