"""Find the files to ingest and read them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

__all__ = ["Found", "Section", "SourceFile", "UnreadableError", "find_files", "read_sections"]

_MARKDOWN = frozenset({".md", ".markdown"})
_TEXT = frozenset({".txt", ".rst"})
_READERS = frozenset(
    {".pdf", ".docx", ".pptx", ".hwp", ".csv", ".epub", ".ipynb", ".mbox", ".xls", ".xlsx"}
)


class UnreadableError(Exception):
    """A file can't be read; it is reported and left out, the others go on."""


@dataclass(frozen=True)
class SourceFile:
    """One file to ingest.

    Attributes
    ----------
    path : Path
        Absolute. As text it is the document's id, the same in every run.
    shown : str
        Relative to the folder that was given, with ``/``.
    kind : {"markdown", "text", "reader"}
    """

    path: Path
    shown: str
    kind: str

    @property
    def doc_id(self) -> str:
        """Id of the document that this file is."""
        return self.path.as_posix()


@dataclass
class Found:
    """What :func:`find_files` found.

    Attributes
    ----------
    files : list of SourceFile
    need_readers : list of str
        Files that only the extra ``readers`` can read, and it is not installed.
    other : list of str
        Files of kinds that nobody here reads.
    """

    files: list[SourceFile] = field(default_factory=list)
    need_readers: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Section:
    """A piece of a file: all of it, or a page.

    Attributes
    ----------
    text : str
    page : str or None
        The page's label, where the format has pages.
    """

    text: str
    page: str | None = None


def find_files(roots: Sequence[Path], *, have_readers: bool | None = None) -> Found:
    """Walk the roots in sorted order; hidden files and folders are passed over.

    A file that is named itself is taken whatever its suffix: as plain text where nothing else fits.

    Parameters
    ----------
    roots : sequence of Path
        Files and folders that exist.
    have_readers : bool, optional
        Whether the extra ``readers`` is there. By default: look.
    """
    if have_readers is None:
        have_readers = _readers_are_installed()
    found = Found()
    seen: set[Path] = set()
    for root in roots:
        named = root.is_file()
        for path in [root] if named else _walk(root):
            absolute = path.resolve()
            if absolute in seen:
                continue
            seen.add(absolute)
            shown = path.name if named else path.relative_to(root).as_posix()
            kind = _kind(path, named)
            if kind is None:
                found.other.append(shown)
            elif kind == "reader" and not have_readers:
                found.need_readers.append(shown)
            else:
                found.files.append(SourceFile(absolute, shown, kind))
    return found


def _readers_are_installed() -> bool:
    try:
        return find_spec("llama_index.readers.file") is not None
    except ModuleNotFoundError:  # no package of readers at all, so their parent is missing too
        return False


def _walk(folder: Path) -> Iterator[Path]:
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(where, name)


def _kind(path: Path, named: bool) -> str | None:
    suffix = path.suffix.lower()
    if suffix in _MARKDOWN:
        return "markdown"
    if suffix in _TEXT:
        return "text"
    if suffix in _READERS:
        return "reader"
    return "text" if named else None


def read_sections(file: SourceFile, content: bytes, encoding: str) -> list[Section]:
    """The text of a file.

    Parameters
    ----------
    file : SourceFile
    content : bytes
        Its bytes, as hashed. Formats of the extra ``readers`` are read from the path again.
    encoding : str
        Of plain text and Markdown.

    Raises
    ------
    UnreadableError
        The text is not in that encoding, or the reader of the format failed.
    """
    if file.kind == "reader":
        return _read_by_llama_index(file.path)
    try:
        text = content.decode("utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding)
    except (UnicodeDecodeError, LookupError) as error:
        raise UnreadableError(f"not {encoding} text ({error}); name its --encoding") from error
    return [Section(text.replace("\r\n", "\n"))]


def _read_by_llama_index(path: Path) -> list[Section]:
    from llama_index.core import SimpleDirectoryReader

    try:
        documents = SimpleDirectoryReader(input_files=[path], raise_on_error=True).load_data()
    except Exception as error:  # every format's library raises its own
        cause = error.__cause__ or error
        reason = str(cause).strip().split("\n", 1)[0] or type(cause).__name__
        raise UnreadableError(reason) from error
    return [Section(document.text, document.metadata.get("page_label")) for document in documents]
