from __future__ import annotations

import sys
from pathlib import Path

import pytest

from llamaindex_vecx.cli.files import SourceFile, UnreadableError, find_files, read_sections


def test_folders_are_walked_in_order_and_hidden_things_passed_over(tmp_path: Path) -> None:
    for name in (
        "b.md",
        "a.txt",
        ".hidden.md",
        "sub/c.rst",
        ".git/d.md",
        "sub/.e/f.md",
        "z.MARKDOWN",
    ):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")
    found = find_files([tmp_path])
    assert [file.shown for file in found.files] == ["a.txt", "b.md", "z.MARKDOWN", "sub/c.rst"]
    assert [file.kind for file in found.files] == ["text", "markdown", "markdown", "text"]


def test_a_file_named_twice_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("x")
    found = find_files([tmp_path, tmp_path / "a.md", tmp_path])
    assert [file.path for file in found.files] == [(tmp_path / "a.md").resolve()]


def test_what_nobody_reads_is_reported_by_reason(tmp_path: Path) -> None:
    for name in ("a.pdf", "b.png", "c.md"):
        (tmp_path / name).write_text("x")
    found = find_files([tmp_path], have_readers=False)
    assert [file.shown for file in found.files] == ["c.md"]
    assert found.need_readers == ["a.pdf"]
    assert found.other == ["b.png"]
    assert [file.shown for file in find_files([tmp_path], have_readers=True).files] == [
        "a.pdf",
        "c.md",
    ]


def test_a_file_named_itself_is_text_whatever_its_suffix(tmp_path: Path) -> None:
    (tmp_path / "notes.org").write_text("x")
    assert find_files([tmp_path]).files == []
    assert [file.kind for file in find_files([tmp_path / "notes.org"]).files] == ["text"]


def test_encodings() -> None:
    file = SourceFile(Path("/a.txt"), "a.txt", "text")
    text = "한국어 문서"
    assert read_sections(file, text.encode("cp949"), "cp949")[0].text == text
    assert read_sections(file, b"\xef\xbb\xbf" + text.encode(), "utf-8")[0].text == text
    with pytest.raises(UnreadableError, match="--encoding"):
        read_sections(file, text.encode("cp949"), "utf-8")
    with pytest.raises(UnreadableError, match="nonsense"):
        read_sections(file, text.encode(), "nonsense")


def test_windows_line_ends_do_not_reach_the_passages() -> None:
    file = SourceFile(Path("/a.md"), "a.md", "markdown")
    assert read_sections(file, b"# A\r\n\r\nb\r\n", "utf-8")[0].text == "# A\n\nb\n"


def test_a_reader_that_fails_names_the_reason(tmp_path: Path) -> None:
    pytest.importorskip("llama_index.readers.file", reason="needs the extra 'readers'")
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(b"no pdf at all")
    with pytest.raises(UnreadableError, match=r"\w"):
        read_sections(SourceFile(broken, "broken.pdf", "reader"), b"", "utf-8")


def test_a_table_is_read_by_llama_index(tmp_path: Path) -> None:
    pytest.importorskip("llama_index.readers.file", reason="needs the extra 'readers'")
    pytest.importorskip("pandas", reason="LlamaIndex's csv reader needs pandas")
    table = tmp_path / "cities.csv"
    table.write_text("city,country\nSeoul,Korea\n")
    sections = read_sections(SourceFile(table, "cities.csv", "reader"), b"", "utf-8")
    assert any("Seoul" in section.text for section in sections)


@pytest.mark.parametrize("blocked", ["llama_index.readers", "llama_index.readers.file"])
def test_without_the_extra_readers_files_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blocked: str
) -> None:
    """In an environment without any reader package even the parent of the module is missing."""
    for name in [name for name in sys.modules if name.startswith("llama_index.readers")]:
        monkeypatch.delitem(sys.modules, name)

    class Blocker:
        @staticmethod
        def find_spec(name: str, path: object = None, target: object = None) -> None:
            if name == blocked:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(sys, "meta_path", [Blocker, *sys.meta_path])
    (tmp_path / "paper.pdf").write_bytes(b"%PDF")
    found = find_files([tmp_path])
    assert (found.need_readers, found.files) == (["paper.pdf"], [])
