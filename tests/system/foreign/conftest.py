"""The service that clients of others talk to; none of them has anything to complain of."""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from foreign_service import KEY, Serve

from azure_rt_audio.emulator import Emulator


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import the clients only where they are asked for; pydantic-ai needs Python 3.11."""
    is_wanted = config.option.markexpr == "foreign"
    is_too_new = sys.version_info < (3, 11) and collection_path.name == "test_pydantic_ai.py"
    return None if is_wanted and not is_too_new else True


@pytest.fixture
def anyio_backend() -> str:
    """The loop that the clients are written for."""
    return "asyncio"


@pytest.fixture(params=[(0, 0), (40, 20)], ids=["here", "away"])
def serve(request: pytest.FixtureRequest) -> Serve:
    """Makes services, on this machine or with the delay of a network, in which more can cross."""
    return functools.partial(Emulator, api_key=KEY, latency_ms=request.param)


@pytest.fixture(autouse=True)
def _no_client_complains(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail a test in which a client logs a warning or an error."""
    yield
    complaints = [record for record in caplog.get_records("call") if record.levelno >= logging.WARNING]
    assert [f"{record.name}: {record.getMessage()}" for record in complaints] == []
