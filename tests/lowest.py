"""
The oldest dependencies that setup.cfg allows, for the Python that runs this.

``install`` is uv with each of them pinned, whatever else is installed beside them; ``check EXTRA...`` fails
unless what is installed for the library and these extras is just that. This is what ``tox -e lowest`` runs.
"""

from __future__ import annotations

import configparser
import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

# Before anything is installed, only pip's own copy is there.
from pip._vendor.packaging.requirements import Requirement
from pip._vendor.packaging.version import Version

_SETUP = Path(__file__).parents[1] / "setup.cfg"


def lowest(extras: list[str] | None = None) -> dict[str, Version]:
    """Return the lower bounds of the library and *extras*, all by default, as they apply to this Python."""
    setup = configparser.ConfigParser()
    setup.read(_SETUP)
    optional = setup["options.extras_require"]
    texts = [optional[extra] for extra in (optional if extras is None else extras)]
    texts.append(setup["options"]["install_requires"])
    bounds: dict[str, Version] = {}
    for requirement in _requirements(texts):
        if requirement.name == setup["metadata"]["name"]:
            bounds |= lowest(sorted(requirement.extras))
        else:
            [bound] = [spec.version for spec in requirement.specifier if spec.operator == ">="]
            bounds[requirement.name] = Version(bound)
    return bounds


def _requirements(texts: list[str]) -> Iterator[Requirement]:
    for line in "\n".join(texts).splitlines():
        if line.strip():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                yield requirement


def install(arguments: list[str]) -> int:
    """Run ``uv pip install`` with all lower bounds as constraints."""
    if importlib.util.find_spec("uv") is None:
        subprocess.run([sys.executable, "-I", "-m", "pip", "install", "--quiet", "uv"], check=True)
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder, "lowest.txt")
        constraints.write_text("".join(f"{name}=={version}\n" for name, version in lowest().items()))
        python = [sys.executable, "-I", "-m"]
        where = ["--python", sys.executable, "--constraint", str(constraints)]
        return subprocess.run([*python, "uv", "pip", "install", *where, *arguments]).returncode


def check(extras: list[str]) -> int:
    """Print what is installed; return 1 if that is not what it should be."""
    differs = 0
    for name, version in sorted(lowest(extras).items()):
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            installed = "none"
        is_lowest = installed != "none" and Version(installed) == version
        sys.stdout.write(f"{name} {installed}" + ("\n" if is_lowest else f": the lowest is {version}\n"))
        differs += not is_lowest
    return 1 if differs else 0


if __name__ == "__main__":
    sys.exit({"install": install, "check": check}[sys.argv[1]](sys.argv[2:]))
