"""Snapshots: the same answers after loading, and no damage goes unseen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llamaindex_vecx.errors import DamagedSnapshotError
from llamaindex_vecx.index import HNSW, Flat
from llamaindex_vecx.index.hnsw import files
from llamaindex_vecx.index.hnsw.layout import FIRST, HEADER, ROW, TWIN, column, lists_of
from llamaindex_vecx.snapshot import read_snapshot, write_snapshot

from .helpers import METRICS, normal, recall


@pytest.fixture(params=[Flat, HNSW])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.mark.parametrize("metric", METRICS)
def test_the_same_answers_and_room_to_grow(kind: Any, metric: str, tmp_path: Path) -> None:
    index = kind(20, metric)
    index.add(np.arange(5, 2005), normal(2000, 20))
    index.remove(np.arange(100, 300))
    index.save(tmp_path / "it", stamp={"seq": 7})
    loaded, stamp = kind.load(tmp_path / "it")
    assert stamp == {"seq": 7}
    assert repr(loaded) == repr(index)
    asked = normal(40, 20, 1)
    for one, other in zip(index.search(asked, 10), loaded.search(asked, 10), strict=True):
        assert (one == other).all()
    loaded.add(np.arange(3000, 4000), normal(1000, 20, 2))
    loaded.add([100], normal(1, 20, 3))
    if metric != "ip":
        rows, _ = loaded.search(normal(1000, 20, 2), 1, ef_search=100)
        assert recall(rows, np.arange(3000, 4000)[:, None]) >= (1 if kind is Flat else 0.95)
    again, _ = kind.load(tmp_path / "it")  # the files did not change
    assert len(again) == len(index)


def test_an_empty_index(kind: Any, tmp_path: Path) -> None:
    kind(3).save(tmp_path / "it")
    index, stamp = kind.load(tmp_path / "it")
    assert (len(index), stamp) == (0, {})
    index.add([0], [[1, 2, 3]])
    assert index.search([1, 2, 3], 1)[0].tolist() == [[0]]


def test_another_kind_or_nothing(kind: Any, tmp_path: Path) -> None:
    other = HNSW if kind is Flat else Flat
    other(3).save(tmp_path / "it")
    with pytest.raises(DamagedSnapshotError, match="kind"):
        kind.load(tmp_path / "it")
    with pytest.raises(DamagedSnapshotError):
        kind.load(tmp_path / "nothing")


def test_every_cut_or_altered_file_is_noticed(kind: Any, tmp_path: Path) -> None:
    index = kind(4)
    index.add(np.arange(50), normal(50, 4))
    index.save(tmp_path / "it")
    for file in sorted((tmp_path / "it").iterdir()):
        good = file.read_bytes()
        for bad in (good[:-1], good[:-1] + bytes([good[-1] ^ 1]), b""):
            file.write_bytes(bad)
            with pytest.raises(DamagedSnapshotError):
                kind.load(tmp_path / "it")
        file.unlink()
        with pytest.raises(DamagedSnapshotError):
            kind.load(tmp_path / "it")
        file.write_bytes(good)
    assert len(kind.load(tmp_path / "it")[0]) == 50


Change = Callable[[dict[str, np.ndarray]], Any]
START = column(4)
LIST = START + HEADER


def words(arrays: dict[str, np.ndarray]) -> np.ndarray:
    return arrays["blocks"].view(np.int32)


def each(arrays: dict[str, np.ndarray], which: int) -> np.ndarray:
    return words(arrays)[:, START + which]


BROKEN: dict[str, Change] = {
    "neighbour": lambda a: words(a).__setitem__((3, LIST), 10**6),
    "negative neighbour": lambda a: words(a).__setitem__((3, LIST), -5),
    "unused neighbour": lambda a: words(a).__setitem__((3, LIST + 31), 10**6),
    "degree": lambda a: words(a).__setitem__((3, LIST - 1), 33),
    "negative degree": lambda a: words(a).__setitem__((3, LIST - 1), -1),
    "upper neighbour": lambda a: a["upper"].__setitem__((0, 1), 10**6),
    "upper degree": lambda a: a["upper"].__setitem__((0, 0), 17),
    "upper neighbour below its level": lambda a: a["upper"].__setitem__(
        (0, slice(0, 2)), (1, np.flatnonzero(a["levels"] == 0)[0])
    ),
    "first": lambda a: each(a, FIRST).__setitem__(a["levels"] > 0, 10**6),
    "negative first": lambda a: each(a, FIRST).__setitem__(a["levels"] > 0, -2),
    "levels": lambda a: a["levels"].__setitem__(slice(None), 200),
    "twin": lambda a: each(a, TWIN).__setitem__(0, 10**6),
    "circle of twins": lambda a: each(a, TWIN).__setitem__(slice(0, 2), (1, 0)),
    "row": lambda a: each(a, ROW).__setitem__(0, -2),
    "row twice": lambda a: each(a, ROW).__setitem__(0, 1),
    "entry": lambda a: a["state"].__setitem__(0, 10**6 << 8),
    "no entry": lambda a: a["state"].__setitem__(0, -1),
    "entry level": lambda a: a["state"].__setitem__(0, a["state"][0] + 9),
    "length": lambda a: a["blocks"].view(np.float32).__setitem__((0, START), np.nan),
    "dtype": lambda a: a.__setitem__("upper", a["upper"].astype(np.int64)),
    "fewer": lambda a: a.__setitem__("residuals", a["residuals"][:-1]),
    "missing": lambda a: a.pop("levels"),
    "width": lambda a: a.__setitem__("residuals", a["residuals"][:, :3]),
}


def save_changed(kind: Any, change: Change, folder: Path, form: Any = dict) -> None:
    """Write a snapshot whose arrays, in some form of them, have changed since."""
    index = kind(4)
    index.add(np.arange(400), normal(400, 4))
    index.save(folder)
    snapshot = read_snapshot(folder, kind=kind.kind)
    arrays = form({name: np.array(array) for name, array in snapshot.arrays.items()})
    change(arrays)
    write_snapshot(folder, kind=kind.kind, params=snapshot.params, arrays=arrays)


@pytest.mark.parametrize("what", BROKEN)
def test_numbers_that_lead_nowhere(what: str, tmp_path: Path) -> None:
    save_changed(HNSW, BROKEN[what], tmp_path / "it")
    with pytest.raises(DamagedSnapshotError):
        HNSW.load(tmp_path / "it")


def as_before(arrays: Mapping[str, np.ndarray], dim: int, M: int) -> dict[str, np.ndarray]:
    """The arrays of a snapshot as they were before rows, twins and first came into the blocks."""
    blocks = arrays["blocks"]
    new, half = blocks.view(np.int32), 4 * column(dim)
    start = column(dim) + ROW
    lists = new[:, lists_of(dim, M)]
    width = -(-4 * (start + lists.shape[1]) // 64) * 64
    old = np.zeros((len(blocks), width + half), np.uint8)
    old.view(np.int32)[:, :start] = new[:, :start]
    old.view(np.int32)[:, start : start + lists.shape[1]] = lists
    old[:, -half:] = blocks[:, -half:]
    apart = {"rows": ROW, "twins": TWIN, "first": FIRST}
    columns = {name: new[:, column(dim) + which].copy() for name, which in apart.items()}
    return {**arrays, "blocks": old, **columns}


@pytest.mark.parametrize(("dim", "M"), [(20, 16), (300, 5), (130, 4)])
def test_a_snapshot_of_before(dim: int, M: int, tmp_path: Path) -> None:
    vectors = normal(1500, dim)
    index = HNSW(dim, M=M)
    index.add(np.arange(1500), vectors)
    index.add(np.arange(1500, 1600), vectors[:100])  # twins
    index.remove(np.arange(50, 90))
    index.save(tmp_path / "new")
    snapshot = read_snapshot(tmp_path / "new", kind="hnsw")
    arrays = as_before(snapshot.arrays, dim, M)
    write_snapshot(tmp_path / "old", kind="hnsw", params=snapshot.params, arrays=arrays)
    loaded, _ = HNSW.load(tmp_path / "old")
    loaded.save(tmp_path / "again")
    again = read_snapshot(tmp_path / "again", kind="hnsw").arrays
    for name, array in snapshot.arrays.items():
        np.testing.assert_array_equal(again[name], array)
    new, _ = HNSW.load(tmp_path / "new")
    asked = normal(30, dim, 1)
    for one, other in zip(new.search(asked, 10), loaded.search(asked, 10), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.__setitem__("rows", a["rows"][:-1]),
        lambda a: a.__setitem__("first", a["first"].astype(np.int64)),
        lambda a: a.__setitem__("blocks", a["blocks"][:, :-64]),
        lambda a: a.__setitem__("blocks", a["blocks"][0]),
        lambda a: a.__setitem__("upper", a["upper"][:, :-1]),
        lambda a: a.__setitem__("upper", a["upper"][:, :0]),
        lambda a: a["twins"].__setitem__(0, 10**6),
        lambda a: a.pop("twins"),
    ],
)
def test_a_damaged_snapshot_of_before(change: Change, tmp_path: Path) -> None:
    save_changed(HNSW, change, tmp_path / "it", lambda arrays: as_before(arrays, 4, 16))
    with pytest.raises(DamagedSnapshotError):
        HNSW.load(tmp_path / "it")


@pytest.mark.parametrize(
    "params",
    [{"M": 8}, {"M": "16"}, {"dim": 500}, {"dim": -1}, {"metric": "?"}, {"ef_search": 0}, {"x": 1}],
)
def test_settings_that_can_not_be(params: dict[str, Any], tmp_path: Path) -> None:
    index = HNSW(4)
    index.add(np.arange(400), normal(400, 4))
    index.save(tmp_path / "it")
    snapshot = read_snapshot(tmp_path / "it", kind="hnsw")
    write_snapshot(
        tmp_path / "it", kind="hnsw", params={**snapshot.params, **params}, arrays=snapshot.arrays
    )
    with pytest.raises(DamagedSnapshotError):
        HNSW.load(tmp_path / "it")


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.__setitem__("rows", a["rows"][:-1]),
        lambda a: a["rows"].__setitem__(0, a["rows"][1]),
        lambda a: a["rows"].__setitem__(0, -1),
        lambda a: a.__setitem__("vectors", a["vectors"].astype(np.float64)),
        lambda a: a.pop("rows"),
    ],
)
def test_a_flat_snapshot_that_does_not_fit(change: Change, tmp_path: Path) -> None:
    save_changed(Flat, change, tmp_path / "it")
    with pytest.raises(DamagedSnapshotError):
        Flat.load(tmp_path / "it")


@pytest.mark.parametrize("copied", [True, False])
def test_blocks_are_copied_from_the_file_or_stay_in_it(copied, monkeypatch, tmp_path) -> None:
    """Up to a size they move to huge pages; the answers and the files are the same either way."""
    index = HNSW(20)
    index.add(np.arange(2000), normal(2000, 20))
    index.save(tmp_path / "it")
    before = {file.name: file.read_bytes() for file in (tmp_path / "it").iterdir()}
    if not copied:
        monkeypatch.setattr(files, "_COPIED", 0)
    loaded, _ = HNSW.load(tmp_path / "it")
    graph = loaded._store.view.graph
    file_of = [isinstance(array, np.memmap) for array in (graph.blocks, graph.residuals)]
    assert file_of == [not copied, True]
    asked = normal(40, 20, 1)
    for one, other in zip(index.search(asked, 10), loaded.search(asked, 10), strict=True):
        assert (one == other).all()
    loaded.remove(np.arange(50))
    loaded.add(np.arange(2000, 2100), normal(100, 20, 2))
    assert {file.name: file.read_bytes() for file in (tmp_path / "it").iterdir()} == before
