"""
A room with sound and without a sound card: a private PipeWire with virtual devices.

``spk`` is the loudspeaker and the default output; whatever is played there can be heard with
:meth:`Room.listen`. ``mic`` is the microphone and the default input; it hears what :meth:`Room.say`
says. Both are ALSA devices to PortAudio, by these names and as ``default``; ``narrow`` is both of them
too, but with 48 000 Hz and two channels only, as some hardware is. Nothing of the machine's
own sound is touched, and nothing is left: not when the tests are killed either (see ``keeper.py``).

Any command can be run in a room::

    python tests/system/sound/room.py azure-rt-audio devices
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from array import array
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType

RATE_HZ = 24_000
"""Of everything said and heard: PCM16, int16, little-endian, mono."""

START = 20.0
"""Seconds within which a daemon or a program must do what it was asked."""

_MICROPHONE = "micpipe"  # a sink whose monitor is the microphone

_ALSA = """\
pcm.default { type pulse }
pcm.mic { type pulse device micpipe.monitor }
pcm.spk { type pulse device spk }
pcm.spk2 { type pulse device spk2 }
pcm.narrow { type pipewire playback_node spk capture_node micpipe rate 48000 channels 2 format S16_LE }
"""

# Slow but steady: the machine may be busy, and need not grant real time.
_CONFIGURATION = {
    "pipewire": "context.properties = { default.clock.quantum = 1024 default.clock.min-quantum = 1024 }",
    "pipewire-pulse": "pulse.properties = { pulse.min.quantum = 1024/48000 }",
}


class Room:
    """
    A private PipeWire, from ``with`` to the end of the block.

    Attributes:
        environment: What a process needs in its environment to be in the room.

    **Threads**: not shared.
    """

    def __init__(self) -> None:
        self.place = Path(tempfile.mkdtemp(prefix="room-"))
        pulse = self.place / "pulse"
        self.environment: Mapping[str, str] = {
            "HOME": str(self.place),
            "XDG_RUNTIME_DIR": str(self.place),
            "XDG_CONFIG_HOME": str(self.place / "config"),
            "XDG_STATE_HOME": str(self.place / "state"),
            "XDG_CACHE_HOME": str(self.place / "cache"),
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={self.place}/bus",
            "PIPEWIRE_RUNTIME_DIR": str(self.place),
            "PULSE_RUNTIME_PATH": str(pulse),
            "PULSE_SERVER": f"unix:{pulse}/native",
            "PULSE_COOKIE": str(self.place / "cookie"),
            "ALSA_CONFIG_PATH": str(self.place / "asound.conf"),
        }
        self._modules: dict[str, str] = {}
        self._speaking: list[subprocess.Popen[bytes]] = []
        self._keeper: subprocess.Popen[str] | None = None

    def __enter__(self) -> Room:
        (self.place / "asound.conf").write_text(_ALSA)
        for daemon, text in _CONFIGURATION.items():
            directory = self.place / "config" / "pipewire" / f"{daemon}.conf.d"
            directory.mkdir(parents=True)
            (directory / "room.conf").write_text(text)
        self._keeper = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("keeper.py"))],
            env=self._everything(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            self._tell("start", "dbus-daemon")
            _until(lambda: (self.place / "bus").exists(), "the bus")
            self._tell("start", "pipewire")
            _until(lambda: (self.place / "pipewire-0").exists(), "PipeWire")
            self._tell("start", "wireplumber")
            self._start_server()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hush()
        if self._keeper is not None and self._keeper.stdin is not None and self._keeper.stdout is not None:
            self._keeper.stdin.close()
            self._keeper.wait(START)
            self._keeper.stdout.close()
        shutil.rmtree(self.place, ignore_errors=True)  # unless the keeper has, that was not killed

    # devices -----------------------------------------------------------------------------------------

    def add_sink(self, name: str) -> None:
        """Plug in a loudspeaker; ``spk2`` is the one that ALSA knows besides ``spk``."""
        module = self.pactl("load-module", "module-null-sink", f"sink_name={name}", "channel_map=mono")
        self._modules[name] = module.strip()
        # Known to the server is not yet known to WirePlumber, which links streams to it.
        _until(lambda: self._has_ports(name), name)

    def remove_sink(self, name: str) -> None:
        """Pull a loudspeaker out, in mid-play too; ``micpipe`` is the one behind the microphone."""
        self.pactl("unload-module", self._modules.pop(name))

    def suspend_sink(self, name: str, *, is_suspended: bool = True) -> None:
        """Send a loudspeaker to sleep, or wake it."""
        self.pactl("suspend-sink", name, str(int(is_suspended)))

    def make_default(self, *, sink: str | None = None, source: str | None = None) -> None:
        """Change which device is the default output or input; ``micpipe.monitor`` is the microphone."""
        for kind, name in (("sink", sink), ("source", source)):
            if name is not None:
                self.pactl(f"set-default-{kind}", name)
                _until(lambda kind=kind, name=name: self.pactl(f"get-default-{kind}").strip() == name, name)

    def furnish(self) -> None:
        """Put everything that a room begins with back in its place, whatever a test did to it."""
        self._hush()
        for daemon in ("pipewire", "pipewire-pulse"):
            self.thaw(daemon)
        if not self._answers():
            self.restart()
            return
        for name in ("spk", _MICROPHONE):
            if name not in self._modules:
                self.add_sink(name)
        for name in set(self._modules) - {"spk", _MICROPHONE}:
            self.remove_sink(name)
        self.make_default(sink="spk", source=f"{_MICROPHONE}.monitor")

    def freeze(self, daemon: str = "pipewire-pulse") -> None:
        """Stop the server in its tracks: every stream stalls, and no call of a client returns."""
        self._tell("freeze", daemon)

    def thaw(self, daemon: str = "pipewire-pulse") -> None:
        """Let it go on."""
        self._tell("thaw", daemon)

    @contextlib.contextmanager
    def hastened(self) -> Iterator[None]:
        """In this block the server has real time, where that is allowed."""
        daemons = ("pipewire", "pipewire-pulse", "wireplumber")
        for daemon in daemons:
            self._tell("hasten", daemon)
        try:
            yield
        finally:
            for daemon in daemons:
                self._tell("calm", daemon)

    def crash(self) -> None:
        """Kill the server that programs talk to; every stream of ``pulse`` and every device is lost."""
        self._tell("kill", "pipewire-pulse")

    def restart(self) -> None:
        """Start the server again after :meth:`crash`, with the devices that a room begins with."""
        self._start_server()

    @staticmethod
    @contextlib.contextmanager
    def pinned() -> Iterator[None]:
        """
        In this block a stream that this process opens dies with its device.

        Otherwise the server moves it to another one, and nobody notices. Without a server between, as
        on Windows, on macOS and with an ALSA device proper, streams are always pinned.
        """
        before = os.environ.get("PULSE_PROP")
        os.environ["PULSE_PROP"] = "node.dont-reconnect=true"
        try:
            yield
        finally:
            if before is None:
                del os.environ["PULSE_PROP"]
            else:
                os.environ["PULSE_PROP"] = before

    # sound -------------------------------------------------------------------------------------------

    def say(self, pcm: bytes) -> subprocess.Popen[bytes]:
        """
        Speak into the microphone, PCM16 at 24 kHz, and return at once.

        ``room.say(pcm).wait(10)`` waits until it is said.
        """
        sound = self.place / f"said-{time.monotonic_ns()}.raw"
        sound.write_bytes(pcm)
        with sound.open("rb") as file:
            speaking = subprocess.Popen(
                ["pacat", "--playback", "--latency-msec=200", f"--device={_MICROPHONE}", *_FORMAT],
                env=self._everything(),
                stdin=file,
            )
        self._speaking.append(speaking)
        return speaking

    @contextlib.contextmanager
    def listen(self, sink: str = "spk") -> Iterator[Heard]:
        """Yield what is played on a loudspeaker, from now on to the end of the block."""
        with subprocess.Popen(
            ["pacat", "--record", "--latency-msec=20", f"--device={sink}.monitor", *_FORMAT],
            env=self._everything(),
            stdout=subprocess.PIPE,
        ) as process:
            heard = Heard(process)
            try:
                heard.wait_for(1)
                yield heard
            finally:
                process.kill()
                heard.end()

    @contextlib.contextmanager
    def echo(self, *, delay_ms: int = 40, loss_db: float = 12.0) -> Iterator[None]:
        """
        As long as the block lasts, the microphone hears the loudspeaker ``spk``.

        Args:
            delay_ms: Of the air, besides some 40 ms of the server's own.
            loss_db: How much weaker it arrives.
        """
        with subprocess.Popen(
            [
                *(
                    "pw-loopback",
                    "--name=echo",
                    "--channels=1",
                    "-m[ MONO ]",
                    f"--delay={delay_ms / 1000}",
                ),
                "--capture-props={ node.target=spk stream.capture.sink=true node.dont-reconnect=true }",
                f"--playback-props={{ node.target={_MICROPHONE} node.dont-reconnect=true"
                " media.name=echo node.name=echo-out }",
            ],
            env=self._everything(),
        ) as process:
            try:
                _until(lambda: self._volume("echo", -loss_db), "the echo")
                yield
            finally:
                process.kill()

    # inside ------------------------------------------------------------------------------------------

    def pactl(self, *arguments: str) -> str:
        """Run ``pactl`` in the room and return what it says."""
        return subprocess.run(
            ["pactl", *arguments],
            env=self._everything(),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=START,
        ).stdout

    def _hush(self) -> None:
        while self._speaking:
            with self._speaking.pop() as speaking:
                speaking.kill()

    def _start_server(self) -> None:
        self._modules.clear()
        self._tell("start", "pipewire-pulse")
        _until(self._answers, "the server")
        self.furnish()

    def _answers(self) -> bool:
        asked = subprocess.run(["pactl", "info"], env=self._everything(), capture_output=True, check=False)
        return asked.returncode == 0

    def _has_ports(self, sink: str) -> bool:
        command = ["pw-link", "--input"]
        ports = subprocess.run(
            command, env=self._everything(), capture_output=True, text=True, check=False
        ).stdout
        return any(line.startswith(f"{sink}:") for line in ports.splitlines())

    def _volume(self, name: str, gain_db: float) -> bool:
        """Set the volume of a stream; return whether it is there."""
        index = ""
        for line in self.pactl("list", "sink-inputs").splitlines():
            if line.startswith("Sink Input #"):
                index = line.partition("#")[2]
            elif line.strip() == f'media.name = "{name}"':
                self.pactl("set-sink-input-volume", index, f"{gain_db}dB")
                return True
        return False

    def _tell(self, verb: str, name: str) -> None:
        keeper = self._keeper
        assert keeper is not None
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        keeper.stdin.write(f"{verb} {name}\n")
        keeper.stdin.flush()
        assert keeper.stdout.readline() == "done\n", f"the keeper of {self.place} has ended"

    def _everything(self) -> dict[str, str]:
        unwanted = {"DISPLAY", "PULSE_PROP"}
        return {**{k: v for k, v in os.environ.items() if k not in unwanted}, **self.environment}


_FORMAT = ("--raw", f"--rate={RATE_HZ}", "--channels=1", "--format=s16le")


class Heard:
    """
    What is played on a loudspeaker, so far.

    **Threads.** Read by any; a thread ``room-heard`` fills it.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._pcm = bytearray()
        self._news = threading.Condition()  # guards _pcm
        self._thread = threading.Thread(target=self._run, args=(process,), name="room-heard", daemon=True)
        self._thread.start()

    @property
    def pcm(self) -> bytes:
        """All of it: PCM16, int16, little-endian, mono, 24 kHz; silence included."""
        with self._news:
            return bytes(self._pcm[: len(self._pcm) // 2 * 2])

    @property
    def sound(self) -> bytes:
        """The same without the silence before and after."""
        samples = array("h", self.pcm)
        loud = [index for index, sample in enumerate(samples) if abs(sample) > QUIET]
        return samples[loud[0] : loud[-1] + 1].tobytes() if loud else b""

    def wait_for(self, byte_count: int, timeout: float = START) -> None:
        """Block until that much was recorded."""
        self._wait_until(lambda: len(self._pcm) >= byte_count, "no sound arrives", timeout)

    def wait_for_sound(self, timeout: float = START) -> None:
        """Block until something is heard that is not silence."""
        self._wait_until(lambda: bool(self._loud_from(0)), "nothing is heard", timeout)

    def wait_for_silence(self, ms: int = 400, timeout: float = START) -> None:
        """Block until the last *ms* were silent and something was heard before."""
        enough = ms * RATE_HZ // 1000 * 2
        start = len(self.pcm)
        self._wait_until(
            lambda: (
                len(self._pcm) >= max(start + enough, enough)
                and not self._loud_from(len(self._pcm) - enough)
                and self._loud_from(0)
            ),
            "it does not end",
            timeout,
        )

    def end(self) -> None:
        """Wait until the recorder's last byte is here."""
        self._thread.join(START)

    def _loud_from(self, byte: int) -> bool:
        samples = array("h", bytes(self._pcm[byte & ~1 : len(self._pcm) // 2 * 2]))
        return bool(samples) and max(max(samples), -min(samples)) > QUIET

    def _wait_until(self, is_so: Callable[[], bool], otherwise: str, timeout: float) -> None:
        with self._news:
            assert self._news.wait_for(is_so, timeout), otherwise

    def _run(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        while piece := os.read(process.stdout.fileno(), 65536):
            with self._news:
                self._pcm += piece
                self._news.notify_all()


QUIET = 8
"""Samples up to this are silence: what resamplers leave of it."""


def _until(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + START
    pause = threading.Event()
    while not is_so():
        assert time.monotonic() < deadline, f"{what} does not start"
        pause.wait(0.02)


def main() -> int:
    """Run a command in a room, and return its exit code."""
    with Room() as room:
        environment = {**os.environ, **room.environment, "HOME": os.environ.get("HOME", "/")}
        return subprocess.run(sys.argv[1:], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
