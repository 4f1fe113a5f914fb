"""The blocks of a page are found, and a block that does not do what its page says is noticed."""

from __future__ import annotations

from pathlib import Path

import pages
import pytest

PAGE = """
# A page

```python
print("a", 1)
```

It prints:

```text
a ...
```

1. In a list:

   ```python
   print("b")
   ```

```sh
pip install nothing
azure-rt-audio --version  # the version
```

```typescript
console.log("not run");
```

```text
+---+
```
"""


def test_blocks_are_found() -> None:
    """With their lines, without the indentation of a list, and with what they print."""
    found = [(block.language, block.code, block.line, block.prints) for block in pages.blocks(PAGE)]

    assert found == [
        ("python", 'print("a", 1)\n', 5, "a ...\n"),
        ("python", 'print("b")\n', 17, None),
        ("sh", "pip install nothing\nazure-rt-audio --version  # the version\n", 21, None),
    ]


def test_blocks_run(tmp_path: Path) -> None:
    """In their order, commands as well."""
    pages.run(pages.blocks(PAGE), "page.md", tmp_path)


@pytest.mark.parametrize(
    ("code", "prints", "complaint"),
    [
        ("1 / 0", None, "ZeroDivisionError"),
        ("print(2)", "1", "but it prints\n2"),
        ("print(1, 2)", "1", "but it prints\n1 2"),
        ("import warnings; warnings.warn('old')", None, "UserWarning: old"),
        ("import logging\ntry: 1/0\nexcept Exception: logging.exception('no')", None, "Traceback"),
    ],
)
def test_what_a_page_says_is_compared(code: str, prints: str | None, complaint: str, tmp_path: Path) -> None:
    """An exception, a warning, a logged traceback and another output fail."""
    with pytest.raises(AssertionError, match=complaint):
        pages.run([pages.Block("python", code, 1, prints)], "page.md", tmp_path)


def test_lines_of_the_log_come_at_their_own_time(tmp_path: Path) -> None:
    """Before what is printed or after it, where the page says that they do not count; and only there."""
    code = "print('! a warning'); print('said'); print('= a note')"
    pages.run([pages.Block("python", code, 1, "said", is_without_log=True)], "page.md", tmp_path)

    with pytest.raises(AssertionError, match="but it prints\n! a warning"):
        pages.run([pages.Block("python", code, 1, "said")], "page.md", tmp_path)
