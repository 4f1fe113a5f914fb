"""What the documents name exists, and the tables of threads and locks are complete."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import azure_rt_audio

PACKAGE = Path(azure_rt_audio.__file__).parent
ROOT = Path(__file__).parents[1]
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")

DOCUMENTS = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/**/*.md"),
    *ROOT.glob("tests/**/README.md"),
    *ROOT.glob(".github/**/*.*"),
]

NO_THREADS = {"azure-rt-audio", "azure-rt-dispatcher"}
"""Names that look like those of threads: of the package, and of Tk's binding tag."""


def name(document: Path) -> str:
    """The path of a document, as a test's id."""
    return document.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_environments_of_tox_exist(document: Path) -> None:
    """Each ``tox -e NAME`` in a document, a template or a workflow can be run."""
    known = {"py", *re.findall(r"^\[tool\.tox\.env\.(\w+)\]", PYPROJECT, re.MULTILINE)}
    named = re.findall(r"tox -e ([\w,]+)", document.read_text(encoding="utf-8"))

    assert {environment for names in named for environment in names.split(",")} <= known


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_files_exist(document: Path) -> None:
    """Each link to a file, and each path below a folder of the repository, leads somewhere."""
    text = document.read_text(encoding="utf-8")
    links = {document.parent / link for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)}
    paths = {
        ROOT / path
        for path in re.findall(r"\b((?:tests|docs|samples|benchmarks|azure_rt_audio)/[\w./*-]*\w)", text)
        if "*" not in path
    }

    assert [str(path) for path in links | paths if not path.exists()] == []


@pytest.mark.parametrize("document", [*DOCUMENTS, *ROOT.glob("samples/**/*.py")], ids=name)
def test_nobody_is_taught_to_ask_before_taking(document: Path) -> None:
    """Between ``empty()`` and ``get()`` another thread may take the last one, and then ``get()`` waits."""
    text = document.read_text(encoding="utf-8")

    assert re.findall(r"(\w+)\.empty\(\)(?=[^#]{0,80}\b\1\.get\(\))", text) == []


def test_every_sample_is_in_the_changelog() -> None:
    """Those that the front page shows."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| \[`([\w.]+)`\]\(samples/", readme, re.MULTILINE)
    told = set(re.findall(r"`([\w.]+)`", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")))

    assert len(shown) > 10
    assert [sample for sample in shown if not {sample, Path(sample).stem} & told] == []


def threads() -> set[str]:
    """The names of threads in the package, without their numbers."""
    found: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        strings = re.findall(r'f?"(azure-rt-[a-z-]*[a-z])-?(?:\{[^"]*)?"', path.read_text(encoding="utf-8"))
        found.update(strings)
    return found - NO_THREADS


def test_every_thread_is_in_the_table() -> None:
    """A new thread gets a row with who makes it and what ends it."""
    assert len(threads()) > 15
    assert [thread for thread in sorted(threads()) if f"`{thread}" not in ARCHITECTURE] == []


def test_every_thread_is_explained() -> None:
    """Users find there what runs on it, too; those of the emulator have a row together."""
    page = (ROOT / "docs" / "explanation" / "threads.md").read_text(encoding="utf-8")
    named = {thread for thread in threads() if not thread.startswith("azure-rt-emulator-")}

    assert [thread for thread in sorted(named) if f"`{thread}" not in page] == []


def locks() -> Iterator[str]:
    """Yield the locks of the package: ``Class.attribute``, or the name of a module's."""
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        owners: list[tuple[str, ast.AST]] = [("", node) for node in tree.body]
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                owners += [(f"{node.name}.", inner) for inner in ast.walk(node)]
        for owner, node in owners:
            if not isinstance(node, ast.Assign | ast.AnnAssign) or not isinstance(node.value, ast.Call):
                continue
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            makes = ast.unparse(node.value.func).rpartition(".")[2]
            is_kept = isinstance(target, ast.Attribute) or not owner
            if makes in ("Lock", "RLock", "Condition") and is_kept:
                yield owner + (target.attr if isinstance(target, ast.Attribute) else ast.unparse(target))


def test_every_lock_is_in_the_table() -> None:
    """A new lock gets a row with what it guards; of a condition variable its owner has the row."""
    found = set(locks()) - {"Condition.lock"}

    assert len(found) > 25
    assert [lock for lock in sorted(found) if f"`{lock}`" not in ARCHITECTURE] == []


@pytest.mark.parametrize("method", sorted(set(re.findall(r"`(_?[A-Z]\w+\.\w+)`", ARCHITECTURE))))
def test_classes_and_members_exist(method: str) -> None:
    """What the architecture page calls ``Class.member`` is in the file of that class."""
    owner, member = method.split(".")
    sources = [path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")]
    holds = [re.search(rf"\b{member}\b", source) for source in sources if f"\nclass {owner}" in source]

    assert any(holds), f"{method} is not in the package"
