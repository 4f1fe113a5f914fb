"""``azure-rt-audio replay``: what it prints, what it writes, and what it says of files that are damaged."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import orjson
import pytest
from cli_runner import Terminal, run
from made_recordings import Made, tone

from azure_rt_audio.__main__ import main


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    """A question, a call, and an answer that is cut."""
    made = Made().add(0.0, "opened", connection=1).said(1.0, tone(1))
    made.received(1.0, "input_audio_buffer.committed", item_id="item_q")
    name = "conversation.item.input_audio_transcription.completed"
    made.received(1.1, name, item_id="item_q", transcript="How is it in Lisbon?")
    call = {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": '{\n"city": "Lisbon"}'}
    made.received(1.2, "response.output_item.done", response_id="resp_0", item=call)
    output = {"type": "function_call_output", "call_id": "call_1", "output": '"sunny"'}
    made.sent(1.3, "conversation.item.create", item=output)
    made.words(1.4, "It is sunny and \x1b[31mwarm.").delta(1.5, tone(2))
    made.add(3.0, "heard", item="item_a", ms=1_000, end="interrupted")
    made.add(3.1, "closed", connection=1, code=1000, is_clean=True)
    return made.save(tmp_path / "talk.rta")


def test_a_replay_tells_what_happened_and_when(talk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In order of time; control characters of the service do not reach the terminal."""
    assert main(["replay", str(talk), "--speed", "0"]) == 0
    printed = capsys.readouterr().out

    assert printed.splitlines() == [
        "status   0:00.0  connection 1 is open",
        "you      0:01.0  How is it in Lisbon?",
        'tool     0:01.2  look({"city": "Lisbon"})',
        'tool     0:01.3  look returned "sunny"',
        "         0:02.0  the answer came after 1000 ms",
        "model    0:02.0  It is sunny …",
        "         0:03.0  interrupted: 1.0 of 2.0 s were heard",
        "status   0:03.1  connection 1 is closed: 1000",
        "         3.1 s; turns: 2, interruptions: 1, tool calls: 1, errors: 0; median latency: 1000 ms",
    ]


def test_without_account_an_answer_is_printed_when_it_came(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one piece, after its question also where that was sent faster than it lasts."""
    made = Made().add(0.0, "opened", connection=1)
    for _ in range(4):
        made.said(1.0, tone(1))
    made.received(1.1, "input_audio_buffer.committed", item_id="item_q")
    made.words(1.4, "It is sunny ").delta(1.5, tone(5)).words(1.6, "and warm.")
    made.add(2.0, "closed", connection=1, code=1000, is_clean=True)
    assert main(["replay", str(made.save(tmp_path / "talk.rta")), "--speed", "0"]) == 0

    assert capsys.readouterr().out.splitlines()[:-1] == [
        "status   0:00.0  connection 1 is open",
        "you      0:01.1  (not transcribed)",
        "         0:01.4  the answer came after 300 ms",
        "model    0:01.6  It is sunny and warm.",
        "status   0:02.0  connection 1 is closed: 1000",
    ]


def test_what_was_not_recorded_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error: times that are estimated, and a service that is not Azure."""
    made = Made(configuration={"endpoint": "127.0.0.1:8765", "dialect": "ga"})
    made.add(0.0, "opened", connection=1)
    made.words(1.4, "It is sunny.").delta(1.5, tone(5)).add(2.0, "closed", connection=1, code=1000)
    assert main(["replay", str(made.save(tmp_path / "talk.rta")), "--speed", "0"]) == 0

    service, heard = capsys.readouterr().err.splitlines()
    assert "127.0.0.1:8765, such as the emulator, and not from Azure" in service
    assert "when 1 of 1 answers were heard is estimated" in heard


def test_a_wav_file_without_sound_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is written all the same, with its length."""
    made = Made(sound="none").add(1.0, "note", text="Nothing was said.")
    wav = tmp_path / "talk.wav"
    assert main(["replay", str(made.save(tmp_path / "talk.rta")), "--to-wav", str(wav)]) == 0

    expected = "azure-rt-audio replay: the WAV file is silent: the recording has no sound\n"
    assert capsys.readouterr().err == expected
    assert wav.stat().st_size == 44 + 4 * 24_000


def test_a_replay_takes_its_time(talk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ten times as fast is a tenth of it."""
    began = time.monotonic()
    assert main(["replay", str(talk), "--speed", "10", "--no-sound"]) == 0

    assert 0.3 < time.monotonic() - began < 3
    assert "It is sunny …" in capsys.readouterr().out


def test_without_a_device_it_goes_on_without_sound(
    talk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And says so."""
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert main(["replay", str(talk), "--speed", "8"]) == 0

    assert "without sound: " in capsys.readouterr().out


@pytest.mark.parametrize(("speed", "is_played"), [("4", True), ("100", False)])
def test_the_sound_is_played_in_the_rate_of_the_speed(
    speed: str,
    is_played: bool,
    talk: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both sides mixed; at a speed that nobody could follow it is silent."""
    from azure_rt_audio._cli.replay import playback

    played: list[bytes] = []
    rates: list[int] = []

    class Speaker:
        def __init__(self, device: object, *, sample_rate_hz: int) -> None:
            rates.append(sample_rate_hz)

        def start(self) -> None:
            pass

        def play(self, pcm: bytes, *, item_id: str) -> None:
            played.append(pcm)

        def close(self) -> None:
            rates.append(0)

    monkeypatch.setattr(playback, "Speaker", Speaker)
    assert main(["replay", str(talk), "--speed", speed]) == 0

    assert rates == ([96_000, 0] if is_played else [])
    assert b"".join(played)[:144_000] == (tone(1) + bytes(48_000) + tone(1) if is_played else b"")


def test_files_are_written(talk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All of them at once, and then nothing is played."""
    out = {kind: str(talk.with_suffix(f".{kind}")) for kind in ("html", "wav", "srt", "json")}
    options = [part for kind, path in out.items() for part in (f"--to-{kind}", path)]
    assert main(["replay", str(talk), "--no-sound", *options]) == 0

    assert capsys.readouterr().out.splitlines() == [f"saved as {path}" for path in out.values()]
    assert "Assistant: It is sunny …" in Path(out["srt"]).read_text(encoding="utf-8")
    assert orjson.loads(Path(out["json"]).read_bytes())["tool_calls"][0]["name"] == "look"
    assert Path(out["wav"]).stat().st_size == 44 + 4 * round(3.1 * 24_000)
    assert "talk.rta" in Path(out["html"]).read_text(encoding="utf-8")


def test_standard_output_takes_what_is_text(talk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A dash in place of a path."""
    assert main(["replay", str(talk), "--to-json", "-"]) == 0
    assert orjson.loads(capsys.readouterr().out)["seconds"] == 3.1

    assert main(["replay", str(talk), "--to-wav", "-"]) == 2
    assert main(["replay", str(talk), "--to-json", "-", "--to-srt", "-"]) == 2


def test_damaged_lines_are_told_and_the_rest_is_replayed(
    talk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With their numbers; the exit code is 1."""
    lines = talk.read_bytes().splitlines(keepends=True)
    talk.write_bytes(b"".join([*lines[:3], b"\xff garbage\n", *lines[3:-1], lines[-1][:30]]))
    assert main(["replay", str(talk), "--speed", "0"]) == 1
    shown = capsys.readouterr()

    assert "It is sunny …" in shown.out
    estimated, first, second = shown.err.splitlines()
    assert "is estimated" in estimated
    assert first.startswith("azure-rt-audio replay: line 4: ")
    assert second.startswith(f"azure-rt-audio replay: line {len(lines) + 1}: it is cut")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read"),
        (b"", "no recording"),
        (b"RIFF....", "no recording"),
        (b'{"format": "azure-rt-audio recording", "version": 2}\n', "version 2"),
    ],
)
def test_what_is_no_recording_is_refused(
    content: bytes | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the reason; the exit code is 2."""
    path = tmp_path / "talk.rta"
    if content is not None:
        path.write_bytes(content)

    assert main(["replay", str(path)]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["--speed", "-1"], ["--speed", "nan"], ["--to-html", "none/talk.html"]]
)
def test_wrong_arguments_are_refused(
    arguments: list[str], talk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is done."""
    assert main(["replay", str(talk), *arguments]) == 2
    assert arguments[0] in capsys.readouterr().err


def test_a_file_that_cannot_be_written_does_not_stop_the_others(
    talk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code tells that one is missing."""
    srt = talk.with_suffix(".srt")
    assert main(["replay", str(talk), "--to-wav", "/dev/full", "--to-srt", str(srt)]) == 1

    assert "--to-wav: cannot write /dev/full" in capsys.readouterr().err
    assert srt.exists()


@pytest.mark.thorough
def test_on_a_terminal_progress_is_shown_and_removed(talk: Path, tmp_path: Path) -> None:
    """And Ctrl-C ends a replay, with its exit code."""
    with Terminal("replay", str(talk), "--to-wav", "talk.wav", cwd=tmp_path) as terminal:
        terminal.wait_for("saved as talk.wav")
        assert terminal.wait() == 0
    with Terminal("replay", str(talk), "--speed", "0.01", cwd=tmp_path) as terminal:
        terminal.wait_for("open")
        terminal.press("\x03")
        assert terminal.wait() == 130


def test_the_page_is_in_the_package() -> None:
    """Its files are data of the package, so they are in the wheel."""
    from importlib.resources import files

    from azure_rt_audio.recording.page import page

    place = files("azure_rt_audio.recording.page")
    assert all((place / f"{name}.js").is_file() for name in page._SCRIPTS)
    assert (place / "page.html").is_file()
    assert (place / "page.css").is_file()


@pytest.mark.thorough
def test_the_command_in_a_process_of_its_own(talk: Path, tmp_path: Path) -> None:
    """Without a warning."""
    done = run("replay", str(talk), "--speed", "0", cwd=tmp_path)

    estimated = "which words of interrupted answers were heard is estimated, by the share of the sound"
    assert (done.returncode, done.stderr) == (0, f"azure-rt-audio replay: {estimated}\n")
