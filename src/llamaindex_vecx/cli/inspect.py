"""``vecx inspect``: look into a collection on a page in the browser."""

from __future__ import annotations

import os
import subprocess
import sys
from enum import Enum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from llamaindex_vecx.cli.console import err
from llamaindex_vecx.cli.opening import open_store
from llamaindex_vecx.errors import InvalidInputError, MissingExtraError

__all__ = ["inspect", "judged_folder", "streamlit_command"]

ADDRESS = "127.0.0.1"
_PAGE = Path(__file__).resolve().parents[1] / "inspect" / "page.py"


class Language(str, Enum):
    """Of the page; it can be changed there."""

    en = "en"
    ko = "ko"


def inspect(
    collection: Annotated[Path, typer.Argument(metavar="DIR", help="The collection.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="On 127.0.0.1.")] = 8501,
    judged: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where judgements are kept. [default: DIR-judged]"),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME_OR_FOLDER", help="Only where the collection records none."),
    ] = None,
    rerank: Annotated[
        str | None, typer.Option(metavar="NAME_OR_FOLDER", help="A cross-encoder to begin with.")
    ] = None,
    language: Annotated[
        Language | None, typer.Option(help="[default: Korean where the system is Korean]")
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open a browser window.")] = True,
) -> None:
    """Ask on a page: what each stage finds and moves, recall, a map; judge what comes."""
    if find_spec("streamlit") is None:
        raise MissingExtraError("streamlit", "ui")
    with open_store(collection, read_only=True) as store:
        if not len(store):
            raise InvalidInputError(f"{collection} is empty; vecx ingest PATH --to {collection}")
    folder = judged or judged_folder(collection)
    arguments = [str(collection), "--judged", str(folder)]
    arguments += ["--language", (language or _system_language()).value]
    arguments += [] if model is None else ["--model", model]
    arguments += [] if rerank is None else ["--rerank", rerank]
    err.print(f"Inspector on http://{ADDRESS}:{port}, judgements in {folder}. Ctrl-C ends it.")
    process = subprocess.Popen(streamlit_command(port, arguments, browser=browser))
    try:
        code = process.wait()
    except KeyboardInterrupt:
        process.terminate()
        code = process.wait() and 0
    if code:
        raise typer.Exit(code)


def judged_folder(collection: Path) -> Path:
    """Where judgements of a collection are kept unless the user says otherwise: beside it."""
    whole = collection.resolve()
    return whole.with_name(f"{whole.name}-judged")


def streamlit_command(port: int, arguments: list[str], *, browser: bool) -> list[str]:
    """The command line that serves the page on this machine alone."""
    options = {
        "server.address": ADDRESS,
        "server.port": str(port),
        "server.headless": "false" if browser else "true",
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "minimal",
    }
    flags = [part for name, value in options.items() for part in (f"--{name}", value)]
    return [sys.executable, "-m", "streamlit", "run", str(_PAGE), *flags, "--", *arguments]


def _system_language() -> Language:
    system = os.environ.get("LC_ALL") or os.environ.get("LANG") or ""
    return Language.ko if system.startswith("ko") else Language.en
