"""What :meth:`Collection.open` finds in a folder, and what it then leaves alone."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from llamaindex_vecx.collection import Collection
from llamaindex_vecx.errors import FormatError, NotACollectionError, ReadOnlyError
from tests.collection.making import all_ids, ids, record, vector


def picture(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def make(path: Path, n: int = 10) -> Path:
    with Collection.open(path) as collection:
        collection.add([record(i) for i in range(n)])
    return path / "collection.sqlite3"


def foreign_database(path: Path, *, wal: bool = False) -> None:
    path.mkdir()
    connection = sqlite3.connect(path / "collection.sqlite3")
    if wal:
        connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE people (name TEXT)")
    connection.execute("PRAGMA application_id=77" if wal else "PRAGMA user_version=1")
    connection.commit()
    connection.close()


class TestNotACollection:
    def test_a_file(self, tmp_path) -> None:
        (tmp_path / "kb").write_text("hello")
        with pytest.raises(NotACollectionError, match="is a file"):
            Collection.open(tmp_path / "kb")

    def test_a_folder_with_something_else(self, tmp_path) -> None:
        (tmp_path / "notes.txt").write_text("hello")
        for read_only in (False, True):
            with pytest.raises(NotACollectionError, match=r"notes\.txt"):
                Collection.open(tmp_path, read_only=read_only)
        assert picture(tmp_path) == {"notes.txt": b"hello"}

    @pytest.mark.parametrize("wal", [False, True])
    def test_another_programs_database(self, tmp_path, wal) -> None:
        foreign_database(tmp_path / "kb", wal=wal)
        before = picture(tmp_path)
        for read_only in (False, True):
            with pytest.raises(NotACollectionError, match="another program"):
                Collection.open(tmp_path / "kb", read_only=read_only)
        assert picture(tmp_path) == before

    def test_no_database_at_all(self, tmp_path) -> None:
        (tmp_path / "kb").mkdir()
        (tmp_path / "kb" / "collection.sqlite3").write_bytes(b"hello, I am no database" * 100)
        before = picture(tmp_path)
        with pytest.raises(NotACollectionError, match="no SQLite database"):
            Collection.open(tmp_path / "kb")
        assert picture(tmp_path) == before

    def test_nothing_to_read(self, tmp_path) -> None:
        with pytest.raises(NotACollectionError, match="open it for writing"):
            Collection.open(tmp_path / "kb", read_only=True)
        assert picture(tmp_path) == {}
        assert not (tmp_path / "kb").exists()

    def test_a_folder_that_can_not_be_made(self, tmp_path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(OSError, match="kb"):
            Collection.open(tmp_path / "file" / "kb")


class TestBeginnings:
    """What a writer that was killed while it created a collection may leave."""

    @pytest.mark.parametrize(
        "names", [[], ["writer.lock"], ["writer.lock", "collection.sqlite3"], ["views/"]]
    )
    def test_a_collection_that_was_not_finished_is_begun_again(self, tmp_path, names) -> None:
        for name in names:
            if name.endswith("/"):
                (tmp_path / name).mkdir()
            else:
                (tmp_path / name).touch()
        make(tmp_path)
        with Collection.open(tmp_path) as collection:
            assert len(collection) == 10

    def test_a_database_without_tables_is_begun_again(self, tmp_path) -> None:
        connection = sqlite3.connect(tmp_path / "collection.sqlite3")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.close()
        make(tmp_path)
        with Collection.open(tmp_path) as collection:
            assert len(collection) == 10


class TestFormat:
    def test_a_newer_format(self, tmp_path) -> None:
        file = make(tmp_path / "kb")
        connection = sqlite3.connect(file)
        connection.execute("PRAGMA user_version=99")
        connection.close()
        before = picture(tmp_path)
        for read_only in (False, True):
            with pytest.raises(FormatError, match="format 99.*pip install -U"):
                Collection.open(tmp_path / "kb", read_only=read_only)
        assert picture(tmp_path) == before

    @pytest.mark.parametrize("read_only", [False, True])
    def test_a_damaged_database_names_the_remedy(self, tmp_path, read_only) -> None:
        file = make(tmp_path / "kb", 2000)
        content = bytearray(file.read_bytes())
        content[100 : 100 + 40_000] = bytes(40_000)
        file.write_bytes(content)
        with pytest.raises(FormatError, match=r"\.recover"):
            Collection.open(tmp_path / "kb", read_only=read_only)

    def test_a_damaged_page_is_found_when_it_is_read(self, tmp_path) -> None:
        file = make(tmp_path / "kb", 5000)
        content = bytearray(file.read_bytes())
        middle = len(content) // 2 // 8192 * 8192
        content[middle : middle + 8 * 8192] = b"\xff" * (8 * 8192)
        file.write_bytes(content)
        with (
            Collection.open(tmp_path / "kb", read_only=True) as collection,
            pytest.raises(FormatError, match=r"\.recover"),
        ):
            collection.records(list(range(1, 5001)), vectors=True)

    def test_a_header_that_was_wiped(self, tmp_path) -> None:
        file = make(tmp_path / "kb")
        content = bytearray(file.read_bytes())
        content[:16] = bytes(16)
        file.write_bytes(content)
        with pytest.raises(FormatError, match="damaged"):
            Collection.open(tmp_path / "kb")

    @pytest.mark.parametrize("key", ["state", "history", "settings"])
    def test_state_that_is_missing_or_no_json(self, tmp_path, key) -> None:
        file = make(tmp_path / "kb")
        for statement in (
            f"UPDATE meta SET value = '{{\"seq\": [' WHERE key = '{key}'",
            f"UPDATE meta SET value = '7' WHERE key = '{key}'",
            f"DELETE FROM meta WHERE key = '{key}'",
        ):
            connection = sqlite3.connect(file)
            connection.execute(statement)
            connection.commit()
            connection.close()
            with pytest.raises(FormatError, match="backup"):
                Collection.open(tmp_path / "kb")


READ_ONLY = """
import os, sys, warnings
warnings.simplefilter("error")
sys.path.insert(0, {root!r})
os.chdir({folder!r})
from llamaindex_vecx.collection import Collection
from llamaindex_vecx.errors import ReadOnlyError, StorageError
from tests.collection.making import ids, record, vector
with Collection.open(None) as collection:  # loads whatever lies where nobody may read
    collection.add([record(i) for i in range(10)])
    collection.wait()
    collection.search(vector(3), 1), collection.search_text("number4", 1)
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
for path in ("kb", "new"):
    try:  # a writer
        Collection.open(path)
    except ReadOnlyError as error:
        print("refused:", error)
try:
    with Collection.open("kb", read_only=True) as collection:
        print(len(collection), ids(collection, collection.search(vector(3), 1)[0]),
              ids(collection, collection.search_text("number4", 1)[0]))
except StorageError as error:
    print(type(error).__name__, error)
"""


def run_without_rights(folder: Path) -> str:
    """In a process of its own, because root may write anywhere."""
    root = Path(__file__).parents[2]
    code = READ_ONLY.format(root=str(root), folder=str(folder))
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root / "src")},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def medium():
    """A folder that others may read. Not tmp_path: every session of pytest takes others' rights to it."""
    with tempfile.TemporaryDirectory(prefix="vecx-medium-") as name:
        folder = Path(name)
        os.chmod(folder, 0o755)
        yield folder
        for inner in (folder, *folder.rglob("*/")):
            os.chmod(inner, 0o755)


@pytest.mark.skipif(sys.platform == "win32", reason="permissions work otherwise there")
class TestReadOnlyMedium:
    def test_is_refused_to_a_writer_and_open_to_a_reader(self, medium) -> None:
        with Collection.open(medium / "kb") as collection:
            collection.add([record(i) for i in range(10)])
            collection.flush()
        for folder in (medium / "kb", medium):
            os.chmod(folder, 0o555)
        before = picture(medium)
        lines = run_without_rights(medium).splitlines()
        assert [line.startswith("refused:") for line in lines] == [True, True, False]
        assert "read_only=True" in lines[0]
        assert lines[2] == "10 ['id3'] ['id4']"
        assert picture(medium) == before

    def test_commits_that_are_still_in_the_wal_are_not_overlooked(self, medium) -> None:
        with Collection.open(medium / "kb") as collection:
            collection.add([record(i) for i in range(10)])
            copy = medium / "copy" / "kb"
            copy.mkdir(parents=True)
            for name in ("collection.sqlite3", "collection.sqlite3-wal"):  # as after a kill
                (copy / name).write_bytes((medium / "kb" / name).read_bytes())
        for folder in (copy, copy.parent):
            os.chmod(folder, 0o555)
        last = run_without_rights(copy.parent).splitlines()[-1]
        assert last.startswith("ReadOnlyError")
        assert "collection.sqlite3-wal" in last


def test_errors_of_opening_leave_the_path_free(tmp_path) -> None:
    file = make(tmp_path / "kb")
    with pytest.raises(ValueError, match="metric"):
        Collection.open(tmp_path / "kb", metric="l2")
    with Collection.open(tmp_path / "kb") as collection:
        assert all_ids(collection) == {f"id{i}" for i in range(10)}
        assert ids(collection, collection.search(vector(3), 1)[0]) == ["id3"]
    assert file.exists()
    assert issubclass(ReadOnlyError, OSError)
