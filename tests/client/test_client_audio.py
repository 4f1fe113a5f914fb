"""Sound into the client, and the status that follows from what is said."""

from __future__ import annotations

import array
import base64
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from listeners import HANG, NO_VAD, TONE, Aside, Connect, Probe, audio_received, ready, received

from azure_rt_audio import (
    AzureRealTimeAudio,
    ModelStatusEnum,
    PendingResponse,
    ServiceError,
)
from azure_rt_audio.audio import (
    SoundWarning,
    alaw_decode,
    resample,
    to_pcm16,
    ulaw_decode,
    ulaw_encode,
    write_wav,
)
from azure_rt_audio.emulator import (
    Emulator,
    Swallow,
    before,
)
from azure_rt_audio.protocol.checks import MAX_APPEND_BYTES
from azure_rt_audio.protocol.events import ResponseCreated, ResponseDone, ResponseOutputAudioDelta
from azure_rt_audio.protocol.responses import Response

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


def test_sound_keeps_the_users_turn(client: AzureRealTimeAudio) -> None:
    """In an event of the program's own making, too; none of it does not."""
    turn = client._engine.response_queue.turn
    client.append_audio(b"")
    client.append_audio(b"", sample_rate_hz=16_000)
    client.append_audio(b"")
    client.send({"type": "input_audio_buffer.append", "audio": ""})
    assert not turn.has_sound
    client.send({"type": "input_audio_buffer.append", "audio": base64.b64encode(TONE).decode()})
    assert turn.has_sound
    turn.has_sound = False
    client.append_audio(TONE)
    assert turn.has_sound


@pytest.mark.parametrize("as_text", [True, False])
def test_more_than_the_service_takes_at_a_time(connect: Connect, as_text: bool) -> None:
    """Audio above 15 MiB goes out in pieces of whole frames, in order."""
    sound = bytes(MAX_APPEND_BYTES) + b"\x01\x02" * 3
    with Emulator(pace=0) as service:
        client = ready(connect, service=service, session_config=NO_VAD)
        sent: list[bytes] = []
        attempt = client._engine.attempts.current
        attempt.send = lambda payload, timeout, live_s: sent.append(payload)  # type: ignore[method-assign, misc]

        client.append_audio(base64.b64encode(sound).decode() if as_text else sound)
        client.close()

    pieces = [base64.b64decode(json.loads(payload)["audio"]) for payload in sent]
    assert [len(piece) for piece in pieces] == [MAX_APPEND_BYTES, 6]
    assert pieces[1] == b"\x01\x02" * 3


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


def test_pcm16_in_a_telephone_session(connect: Connect, keeping: Emulator) -> None:
    """Without its rate it is noise there, which is told; with it, it is converted."""
    client = ready(connect, service=keeping, session_config={**NO_VAD, "input_audio_format": "g711_ulaw"})
    pcm = to_pcm16(np.random.default_rng(1).normal(0, 0.1, 9_600).clip(-1, 1).astype("float32"))
    for send in (client.append_audio, client.ask):
        with pytest.warns(SoundWarning, match="seems to be PCM16, and is sent as g711_ulaw"):
            send(pcm)
    client.ask(pcm, sample_rate_hz=24_000)  # warnings are errors in tests
    client.ask(ulaw_encode(pcm))


@pytest.mark.parametrize("audio_format", ["pcm16", "g711_ulaw"])
def test_a_sound_file_is_no_sound(connect: Connect, tmp_path: Path, audio_format: str) -> None:
    """The error for a path, or for the content of a file, says what to call."""
    client = connect(session_config={"input_audio_format": audio_format})
    path = tmp_path / "question.wav"
    write_wav(path, TONE)

    for call in (client.ask, client.append_audio):
        for prompt in (path, str(path)):
            with pytest.raises((TypeError, ValueError), match=r"client\.send_audio_file\(path\)") as caught:
                call(prompt)  # type: ignore[operator]
            assert "numpy" not in str(caught.value)
    with pytest.raises(ValueError, match=r"read_wav\(io\.BytesIO\(content\)\)"):
        client.ask(path.read_bytes())
    assert client.ask("What is in question.wav?", timeout=HANG).is_completed


def test_the_format_changes_with_an_update(connect: Connect) -> None:
    """What is appended after an update of the format is in the new one; a refused update changes nothing."""
    client = ready(connect, session_config=NO_VAD)

    client.update_session({"input_audio_format": "g711_ulaw"})
    client.append_audio(b"\xff")
    client.update_session({"input_audio_format": "pcm16"}).result(HANG)
    with pytest.raises(ValueError, match="2 bytes per frame"):
        client.append_audio(b"\xff")
    refused = client.update_session({"input_audio_format": "g711_ulaw", "extra": {"colour": 1}})
    assert isinstance(refused.exception(HANG), ServiceError)
    with pytest.raises(ValueError, match="2 bytes per frame"):
        client.append_audio(b"\xff")

    client.clear_audio_buffer().result(HANG)


# ------------------------------------------------------------ answers


@pytest.mark.parametrize(
    ("audio_format", "decode", "own_hz"),
    [("pcm16", bytes, 24_000), ("g711_ulaw", ulaw_decode, 8_000), ("g711_alaw", alaw_decode, 8_000)],
    ids=["pcm16", "ulaw", "alaw"],
)
@pytest.mark.parametrize("who_asks", ["session", "response"])
def test_an_answer_at_the_rate_that_is_asked_for(
    connect: Connect, audio_format: str, decode: Any, own_hz: int, who_asks: str
) -> None:
    """The pieces put together are the whole answer, decoded and resampled; as it came is as it came."""
    config = {"output_audio_format": audio_format}
    client = ready(connect, session_config={**NO_VAD, **(config if who_asks == "session" else {})})

    pending = client.create_response(config if who_asks == "response" else None)
    pcm = decode(b"".join(pending.audio(HANG)))

    assert len(pcm) > own_hz
    assert b"".join(pending.audio(HANG, sample_rate_hz=own_hz)) == pcm
    assert b"".join(pending.audio(HANG, sample_rate_hz=44_100)) == resample(pcm, own_hz, 44_100)
    with pytest.raises(ValueError, match="sample_rate_hz is 10: pass a rate"):
        next(pending.audio(HANG, sample_rate_hz=10))


def test_a_service_that_does_not_name_the_format() -> None:
    """The first preview says nothing about it in a response; it speaks as it was asked to."""
    place = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
    pending = PendingResponse(lambda: None, lambda: None, "g711_ulaw")
    response = Response(id="r", status="completed")
    pending._feed(ResponseCreated(event_id="1", response=response))
    pending._feed(ResponseOutputAudioDelta(event_id="2", delta="fwD/", **place))
    pending._feed(ResponseDone(event_id="3", response=response))

    assert b"".join(pending.audio(HANG)) == b"\x7f\x00\xff"
    assert b"".join(pending.audio(HANG, sample_rate_hz=8_000)) == ulaw_decode(b"\x7f\x00\xff")


def test_an_answer_after_tools_in_another_format() -> None:
    """The sound before it and its own are converted from what each is."""
    pending = PendingResponse(lambda: None, lambda: None, "pcm16")
    for number, (audio_format, sound) in enumerate((("g711_ulaw", b"\x7f\x00"), ("pcm16", bytes(4_800)))):
        place = {"response_id": str(number), "item_id": str(number), "output_index": 0, "content_index": 0}
        begun = Response(id=str(number), output_audio_format=audio_format)
        pending._feed(ResponseCreated(event_id="1", response=begun))
        delta = base64.b64encode(sound).decode()
        pending._feed(ResponseOutputAudioDelta(event_id="2", delta=delta, **place))
        if number == 0:
            pending._go_on("0", lambda: None)
        pending._feed(ResponseDone(event_id="3", response=Response(id=str(number), status="completed")))

    parts = ulaw_decode(b"\x7f\x00"), bytes(1_600)
    assert b"".join(pending.audio(HANG, sample_rate_hz=8_000)) == b"".join(parts)


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


# ------------------------------------------------------------ sound of other kinds


def tone(rate_hz: int, seconds: float = 1.0, channels: int = 1) -> np.ndarray[Any, np.dtype[np.int16]]:
    """Return 440 Hz at half of full scale, with the shape (frames, channels)."""
    phase = 2 * np.pi * 440 * np.arange(int(rate_hz * seconds)) / rate_hz
    return np.repeat(np.rint(16384 * np.sin(phase)).astype(np.int16)[:, None], channels, axis=1)


STEREO = tone(48_000, channels=2)
WHOLE = bytes(to_pcm16(STEREO, 48_000))


@pytest.mark.parametrize(
    ("chunks", "channels"),
    [
        pytest.param([STEREO[start : start + 480] for start in range(0, 48_000, 480)], None, id="int16"),
        pytest.param([(STEREO / 32768).astype("f4")], None, id="float32"),
        pytest.param([STEREO.tobytes()[at : at + 997] for at in range(0, 192_000, 997)], 2, id="bytes"),
        pytest.param([array.array("h", STEREO.reshape(-1).tolist())], 2, id="array"),
        pytest.param([base64.b64encode(STEREO.tobytes()).decode()], 2, id="base64"),
    ],
)
def test_a_stream_at_another_rate(
    connect: Connect, keeping: Emulator, chunks: list[Any], channels: int | None
) -> None:
    """Chunks of 48 kHz stereo, cut anywhere, arrive as the whole would have been; a commit loses nothing."""
    client = ready(connect, service=keeping, session_config=NO_VAD)

    for chunk in chunks:
        client.append_audio(chunk, 48_000, channels)
    client.commit_audio().result(HANG)

    assert received(keeping) == WHOLE


@pytest.mark.parametrize(
    ("audio_format", "decode"), [("g711_ulaw", ulaw_decode), ("g711_alaw", alaw_decode)], ids=["ulaw", "alaw"]
)
def test_a_stream_into_a_telephone_session(
    connect: Connect, keeping: Emulator, audio_format: str, decode: Any
) -> None:
    """A G.711 session gets one byte per frame at 8 kHz, of what was an array at 44.1 kHz."""
    client = ready(connect, service=keeping, session_config={**NO_VAD, "input_audio_format": audio_format})
    sound = tone(44_100)

    for start in range(0, len(sound), 4410):
        client.append_audio(sound[start : start + 4410], 44_100)
    client.commit_audio().result(HANG)

    codes = received(keeping)
    assert len(codes) == 8000
    heard = np.frombuffer(decode(codes), "<i2")[400:-400].astype(float)
    assert np.abs(heard - tone(8_000)[400:-400, 0]).max() < 16384 / 25  # a step of G.711 at that level


def test_what_comes_after_a_stream_follows_all_of_it(connect: Connect, keeping: Emulator) -> None:
    """Audio without a rate, or with another one, is sent after what the stream held back."""
    client = ready(connect, service=keeping, session_config=NO_VAD)
    first, second = tone(16_000, 0.2), tone(8_000, 0.2)

    client.append_audio(first, 16_000)
    client.append_audio(second, 8_000)
    client.append_audio(TONE)
    client.append_audio(second, 8_000)
    client.append_audio(b"")
    client.clear_audio_buffer().result(HANG)

    eight = bytes(to_pcm16(second, 8_000))
    assert received(keeping) == bytes(to_pcm16(first, 16_000)) + eight + TONE + eight


def test_a_buffer_that_is_cleared_leaves_nothing_in_the_filter(connect: Connect, keeping: Emulator) -> None:
    """What a stream held back when the buffer was cleared is not heard in the next one."""
    client = ready(connect, service=keeping, session_config=NO_VAD)

    client.append_audio(tone(16_000, 0.2), 16_000)
    client.clear_audio_buffer().result(HANG)
    before_ = len(received(keeping))
    client.append_audio(tone(16_000, 0.3), 16_000)
    client.commit_audio().result(HANG)

    assert received(keeping)[before_:] == bytes(to_pcm16(tone(16_000, 0.3), 16_000))


def test_a_stream_ends_before_the_format_changes(connect: Connect, keeping: Emulator) -> None:
    """What was held back goes out in the format it was made for, before the update."""
    client = ready(connect, service=keeping, session_config=NO_VAD)
    sound = tone(16_000, 0.2)

    client.append_audio(sound, 16_000)
    client.update_session({"input_audio_format": "g711_ulaw"}).result(HANG)
    first = received(keeping)
    client.append_audio(sound, 16_000)
    client.commit_audio().result(HANG)

    assert first == bytes(to_pcm16(sound, 16_000))
    assert received(keeping)[len(first) :] == ulaw_encode(resample(sound.tobytes(), 16_000, 8_000))


def test_another_thread_commits_in_the_middle_of_a_stream(connect: Connect, keeping: Emulator) -> None:
    """Pieces are sent in the order in which they were converted, whoever ends the stream."""
    client = ready(connect, service=keeping, session_config=NO_VAD)
    sound = tone(16_000, 0.1)
    go = threading.Event()

    def speak() -> None:
        for number in range(300):
            client.append_audio(sound, 16_000)
            if number == 20:
                go.set()

    mouth = Aside(speak)
    assert go.wait(HANG)
    for _ in range(20):
        client.commit_audio()
    mouth.result()
    client.append_audio(b"")  # ends the stream
    client.clear_audio_buffer().result(HANG)

    # A piece of the filter's tail in the wrong place would be a gap of its length, and a click.
    samples = np.frombuffer(received(keeping), "<i2").astype(int)
    assert len(samples) == 300 * 2400
    assert np.abs(np.diff(samples)).max() < 3 * 16384 * 2 * np.pi * 440 / 24_000


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ((b"1234", 999), ValueError, "sample_rate_hz is 999: pass a rate from 1000"),
        ((b"1234", "fast"), TypeError, "sample_rate_hz must be a number of Hz, not str"),
        ((b"1234", 48_000, 9), ValueError, "channels is 9: pass 1 for mono"),
        ((b"1234", None, 2), ValueError, "channels was given without sample_rate_hz"),
        ((STEREO, 48_000, 1), ValueError, "channels is 1: leave channels out"),
        ((STEREO.T, 48_000), ValueError, r"transposed, pass audio\.T"),
        (("AAA", 48_000), ValueError, "padding"),
        ((5, 48_000), TypeError, "bytes of PCM16"),
    ],
)
def test_what_is_no_stream(
    client: AzureRealTimeAudio, arguments: Any, error: type[Exception], says: str
) -> None:
    """A wrong rate, number of channels or shape is refused by name, and nothing is sent."""
    with pytest.raises(error, match=says):
        client.append_audio(*arguments)


def test_a_question_at_another_rate(connect: Connect, keeping: Emulator) -> None:
    """A whole recording may be asked with at its own rate, in either kind of session."""
    client = ready(connect, service=keeping, session_config=NO_VAD)

    client.ask(STEREO, sample_rate_hz=48_000, timeout=HANG)
    client.update_session({"input_audio_format": "g711_alaw"})
    client.ask(STEREO.tobytes(), sample_rate_hz=48_000, channels=2, timeout=HANG)
    with pytest.raises(ValueError, match="times 2 channels per frame: it is cut"):
        client.ask(b"12", sample_rate_hz=48_000, channels=2)

    sent = [
        base64.b64decode(item["item"]["content"][0]["audio"])
        for item in keeping.received("conversation.item.create")
    ]
    assert sent[0] == WHOLE
    assert len(sent[1]) == 8000
