"""What the docs site takes from outside docs/: the examples, the changelog, how to contribute."""

from __future__ import annotations

import ast
import posixpath
import re
from functools import cache
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent
EXAMPLES = sorted((ROOT / "examples").glob("[0-9]*.py"))
PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "README.md": "index.md",
    **{f"examples/{file.name}": f"examples/{file.stem}.md" for file in EXAMPLES},
}
"""Where a file outside docs/ stands in the site."""

_OUTSIDE = re.compile(r"\]\(((?:\.\./)+)([^)#]+)(#[^)]*)?\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List the examples where the navigation says ``examples/``."""
    pages = ["examples/index.md", *(PAGES[f"examples/{file.name}"] for file in EXAMPLES)]
    config.nav = [
        {"Examples": pages} if item == {"Examples": "examples/"} else item
        for item in config.nav or []
    ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each example, and those files of the root that readers look for."""
    for path in _made():
        if files.get_file_from_path(path) is None:
            files.append(File(path, config.docs_dir, config.site_dir, config.use_directory_urls))
    return files


def on_page_read_source(page: Page, **_: Any) -> str | None:
    """The text of a page that is no file; the plugin for languages takes only paths."""
    return _made().get(page.file.src_uri)


@cache
def _made() -> dict[str, str]:
    return {
        "changelog.md": (ROOT / "CHANGELOG.md").read_text("utf-8"),
        "contributing.md": (ROOT / "CONTRIBUTING.md").read_text("utf-8"),
        "examples/index.md": _examples_index(),
        **{PAGES[f"examples/{file.name}"]: _example(file) for file in EXAMPLES},
    }


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Lead links that leave docs/ to the page that stands for the file."""
    folder = posixpath.dirname(page.file.src_uri)

    def lead(match: re.Match[str]) -> str:
        ups, target, anchor = match.groups()
        depth = ups.count("../") - len([part for part in folder.split("/") if part])
        if depth != 1 or target not in PAGES:
            return match[0]
        return f"]({posixpath.relpath(PAGES[target], folder or '.')}{anchor or ''})"

    return _OUTSIDE.sub(lead, markdown)


def _docstring(file: Path) -> tuple[str, str]:
    head, _, rest = (ast.get_docstring(ast.parse(file.read_text("utf-8"))) or "").partition("\n")
    return head, rest.strip()


def _example(file: Path) -> str:
    code = file.read_text("utf-8")
    head, rest = _docstring(file)
    title = file.stem.replace("_", " ")
    body = code.split('"""', 2)[2].strip()
    page = f"# {title}\n\n{head}\n\n{rest}\n\n```python\n{body}\n```\n"
    printed = file.parent / "output" / f"{file.stem}.txt"
    if printed.exists():
        page += f"\nWhat it printed:\n\n```text\n{printed.read_text('utf-8')}```\n"
    return page


def _examples_index() -> str:
    lines = [
        "# Examples",
        "",
        "Scripts along the path of a RAG course, in order. Each runs by itself and prints what it finds.",
        "",
    ]
    for file in EXAMPLES:
        number, _, name = file.stem.partition("_")
        lines.append(
            f"{int(number)}. [{name.replace('_', ' ')}]({file.stem}.md): {_docstring(file)[0]}"
        )
    lines += [
        "",
        "The notebook `examples/course.ipynb` walks the same path in ten cells, with pictures.",
    ]
    return "\n".join(lines) + "\n"
