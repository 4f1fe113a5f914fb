"""``azure-rt-audio devices``: lists microphones and speakers, and tests them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from .._printable import one_line
from . import UsageError

if TYPE_CHECKING:
    from ..devices import Device

__all__ = ["add_arguments", "device_of", "run"]

_TEST_SECONDS: Final = 2
_ROW_MS: Final = 200
_SCALE_DB: Final = 60
_BAR_WIDTH: Final = 30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "--test",
        action="store_true",
        help=f"record for {_TEST_SECONDS} seconds, show the level, and play the recording",
    )
    for option, what in (("--input", "record with"), ("--output", "play on")):
        parser.add_argument(
            option, metavar="DEVICE", help=f"the device for --test to {what}: a number or part of a name"
        )


def run(arguments: argparse.Namespace) -> int:
    """
    List the devices, or test two of them. Blocks.

    Returns:
        0; 1 if there is no device, or if the test recorded only silence.
    """
    from ..devices import list_devices

    if arguments.test:
        return _test(device_of(arguments.input), device_of(arguments.output))
    if arguments.input is not None or arguments.output is not None:
        raise UsageError("--input and --output are for --test; add it")
    devices = list_devices()
    if not devices:
        print("no device found: connect one; in a container, share the host's sound server")
        return 1
    for line in _table(devices):
        print(line)
    return 0


def device_of(wanted: str | None) -> str | int | None:
    """Parse a device option for :class:`~azure_rt_audio.devices.Microphone`: a number or a name."""
    return int(wanted) if wanted is not None and wanted.isdecimal() else wanted


def _table(devices: tuple[Device, ...]) -> list[str]:
    rows = [("", "", "name", "host API", "in", "out", "rate")]
    for device in devices:
        mark = ("<" if device.is_default_input else "") + (">" if device.is_default_output else "")
        inputs, outputs = (str(count or "-") for count in (device.input_channels, device.output_channels))
        rate = f"{device.sample_rate_hz} Hz"
        rows.append((mark, str(device.index), one_line(device.name), device.host_api, inputs, outputs, rate))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            # Text is left-aligned, numbers are right-aligned.
            cell.ljust(width) if column in (0, 2, 3) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return [*lines, "", "< default input, > default output"]


def _test(microphone_device: str | int | None, speaker_device: str | int | None) -> int:
    from ..devices import Microphone, Speaker

    with Microphone(microphone_device, block_ms=_ROW_MS) as microphone, Speaker(speaker_device) as speaker:
        print(f"recording with {microphone.device_name}: say something")
        blocks = []
        loudest = -100.0
        for _ in range(_TEST_SECONDS * 1000 // _ROW_MS):
            block = microphone.read(5)
            if block is None:
                raise TimeoutError(
                    f"{microphone.device_name} records nothing: choose another one with --input"
                )
            blocks.append(block)
            level = microphone.level_db
            loudest = max(loudest, level)
            bar = "#" * round(max(0.0, 1 + level / _SCALE_DB) * _BAR_WIDTH)
            print(f"  {bar.ljust(_BAR_WIDTH)} {level:6.1f} dB", flush=True)
        print(f"playing on {speaker.device_name}")
        speaker.play(b"".join(blocks))
        speaker.finish()
        if not speaker.wait_until_quiet(_TEST_SECONDS + 5):
            raise TimeoutError(f"{speaker.device_name} does not play: choose another one with --output")
        lost = (
            f"{microphone.overflows} overflows while recording, {speaker.underflows} underflows while playing"
        )
        print(f"done; {lost}; latency {speaker.latency_ms} ms")
    if loudest <= -_SCALE_DB:
        print("only silence was recorded: is the microphone muted, or is it the wrong device?")
        return 1
    return 0
