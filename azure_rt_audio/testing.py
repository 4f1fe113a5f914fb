"""
Fixtures of pytest for the tests of a program that uses this library.

A ``conftest.py`` loads them, the one of the top folder of the tests; they never load themselves::

    pytest_plugins = ["azure_rt_audio.testing"]

``rt_emulator`` is the service in miniature, ``rt_replay`` the service as it was recorded. Either has
``options()``, with which the program connects. They need the ``emulator`` extra, and pytest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from .emulator import Emulator, Faults, Rule

__all__ = ["rt_emulator", "rt_replay"]


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marks."""
    config.addinivalue_line(
        "markers",
        "rt_emulator(*rules, **options): faults and options of the fixtures rt_emulator and rt_replay",
    )
    config.addinivalue_line(
        "markers", "rt_replay(path): the recording that the fixture rt_replay answers from"
    )


@pytest.fixture
def rt_emulator(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    """
    An emulator that runs, and answers without a pause.

    ``@pytest.mark.rt_emulator(after("response.created", Drop()), responder=answer)`` gives it faults and
    options. So does a parameter, if the fixture is parametrized with ``indirect=True``: a rule, several in a
    list, or a mapping of options.
    """
    rules, options = _marked(request)
    given = getattr(request, "param", None)
    if isinstance(given, Mapping):
        options = {**options, **given}
    elif given is not None:
        rules = (*rules, *([given] if isinstance(given, Rule) else given))
    if rules:
        options = {"faults": Faults(*rules), **options}
    with Emulator(**{"pace": 0, **options}) as emulator:
        yield emulator


@pytest.fixture
def rt_replay(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    """
    The service as it was recorded in the file that ``@pytest.mark.rt_replay("session.rta")`` names.

    The path, relative to the test's own file, may also be the parameter, if the fixture is parametrized with
    ``indirect=True``. When the test has ended, a difference of the client is an ``AssertionError``, which
    names the first command that differs. Arguments by name are those of
    :meth:`~azure_rt_audio.emulator.Emulator.replay`.
    """
    mark = request.node.get_closest_marker("rt_replay")
    path = getattr(request, "param", mark.args[0] if mark is not None and mark.args else None)
    if path is None:
        raise pytest.UsageError(
            'rt_replay needs a recording: @pytest.mark.rt_replay("session.rta"), or a parameter with '
            "indirect=True"
        )
    rules, options = _marked(request)
    if rules:
        options = {"faults": Faults(*rules), **options}
    if mark is not None:
        options = {**options, **mark.kwargs}
    with Emulator.replay(Path(request.path).parent / path, **options) as emulator:
        yield emulator


def _marked(request: pytest.FixtureRequest) -> tuple[tuple[Rule, ...], dict[str, Any]]:
    """Return the rules and options of the mark ``rt_emulator``."""
    mark = request.node.get_closest_marker("rt_emulator")
    return (mark.args, dict(mark.kwargs)) if mark is not None else ((), {})
