"""Over a line that takes less than is sent: a network namespace at the other end of a shaped cable."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from close_cable import Cable
from close_service import Service
from listeners import HANG

from azure_rt_audio import AzureRealTimeAudio, SendLag
from azure_rt_audio.audio import write_wav

pytestmark = pytest.mark.parts

HALF_OF_SPEECH = 260
"""Kilobits per second; PCM16 needs 512 for its base64, and JSON, WebSocket and IP some more."""
QUARTER_OF_SPEECH = 130

LIMIT = 0.5
SECONDS = 4.0


@pytest.fixture
def cable() -> Iterator[Cable]:
    """A cable that nobody shapes yet."""
    with Cable() as cable:
        yield cable


@pytest.fixture
def service(cable: Cable, authority: trustme.CA, tmp_path: Path) -> Iterator[Service]:
    """A service at its far end."""
    pem = tmp_path / "service.pem"
    authority.issue_cert(cable.address).private_key_and_cert_chain_pem.write_to_path(str(pem))
    with Service(cable.address, pem=pem, within=cable.within) as service:
        yield service


@pytest.fixture
def options(tls_context: ssl.SSLContext) -> dict[str, Any]:
    """What a client needs for it."""
    return {"ssl_context": tls_context, "lag_limit": LIMIT}


def test_a_file_goes_over_a_slow_line(
    cable: Cable, service: Service, options: dict[str, Any], tmp_path: Path
) -> None:
    """It takes longer than the patience of the keepalive, arrives, and is nothing to warn of."""
    path = tmp_path / "speech.wav"
    write_wav(path, bytes(48_000 * 4))
    impatient = {**options, "ping_interval": 0.5, "ping_timeout": 1.5}
    with AzureRealTimeAudio(service.options(), impatient, reconnect=None) as client:
        client.wait_until_ready(HANG)
        lags: list[SendLag] = []
        client.on(SendLag, lags.append)
        cable.shape(400)
        began = time.monotonic()
        client.send_audio_file(path)
        client.clear_audio_buffer().result(3 * HANG)

        assert time.monotonic() - began > 4
        assert lags == []
        assert client.send_lag_s == 0


def speak(client: AzureRealTimeAudio) -> list[float]:
    """Speak for some seconds, and return how far sending was behind each time."""
    behind = []
    began, pause = time.monotonic(), threading.Event()
    for number in range(int(SECONDS * 10)):
        client.append_audio(bytes(4_800))
        pause.wait(max(0.0, began + number / 10 - time.monotonic()))
        behind.append(client.send_lag_s)
    return behind


def spoken(
    service: Service, cable: Cable, kbit_per_second: int, options: Any
) -> tuple[list[float], list[SendLag], float]:
    """Speak over too slow a line; return the lags, what was told, and a command's time."""
    with AzureRealTimeAudio(service.options(), options) as client:
        client.wait_until_ready(HANG)
        lags: list[SendLag] = []
        client.on("send_lag", lags.append)
        cable.shape(kbit_per_second)
        behind = speak(client)
        began = time.monotonic()
        client.clear_audio_buffer().result(3 * HANG)
        return behind, lags, time.monotonic() - began


def test_live_speech_is_kept(service: Service, cable: Cable, options: dict[str, Any]) -> None:
    """It falls behind by half of its length, which is told; a command waits for what was said before."""
    behind, lags, took = spoken(service, cable, HALF_OF_SPEECH, {**options, "lag": "keep"})

    assert 1.0 < max(behind) < SECONDS
    assert [lag.is_behind for lag in lags[:2]] == [True, True]
    assert lags[0].lag_s == pytest.approx(LIMIT, abs=0.4)
    assert {lag.dropped_s for lag in lags} == {0.0}
    assert took > 0.5


def test_live_speech_is_dropped(service: Service, cable: Cable, options: dict[str, Any]) -> None:
    """What waits here stays below the limit, which costs the oldest sound, and the command arrives."""
    behind, lags, took = spoken(service, cable, QUARTER_OF_SPEECH, {**options, "lag": "drop_oldest"})

    assert max(behind) < SECONDS
    assert 0.2 < sum(lag.dropped_s for lag in lags) < SECONDS
    assert max(lag.unsent_bytes for lag in lags) < 64_000 * (LIMIT + 0.5)
    assert took < 2 * HANG
