"""No client has anything to complain of."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _no_client_complains(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail a test in which a client logs a warning or an error."""
    yield
    complaints = [record for record in caplog.get_records("call") if record.levelno >= logging.WARNING]
    assert [f"{record.name}: {record.getMessage()}" for record in complaints] == []
