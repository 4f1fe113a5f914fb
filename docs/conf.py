"""How Sphinx builds the documentation: ``tox -e docs``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from sphinx.application import Sphinx

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "extensions"), str(HERE.parent)]

from azure_rt_audio import __version__  # noqa: E402

project = "azure-rt-audio"
author = "the authors of azure-rt-audio"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "generated"]
exclude_patterns = ["_build", "extensions"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4

# The signature says the types; the docstring does not repeat them.
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

nitpicky = True
# Parts of annotations that autodoc does not evaluate, and attributes of several classes with one name.
nitpick_ignore_regex = [
    ("py:.*", r"Buffer|_pytest\..*|NDArray|ServerConnection|PCM16|dict\[str|Callable\[\[\]")
]
suppress_warnings = ["ref.python"]

html_theme = "furo"
html_title = f"azure-rt-audio {release}"
html_copy_source = False
html_show_sphinx = False
html_static_path = ["static"]
html_css_files = ["site.css"]


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", name_what_is_not_here)


def name_what_is_not_here(app: Sphinx, document: str, content: list[str]) -> None:
    """Replace a link to a page of the repository that is not one of the site by its text."""
    folder = (HERE / document).parent

    def replace(link: re.Match[str]) -> str:
        path = (folder / link[2]).resolve()
        is_elsewhere = not path.is_relative_to(HERE) and (path.is_dir() or path.suffix == ".md")
        return link[1] if is_elsewhere else link[0]

    content[0] = re.sub(r"\[([^\]]+)\]\((\.\./[^)#]*)[^)]*\)", replace, content[0])
