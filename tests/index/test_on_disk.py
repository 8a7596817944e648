"""``on_disk``: the same index to the bit, little of it in memory, nothing lost where the file fails."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from llamaindex_vecx.errors import DiskFullError, InvalidInputError, StorageError
from llamaindex_vecx.index import HNSW
from llamaindex_vecx.index.hnsw import index as hnsw_index
from llamaindex_vecx.index.hnsw import store
from llamaindex_vecx.index.mapped import MappedRows, is_mapped
from llamaindex_vecx.snapshot import read_snapshot, write_snapshot

from .helpers import METRICS, clustered, normal
from .test_graph import same_graph

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
DIM = 20
POOL = np.concatenate([normal(60, DIM), np.repeat(normal(1, DIM, 1), 20, axis=0)])


def agree(one: HNSW, other: HNSW, queries: np.ndarray, k: int = 10, **params: object) -> None:
    rows, scores = one.search(queries, k, **params)  # type: ignore[arg-type]
    theirs, scored = other.search(queries, k, **params)  # type: ignore[arg-type]
    assert (rows == theirs).all()
    assert (scores == scored).all()


class BothModes(RuleBasedStateMachine):
    """An index in memory and one on disk, to which the same happens."""

    @initialize(metric=st.sampled_from(METRICS))
    def start(self, metric: str) -> None:
        self.memory = HNSW(DIM, metric, M=4, ef_construction=20)  # type: ignore[arg-type]
        self.disk = HNSW(DIM, metric, M=4, ef_construction=20, on_disk=True)  # type: ignore[arg-type]
        self.next_row = 0

    @property
    def both(self) -> tuple[HNSW, HNSW]:
        return self.memory, self.disk

    @rule(picks=st.lists(st.integers(0, len(POOL) - 1), min_size=1, max_size=80))
    def add(self, picks: list[int]) -> None:
        rows = np.arange(self.next_row, self.next_row + len(picks))
        self.next_row += len(picks)
        for index in self.both:
            index.add(rows, POOL[picks])

    @rule(seed=st.integers(0, 1000), share=st.sampled_from([0.05, 0.5]))
    def remove(self, seed: int, share: float) -> None:
        gone = np.flatnonzero(np.random.default_rng(seed).random(self.next_row) < share)
        assert self.memory.remove(gone) == self.disk.remove(gone)

    @rule()
    def compact(self) -> None:
        for index in self.both:
            index.compact()

    @rule()
    def renumber(self) -> None:
        old = np.flatnonzero(self.disk._store.table.table)
        new = np.arange(len(old))
        self.memory, self.disk = (index.renumbered(old, new) for index in self.both)
        self.next_row = len(old)

    @rule()
    def there_and_back(self) -> None:
        self.disk.on_disk = False
        assert not is_mapped(self.disk._store.view.graph.residuals)
        agree(self.memory, self.disk, POOL)
        self.disk.on_disk = True

    @rule()
    def save_and_load(self) -> None:
        with TemporaryDirectory() as folder:
            for index in self.both:
                index.save(Path(folder) / f"{index.on_disk}")
            self.memory, self.disk = (
                HNSW.load(Path(folder) / f"{on_disk}")[0] for on_disk in (False, True)
            )

    @rule(query=st.integers(0, 79), k=st.integers(1, 30))
    def search(self, query: int, k: int) -> None:
        agree(self.memory, self.disk, POOL[query], k, ef_search=10)
        allowed = np.random.default_rng(query).random(self.next_row + 1) < 0.5
        agree(self.memory, self.disk, POOL[query], k, allowed=allowed)

    @invariant()
    def same(self) -> None:
        assert self.disk.on_disk
        assert not self.memory.on_disk
        if len(self.disk):
            assert is_mapped(self.disk._store.view.graph.residuals)
        assert same_graph(self.memory, self.disk)


TestBothModes = BothModes.TestCase
TestBothModes.settings = settings(
    max_examples=30,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def resident(array: np.ndarray) -> dict[str, int]:
    """Kilobytes in memory of the mapping that an array lies in: of the file and not of it."""
    address = array.ctypes.data
    inside = False
    found: dict[str, int] = {}
    for line in Path("/proc/self/smaps").read_text().splitlines():
        name, _, rest = line.partition(":")
        if "-" in name.split()[0] and len(line.split()) >= 5:
            low, high = (int(part, 16) for part in line.split()[0].split("-"))
            inside = low <= address < high
        elif inside and name in ("Rss", "Anonymous"):
            found[name] = int(rest.split()[0])
    return found


@linux
def test_nothing_of_the_file_is_in_memory_after_a_build_or_a_search(tmp_path: Path) -> None:
    base = normal(9000, DIM)
    index = HNSW(DIM, M=4, ef_construction=20, on_disk=True, folder=tmp_path)
    memory = HNSW(DIM, M=4, ef_construction=20)
    for start in range(0, 9000, 3000):
        some = slice(start, start + 3000)
        index.add(np.arange(9000)[some], base[some])
        memory.add(np.arange(9000)[some], base[some])
    nothing = {"Rss": 0, "Anonymous": 0}
    assert resident(memory._store.view.graph.residuals)["Anonymous"] >= 9000 * 256 // 1024
    assert resident(index._store.view.graph.residuals) == nothing
    agree(index, memory, base[:200])
    assert resident(index._store.view.graph.residuals) == nothing
    index.calibrate()
    index.save(tmp_path / "it")
    assert resident(index._store.view.graph.residuals) == nothing
    assert [file.name for file in tmp_path.iterdir()] == ["it"]  # the file has no name
    loaded, _ = HNSW.load(tmp_path / "it")
    assert loaded.on_disk
    assert resident(loaded._store.view.graph.residuals) == nothing
    agree(loaded, memory, base[:200])
    assert resident(loaded._store.view.graph.residuals) == nothing


@pytest.mark.parametrize("threads", [1, 3])
def test_searches_while_it_grows_moves_and_is_compacted(threads: int) -> None:
    base = clustered(4000, 24, 20, 0.4)
    unit = base / np.linalg.norm(base, axis=1, keepdims=True)
    index = HNSW(24, M=8, ef_construction=40, on_disk=True)
    index.add(np.arange(600), base[:600])
    stop = threading.Event()
    wrong: list[str] = []

    def read(seed: int) -> None:
        rng = np.random.default_rng(seed)
        while not stop.is_set():
            i = int(rng.integers(0, 600))
            rows, scores = index.search(base[i], 5)
            true = unit[rows[0]] @ unit[i]
            if (rows < 0).any() or abs(true - scores[0]).max() > 1e-5:
                wrong.append(f"{rows}: {scores}, not {true}")

    readers = [threading.Thread(target=read, args=(seed,)) for seed in range(2)]
    for reader in readers:
        reader.start()
    for start in range(600, 4000, 200):
        index.add(np.arange(start, start + 200), base[start : start + 200], threads=threads)
        index.remove(np.arange(start, start + 50))
        index.on_disk = start % 600 == 0
        if start == 2000:
            index.compact()
    stop.set()
    for reader in readers:
        reader.join()
    assert not wrong, wrong[:3]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_writes_to_a_file_of_its_own() -> None:
    base = normal(400, DIM)
    disk, memory = HNSW(DIM, on_disk=True), HNSW(DIM)
    for index in (disk, memory):
        index.add(np.arange(150), base[:150])
    child = os.fork()
    mine, other = (base[150:200], base[200:250]) if child else (base[200:250], base[150:200])
    try:
        for index in (disk, memory):
            index.add(np.arange(150, 200), mine)
        if child:
            assert os.waitpid(child, 0)[1] == 0
        agree(disk, memory, mine)
        agree(disk, memory, other)
    except BaseException:
        if not child:
            os._exit(1)
        raise
    if not child:
        os._exit(0)


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """The system refuses to let a file grow beyond a size, as it does where a disk is full."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def _grow(index: HNSW) -> None:
    index.add(np.arange(160, 1000), POOL[np.arange(840) % 80])


def _fill(index: HNSW) -> None:
    index.add(np.arange(160, 200), POOL[:40])


def _compact(index: HNSW) -> None:
    index.remove([0])
    index.compact()


def _improve(index: HNSW) -> None:
    index.remove(np.arange(100))
    while index.improve():
        pass


@pytest.mark.parametrize(
    ("change", "room"), [(_grow, 210), (_fill, 170), (_compact, 100), (_improve, 50)]
)
def test_a_full_disk_changes_nothing(
    change: Callable[[HNSW], None], room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hnsw_index, "_COMPACT_FROM", 0)
    monkeypatch.setattr(hnsw_index, "_STEP", 20)
    disk, memory = HNSW(DIM, on_disk=True), HNSW(DIM)
    for index in (disk, memory):
        index.add(np.arange(110), POOL[np.arange(110) % 80])
        index.add(np.arange(110, 160), POOL[:50])
    with files_up_to(room * 256), pytest.raises(DiskFullError, match="Make room"):
        change(disk)
    if change in (_compact, _improve):
        memory.remove(np.arange(1 if change is _compact else 100))
    assert same_graph(disk, memory)
    agree(disk, memory, POOL)
    for index in (disk, memory):
        change(index)
    assert same_graph(disk, memory)
    agree(disk, memory, POOL)


def test_after_a_failure_the_same_file_is_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copying it would need as much room again, where there is none."""
    disk, memory = HNSW(DIM, on_disk=True), HNSW(DIM)
    for index in (disk, memory):
        index.add(np.arange(80), POOL)
    file = disk._store._file

    def full(self: MappedRows, start: int, rows: np.ndarray) -> None:
        raise DiskFullError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(MappedRows, "write", full)
        with pytest.raises(DiskFullError):
            disk.add(np.arange(80, 160), POOL)
    for index in (disk, memory):
        index.add(np.arange(80, 160), POOL)
    assert disk._store._file is file
    assert same_graph(disk, memory)
    agree(disk, memory, POOL)


def test_a_full_disk_while_it_moves_there(tmp_path: Path) -> None:
    index, memory = HNSW(DIM), HNSW(DIM)
    for either in (index, memory):
        either.add(np.arange(80), POOL)
    with files_up_to(1000), pytest.raises(DiskFullError):
        index.on_disk = True
    assert not index.on_disk
    agree(index, memory, POOL)
    index.folder = tmp_path
    index.on_disk = True
    assert index.on_disk
    agree(index, memory, POOL)


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    index = HNSW(DIM, on_disk=True, folder=tmp_path / "missing")
    with pytest.raises(StorageError, match="missing"):
        index.add(np.arange(80), POOL)
    assert len(index) == 0
    assert index.search(POOL[0], 1)[0].tolist() == [[-1]]
    index.folder = tmp_path
    index.add(np.arange(80), POOL)
    assert index.search(POOL[5], 1)[0].tolist() == [[5]]


@pytest.mark.parametrize("wrong", [None, 1, "yes", np.ones(2)])
def test_neither_true_nor_false(wrong: object) -> None:
    with pytest.raises(InvalidInputError, match="on_disk must be True or False"):
        HNSW(4, on_disk=wrong)  # type: ignore[arg-type]
    index = HNSW(4)
    with pytest.raises(InvalidInputError, match="on_disk"):
        index.on_disk = wrong  # type: ignore[assignment]


def test_it_is_kept_and_a_snapshot_from_before_has_none(tmp_path: Path) -> None:
    index = HNSW(DIM, on_disk=True, folder=tmp_path)
    index.add(np.arange(80), POOL)
    assert "on_disk=True" in repr(index)
    index.save(tmp_path / "it")
    loaded, _ = HNSW.load(tmp_path / "it")
    assert loaded.params == index.params
    snapshot = read_snapshot(tmp_path / "it", kind="hnsw")
    params = {name: value for name, value in snapshot.params.items() if name != "on_disk"}
    write_snapshot(tmp_path / "old", kind="hnsw", params=params, arrays=snapshot.arrays)
    old, _ = HNSW.load(tmp_path / "old")
    assert not old.on_disk
    old.on_disk = True
    agree(old, index, POOL)


@pytest.mark.parametrize("on_disk", [True, False])
@pytest.mark.parametrize("inserted", [0, 20, 39])
def test_a_rebuild_ends_where_the_setting_says_by_then(on_disk: bool, inserted: int) -> None:
    index, other = HNSW(DIM, on_disk=not on_disk), HNSW(DIM)
    for either in (index, other):
        either.add(np.arange(80), POOL)
        either.remove(np.arange(41))
    rebuild = index._begin_rebuild()
    rebuild.step(inserted, 1)
    index.on_disk = on_disk
    index._finish(rebuild, 1)
    assert not index.tombstones
    assert is_mapped(index._store.view.graph.residuals) == on_disk
    other.compact()
    agree(index, other, POOL)


def test_adding_nothing_writes_nothing(tmp_path: Path) -> None:
    index = HNSW(DIM, on_disk=True, folder=tmp_path / "missing")
    index.add([], np.zeros((0, DIM)))
    assert len(index) == 0


def test_batches_pass_through_a_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_WRITTEN", 7)
    sizes: list[int] = []
    write = MappedRows.write

    def counted(self: MappedRows, start: int, rows: np.ndarray) -> None:
        sizes.append(len(rows))
        write(self, start, rows)

    monkeypatch.setattr(MappedRows, "write", counted)
    disk, memory = HNSW(DIM, on_disk=True), HNSW(DIM)
    for index in (disk, memory):
        index.add(np.arange(80), POOL)
    assert sizes == [7] * 11 + [3]
    assert same_graph(disk, memory)
