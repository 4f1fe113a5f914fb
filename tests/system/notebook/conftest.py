"""Kernels for the tests of notebooks, each with directories of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kernels import Kernel, kernel

SERVICE = """
from azure_rt_audio import AzureRealTimeAudio
from azure_rt_audio.emulator import Emulator

service = Emulator(pace=0)
service.start()
"""


@pytest.fixture(scope="session", autouse=True)
def _own_directories(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep everything of Jupyter and IPython out of the user's directories, and theirs out of here."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
            patch.setenv(name, str(tmp_path_factory.mktemp(name.lower())))
        patch.setenv("JUPYTER_PLATFORM_DIRS", "1")
        patch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
        yield


@pytest.fixture(scope="module")
def _one_kernel(_own_directories: None) -> Iterator[Kernel]:
    with kernel() as running:
        yield running


@pytest.fixture
def notebook(_one_kernel: Kernel) -> Iterator[Kernel]:
    """A kernel with an emulator; its names and clients are gone after the test."""
    _one_kernel.cells.clear()
    _one_kernel.comms.clear()
    _one_kernel.ok("%reset -f")
    _one_kernel.ok(SERVICE)
    yield _one_kernel
    _one_kernel.ok("service.stop()")
    _one_kernel.ok("%reset -f")


@pytest.fixture
def fresh(_own_directories: None) -> Iterator[Kernel]:
    """A kernel of its own."""
    with kernel() as running:
        running.ok(SERVICE)
        yield running
