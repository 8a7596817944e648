"""Several processes on one collection: one writer, readers beside it, and forks."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from llamaindex_vecx.collection import Collection
from llamaindex_vecx.errors import ClosedError, LockedError
from tests.collection.making import all_ids, ids, one, record, vector

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork")


@pytest.fixture(scope="module")
def server():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.faults.child"])
    return context


def hold(path: Path, pipe: Connection) -> None:
    with Collection.open(path) as collection:
        collection.add([record(1)])
        pipe.send(os.getpid())
        pipe.recv()


def follow(path: Path, pipe: Connection) -> None:
    """Answer questions about the collection until there are no more."""
    with Collection.open(path, read_only=True) as collection:
        while (i := pipe.recv()) is not None:
            found = ids(collection, collection.search(vector(i), 1)[0])
            text = ids(collection, collection.search_text(f"number{i}", 1)[0])
            kept = ids(collection, collection.select(filters=one("n", "==", i)))
            pipe.send((len(collection), found, text, kept, sorted(all_ids(collection))[:3]))


def obey(path: Path, pipe: Connection) -> None:
    """Write what is asked for: records, whose ids are removed again and compacted away if it says so."""
    with Collection.open(path) as collection:
        while (order := pipe.recv()) is not None:
            name, numbers = order
            if name == "add":
                collection.add([record(i) for i in numbers])
            else:
                collection.delete(collection.select(ids=[f"id{i}" for i in numbers]))
                collection.wait()
                collection.compact()
            pipe.send("done")


class TestOneWriter:
    def test_a_second_one_is_told_the_pid_of_the_first(self, server, tmp_path) -> None:
        ours, theirs = server.Pipe()
        process = server.Process(target=hold, args=(tmp_path / "kb", theirs), daemon=True)
        process.start()
        pid = ours.recv()
        with pytest.raises(LockedError, match=rf"pid {pid}\b.*read_only=True"):
            Collection.open(tmp_path / "kb")
        with Collection.open(tmp_path / "kb", read_only=True) as reader:
            assert all_ids(reader) == {"id1"}
        ours.send("enough")
        process.join()
        with Collection.open(tmp_path / "kb") as collection:
            assert len(collection) == 1

    def test_a_killed_one_leaves_the_collection_free(self, server, tmp_path) -> None:
        ours, theirs = server.Pipe()
        process = server.Process(target=hold, args=(tmp_path / "kb", theirs), daemon=True)
        process.start()
        os.kill(ours.recv(), signal.SIGKILL)
        process.join()
        with Collection.open(tmp_path / "kb") as collection:
            assert all_ids(collection) == {"id1"}


def test_a_reader_sees_each_commit_at_its_next_query(server, tmp_path) -> None:
    path = tmp_path / "kb"
    with Collection.open(path) as writer:
        writer.add([record(i) for i in range(50)])
        ours, theirs = server.Pipe()
        process = server.Process(target=follow, args=(path, theirs), daemon=True)
        process.start()

        def ask(i: int) -> tuple[object, ...]:
            ours.send(i)
            assert ours.poll(30)
            return ours.recv()

        everything = (["id7"], ["id7"], ["id7"], ["id0", "id1", "id10"])
        assert ask(7) == (50, *everything)
        for i in range(60, 80):
            writer.add([record(i)])
            assert ask(i)[:4] == (i - 9, [f"id{i}"], [f"id{i}"], [f"id{i}"])
        writer.delete(writer.select(ids=["id7"]))
        count, nearest, text, kept, _ = ask(7)
        assert (count, text, kept) == (69, [], [])
        assert nearest != ["id7"]
        writer.flush()
        writer.compact()
        assert ask(60)[:4] == (69, ["id60"], ["id60"], ["id60"])
        writer.clear()
        assert ask(60) == (0, [], [], [], [])
        writer.add([record(i) for i in range(3)])
        assert ask(2) == (3, ["id2"], ["id2"], ["id2"], ["id0", "id1", "id2"])
        ours.send(None)
        process.join(30)
        assert process.exitcode == 0


@pytest.mark.parametrize("behind", ["query", "background"])
@pytest.mark.parametrize("index", ["hnsw", "flat"])
def test_a_compaction_right_before_a_reader_catches_up(
    server, tmp_path, monkeypatch, behind, index
) -> None:
    """The tombstones between are gone by then, and what is removed must not stay for ever."""
    path = tmp_path / "kb"
    Collection.open(path, index=index).close()
    ours, theirs = server.Pipe()
    process = server.Process(target=obey, args=(path, theirs), daemon=True)
    process.start()

    def order(name: str, *numbers: int) -> None:
        ours.send((name, numbers))
        assert ours.recv() == "done"

    order("add", *range(50))
    with Collection.open(path, read_only=True) as reader:
        engine = reader._share.engine
        engine.upkeep.worker.stop()

        def names(rows) -> set[str | None]:  # None: a row that is no longer there
            return {item and item.id for item in reader.records(rows)}

        def everything() -> set[str | None]:
            return names(reader.all_rows())

        def texts() -> set[str | None]:
            return names(reader.search_text("cat", 100)[0])

        def nearest() -> set[str | None]:
            return names(reader.search(vector(0), 100)[0])

        for i, look in enumerate([everything, texts, nearest]):
            assert len(everything()) == len(texts()) == len(nearest()) == 50
            sync = engine.sync

            def late(i=i, sync=sync) -> None:
                sync()
                monkeypatch.undo()
                order("remove", i)
                if behind == "background":
                    engine.upkeep._step()

            order("add", 100 + i)
            monkeypatch.setattr(engine, "sync", late)
            expected = {f"id{j}" for j in (*range(i + 1, 50), *range(100, 101 + i))}
            seen = [look(), everything(), texts(), nearest()]
            assert seen == [expected] * 4
            rows, _ = reader.search(vector(0), 100)
            assert len(rows) == 50
    ours.send(None)
    process.join(30)


def in_a_fork(do) -> str:
    """Run ``do`` in a forked child and return what it returned, or its exception."""
    out, back = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.alarm(20)
        try:
            answer = str(do())
        except BaseException as error:
            answer = f"{type(error).__name__}: {error}"
        os.write(back, answer.encode())
        os._exit(0)
    os.close(back)
    with os.fdopen(out) as stream:
        answer = stream.read()
    os.waitpid(pid, 0)
    return answer


class TestFork:
    def test_a_child_may_not_write_for_its_parent(self, tmp_path) -> None:
        with Collection.open(tmp_path / "kb") as collection:
            collection.add([record(i) for i in range(600)])
            for call in (lambda: collection.add([record(7)]), lambda: len(collection)):
                answer = in_a_fork(call)
                assert answer.startswith("LockedError")
                assert str(os.getpid()) in answer
                assert "read_only=True" in answer
            answer = in_a_fork(lambda: Collection.open(tmp_path / "kb"))
            assert answer.startswith("LockedError")
            assert f"pid {os.getpid()}" in answer
            in_a_fork(collection.close)
            collection.add([record(i, version=1) for i in range(600)])
            collection.wait()
            assert ids(collection, collection.search(vector(1007), 1)[0]) == ["id7"]
        with Collection.open(tmp_path / "kb") as collection:
            assert len(collection) == 600

    def test_a_reader_opens_itself_anew_in_a_child(self, tmp_path) -> None:
        with Collection.open(tmp_path / "kb") as writer:
            writer.add([record(i) for i in range(20)])
            with Collection.open(tmp_path / "kb", read_only=True) as reader:
                assert len(reader) == 20

                def look() -> object:
                    found = ids(reader, reader.search(vector(3), 1)[0])
                    text = ids(reader, reader.search_text("number4", 1)[0])
                    reader.close()
                    return found, text, reader.closed

                assert in_a_fork(look) == "(['id3'], ['id4'], True)"
                writer.add([record(30)])
                assert ids(reader, reader.search(vector(30), 1)[0]) == ["id30"]

    def test_a_child_does_not_keep_the_lock_of_its_parent(self, tmp_path) -> None:
        collection = Collection.open(tmp_path / "kb")
        pid = os.fork()
        if pid == 0:
            time.sleep(60)
            os._exit(0)
        try:
            collection.close()
            code = f"from llamaindex_vecx.collection import Collection as C; C.open({str(tmp_path / 'kb')!r})"
            subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    def test_a_collection_in_memory_belongs_to_its_process(self) -> None:
        with Collection.open(None) as collection:
            collection.add([record(1)])
            answer = in_a_fork(lambda: collection.search(vector(1), 1))
            assert answer.startswith(ClosedError.__name__)
            assert "forked" in answer


EXIT = """
import sys
sys.path.insert(0, {root!r})
from llamaindex_vecx.collection import Collection
from tests.collection.making import record
collection = Collection.open({path!r})
collection.add([record(i) for i in range(3000)])
print("acknowledged", flush=True)
"""


@pytest.mark.parametrize("end", ["", "raise SystemExit(0)", "del collection"])
def test_a_program_may_end_without_closing(tmp_path, end) -> None:
    root = Path(__file__).parents[2]
    path = tmp_path / "kb"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", EXIT.format(root=str(root), path=str(path)) + end],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root / "src")},
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "acknowledged\n", "")
    assert not list(path.glob("*-wal"))
    with Collection.open(path) as collection:
        assert len(collection) == 3000
