"""What the docs site takes from outside docs/: the examples, the changelog, how to contribute."""

from __future__ import annotations

import json
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


def _cells(file: Path) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads(file.with_suffix(".ipynb").read_text("utf-8"))["cells"]
    return cells


def _example(file: Path) -> str:
    """The notebook as a page: prose, code, and what it printed and drew."""
    parts = []
    for cell in _cells(file):
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        parts += [_output(output) for output in cell.get("outputs", ())]
    return "\n\n".join(parts) + "\n"


def _output(output: dict[str, Any]) -> str:
    data = output.get("data", {"text/plain": output.get("text", "")})
    if "image/png" in data:
        picture = "".join("".join(data["image/png"]).split())
        return f'<img alt="What this cell drew" src="data:image/png;base64,{picture}">'
    text = "".join(data["text/plain"]).rstrip()
    return f"``` {{ .text .printed }}\n{text}\n```"


def _examples_index() -> str:
    lines = [
        "# Examples",
        "",
        "A RAG course in steps. Each is a script that runs by itself, and a notebook of the same name with",
        "what it printed and drew. Both lie in the folder `examples`, beside the passages that they use.",
        "You learn:",
        "",
    ]
    for file in EXAMPLES:
        title, _, rest = "".join(_cells(file)[0]["source"]).partition("\n")
        learned = " ".join(rest.strip().split("\n\n")[0].split()).removeprefix("You learn ")
        number = int(file.stem.partition("_")[0])
        lines.append(f"{number}. [{title.lstrip('# ')}]({file.stem}.md): {learned}")
    return "\n".join(lines) + "\n"
