"""Sound into the client, and the status that follows from what is said."""

from __future__ import annotations

import array
import base64
from typing import Any

import pytest
from probes import HANG, NO_VAD, TONE, Connect, Probe, ready

from azure_rt_audio import (
    AzureRealTimeAudio,
    ModelStatusEnum,
    ServiceError,
)
from azure_rt_audio.emulator import (
    Emulator,
    Swallow,
    before,
)
from azure_rt_audio.protocol.checks import MAX_APPEND_BYTES


def audio_received(service: Emulator) -> list[str]:
    """Return the audio of the appends, as it came."""
    return [command["audio"] for command in service.received("input_audio_buffer.append")]


# ------------------------------------------------------------ audio


@pytest.mark.parametrize(
    "audio",
    [
        TONE,
        bytearray(TONE),
        memoryview(TONE),
        base64.b64encode(TONE).decode(),
        array.array("h", TONE),
    ],
    ids=["bytes", "bytearray", "memoryview", "base64", "int16"],
)
def test_audio_in_any_form(connect: Connect, keeping: Emulator, audio: Any) -> None:
    """Sound in any form arrives as it was."""
    client = ready(connect, service=keeping, session_config=NO_VAD)

    client.append_audio(audio)
    client.clear_audio_buffer().result(HANG)

    assert base64.b64decode("".join(audio_received(keeping))) == TONE


def test_a_float_array(connect: Connect, keeping: Emulator) -> None:
    """Floats are scaled."""
    client = ready(connect, service=keeping, session_config=NO_VAD)

    client.append_audio(array.array("f", [0.0, 0.5, 1.0, -1.0]))
    client.clear_audio_buffer().result(HANG)

    assert list(array.array("h", base64.b64decode(audio_received(keeping)[0]))) == [0, 16384, 32767, -32768]


@pytest.mark.parametrize(
    ("audio", "error", "says"),
    [
        (b"\x00", ValueError, "2 bytes per frame"),
        (base64.b64encode(b"\x00").decode(), ValueError, "odd number of bytes"),
        ("AAA", ValueError, "padding"),
        ("data:audio/wav;base64,AAAA", ValueError, "data URL"),
        ("AA-_", ValueError, "URL-safe"),
        (5, TypeError, "bytes of PCM16"),
        (None, TypeError, "bytes of PCM16"),
    ],
)
def test_what_is_no_audio(client: AzureRealTimeAudio, audio: Any, error: type[Exception], says: str) -> None:
    """What is not audio is refused with the remedy, before anything is sent."""
    with pytest.raises(error, match=says):
        client.append_audio(audio)


def test_wrong_audio_is_refused_before_the_session_is_ready(connect: Connect, emulator: Emulator) -> None:
    """What is wrong with the audio is said at once, without waiting for a connection."""
    emulator.faults.add(before("session.created", Swallow()))

    with pytest.raises(ValueError, match="odd number"):
        connect().append_audio("AA==")


def test_no_audio_is_not_sent(client: AzureRealTimeAudio, emulator: Emulator) -> None:
    """Nothing to append is nothing to send."""
    for audio in ("", b"", array.array("h")):
        client.append_audio(audio)
    client.clear_audio_buffer().result(HANG)

    assert audio_received(emulator) == []


@pytest.mark.parametrize("as_text", [True, False])
def test_more_than_the_service_takes_at_a_time(connect: Connect, as_text: bool) -> None:
    """Audio above 15 MiB goes out in pieces of whole frames, in order."""
    sound = bytes(MAX_APPEND_BYTES) + b"\x01\x02" * 3
    with Emulator(pace=0) as service:
        client = ready(connect, service=service, session_config=NO_VAD)
        sent: list[bytes] = []
        client._hub.out.send_audio = sent.append  # type: ignore[method-assign]

        client.append_audio(base64.b64encode(sound).decode() if as_text else sound)
        client.close()

    assert [len(base64.b64decode(piece)) for piece in sent] == [MAX_APPEND_BYTES, 6]
    assert base64.b64decode(sent[1]) == b"\x01\x02" * 3


@pytest.mark.parametrize("audio_format", ["g711_ulaw", "g711_alaw"])
def test_telephone_audio(connect: Connect, keeping: Emulator, audio_format: str) -> None:
    """In a G.711 session a frame is one byte; an array has to be encoded first."""
    client = ready(connect, service=keeping, session_config={**NO_VAD, "input_audio_format": audio_format})

    for audio in (b"\xff", "fw==", bytearray(b"\x80")):
        client.append_audio(audio)
    with pytest.raises(TypeError, match=f"a {audio_format} session takes bytes"):
        client.append_audio(array.array("h", [0]))
    with pytest.raises(ValueError, match="padding"):
        client.append_audio("fw")
    client.clear_audio_buffer().result(HANG)

    assert b"".join(map(base64.b64decode, audio_received(keeping))) == b"\xff\x7f\x80"


def test_the_format_changes_with_an_update(connect: Connect) -> None:
    """What is appended after an update of the format is in the new one; a refused update changes nothing."""
    client = ready(connect, session_config=NO_VAD)

    client.update_session({"input_audio_format": "g711_ulaw"})
    client.append_audio(b"\xff")
    client.update_session({"input_audio_format": "pcm16"}).result(HANG)
    with pytest.raises(ValueError, match="2 bytes per frame"):
        client.append_audio(b"\xff")
    refused = client.update_session({"input_audio_format": "g711_ulaw", "model": "nobody"})
    assert isinstance(refused.exception(HANG), ServiceError)
    with pytest.raises(ValueError, match="2 bytes per frame"):
        client.append_audio(b"\xff")

    client.clear_audio_buffer().result(HANG)


# ------------------------------------------------------------ status


def test_the_course_of_a_spoken_turn(connect: Connect) -> None:
    """Listening, thinking, speaking; idle when the player says so."""
    client, statuses = ready(connect), Probe()
    client.on("status_changed", statuses)

    client.append_audio(TONE + bytes(48_000))
    course = [event.status for event in statuses.until(lambda event: event.status == "speaking")]
    client.set_model_speak_done()

    assert course == ["listening", "thinking", "speaking"]
    last = statuses.next()
    assert (last.status, last.previous) == (ModelStatusEnum.IDLE, ModelStatusEnum.SPEAKING)


def test_a_written_answer_is_not_spoken(connect: Connect) -> None:
    """A response in text only leads from thinking to idle."""
    client, statuses = ready(connect), Probe()
    client.on("status_changed", statuses)

    client.ask("Hello", response={"modalities": ["text"]}, timeout=HANG)

    assert [statuses.next().status for _ in range(2)] == ["thinking", "idle"]


def test_setting_the_status_tells_once(client: AzureRealTimeAudio) -> None:
    """Setting the status to what it is already is no news; a wrong one is refused."""
    statuses = Probe()
    client.on("status_changed", statuses)

    client.status = "listening"  # type: ignore[assignment]
    client.status = ModelStatusEnum.LISTENING
    client.status = ModelStatusEnum.IDLE

    assert [statuses.next().status for _ in range(2)] == ["listening", "idle"]
    with pytest.raises(ValueError, match="dancing"):
        client.status = "dancing"  # type: ignore[assignment]
    assert statuses.told == []


@pytest.mark.parametrize("interrupts", [True, False, None])
def test_speech_interrupts_thinking(connect: Connect, interrupts: bool | None) -> None:
    """If the user speaks while the model thinks, the response ends: by itself, or because we say so."""
    with Emulator(pace=1, first_delay=60) as service:
        detection = {"type": "server_vad", "interrupt_response": interrupts, "create_response": False}
        if interrupts is None:
            del detection["interrupt_response"]
        client = ready(connect, service=service, session_config={"turn_detection": detection})
        with client.events("response.created", timeout=HANG) as created:
            client.create_response()
            next(created)

        with client.events("response.done", timeout=HANG) as done:
            client.append_audio(TONE)
            reason = next(done).response.reason

        assert reason == ("client_cancelled" if interrupts is False else "turn_detected")
        assert len(service.received("response.cancel")) == (interrupts is False)
        client.close()
