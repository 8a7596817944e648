"""Studies: measured against what can be computed, resumed after a kill, recommended from, applied."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llamaindex_vecx import FaissVectorStore, HNSWVectorStore
from llamaindex_vecx.collection import Collection, Record
from llamaindex_vecx.errors import InvalidInputError, StorageError
from llamaindex_vecx.evaluation.study import (
    PRESETS,
    Build,
    Plan,
    StudyRecord,
    StudyVectors,
    apply_row,
    classic,
    pareto,
    recommend,
    run_study,
    sweep,
)
from llamaindex_vecx.evaluation.study.record import FILE
from llamaindex_vecx.evaluation.study.running import recalls
from llamaindex_vecx.index import Flat
from tests.cli.conftest import Vecx, environment

DIM = 16


@pytest.fixture(scope="module")
def array() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((900, DIM)).astype(np.float32)


@pytest.fixture(scope="module")
def vectors(array: np.ndarray) -> StudyVectors:
    return StudyVectors.of("random", array, hold_out=50)


@pytest.fixture
def file(array: np.ndarray, tmp_path: Path) -> Path:
    np.save(tmp_path / "v.npy", array)
    return tmp_path / "v.npy"


def collection(path: Path, array: np.ndarray, **settings: Any) -> Path:
    with Collection.open(path, **settings) as opened:
        opened.add([Record(f"r{i}", vector, "text", {}, "{}") for i, vector in enumerate(array)])
    return path


# -- vectors -------------------------------------------------------------------------------------


def test_held_out_queries_are_not_in_the_base(vectors: StudyVectors, array: np.ndarray) -> None:
    assert vectors.base.shape == (850, DIM)
    assert vectors.queries.shape == (50, DIM)
    together = {row.tobytes() for row in np.concatenate([vectors.base, vectors.queries])}
    assert together == {row.tobytes() for row in array}
    assert not {row.tobytes() for row in vectors.base} & {row.tobytes() for row in vectors.queries}


def test_the_same_seed_draws_the_same(array: np.ndarray) -> None:
    prints = [StudyVectors.of("x", array, hold_out=50, seed=s).fingerprint() for s in (0, 0, 1)]
    assert prints[0] == prints[1] != prints[2]
    assert StudyVectors.of("x", array, "l2", hold_out=50).fingerprint() != prints[0]


def test_a_collection_and_a_file_are_the_same_vectors(
    tmp_path: Path, array: np.ndarray, file: Path
) -> None:
    path = collection(tmp_path / "kb", array, metric="l2")
    with Collection.open(path, read_only=True) as opened:
        ours = StudyVectors.from_collection(opened, hold_out=50)
    assert ours.fingerprint() == StudyVectors.from_file(file, "l2", hold_out=50).fingerprint()
    assert ours.title == "850 × 16, l2, 50 queries"


def test_what_is_no_vectors(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_text("no array")
    np.save(tmp_path / "b.npy", np.arange(5))
    np.save(tmp_path / "c.npy", np.ones((20, 3)))
    for name, message in (
        ("a.npy", "can't be read as vectors"), ("b.npy", "holds int64"), ("c.npy", r"shape \(20, 3\)"),
        ("absent.npy", "can't be read"),
    ):  # fmt: skip
        with pytest.raises(InvalidInputError, match=message):
            StudyVectors.from_file(tmp_path / name)


def test_queries_of_another_kind(vecx: Vecx, tmp_path: Path, array: np.ndarray, file: Path) -> None:
    np.save(tmp_path / "q.npy", array[:7] + 1)
    kb = collection(tmp_path / "kb", array)
    for given in ((file,), ("--from", kb)):
        to = tmp_path / f"s{len(given)}"
        line = (
            "--to",
            to,
            "--queries",
            tmp_path / "q.npy",
            "--M",
            "4",
            "--ef-search",
            "30",
            "--target",
            "0.1",
        )
        vecx("study", *given, *line, "--ef-construction", "10")
        assert StudyRecord.load(to).title == "900 × 16, cosine, 7 queries"


# -- plans ---------------------------------------------------------------------------------------


def test_the_classic_lesson() -> None:
    plan = classic()
    assert plan.k == 1
    keys = plan.keys()
    for M in (8, 16, 32, 64):
        assert f"hnsw M={M} ef_construction=160 ef_search=64" in keys
        assert f"faiss HNSW{M} efConstruction=160 efSearch=64" in keys
    for ef in (40, 80, 160, 320):
        assert f"hnsw M=32 ef_construction={ef} ef_search=64" in keys
    for ef in (16, 32, 64, 128):
        assert f"faiss HNSW32 efConstruction=160 efSearch={ef}" in keys
    assert len(keys) == len(set(keys)) == 7 * 4 * 2
    assert set(PRESETS) == {"classic", "quick", "sweep"}


def test_sweeps() -> None:
    plan = sweep(
        M=[4, 8], ef_construction=[10], ef_search=[5], vary={"seed": [1, 2]},
        faiss=["HNSW{M},SQ8", "IVF4,Flat", "PQ4x4"], nprobe=[1, 2, 100],
    )  # fmt: skip
    assert plan.keys() == [
        "hnsw M=4 ef_construction=10 seed=1 ef_search=5", "hnsw M=4 ef_construction=10 seed=2 ef_search=5",
        "faiss HNSW4,SQ8 efConstruction=10 efSearch=5",
        "hnsw M=8 ef_construction=10 seed=1 ef_search=5", "hnsw M=8 ef_construction=10 seed=2 ef_search=5",
        "faiss HNSW8,SQ8 efConstruction=10 efSearch=5",
        "faiss IVF4,Flat nprobe=1", "faiss IVF4,Flat nprobe=2", "faiss IVF4,Flat nprobe=4", "faiss PQ4x4",
    ]  # fmt: skip
    with pytest.raises(InvalidInputError, match="M is empty"):
        sweep(M=[])
    with pytest.raises(InvalidInputError, match="ef_search=0"):
        sweep(ef_search=[0])


# -- measuring -----------------------------------------------------------------------------------


def test_recall_is_of_nearness_not_of_numbers() -> None:
    base = np.eye(4, dtype=np.float32)[[0, 0, 1, 2]]  # rows 0 and 1 are equal
    study = StudyVectors("x", base, np.array([[1, 0.1, 0, 0]], np.float32), "cosine")
    truth = np.array([[0, 1]])
    assert recalls(study, np.array([[1, 0]]), truth) == {"recall@1": 1.0, "recall@2": 1.0}
    assert recalls(study, np.array([[2, 0]]), truth) == {"recall@1": 0.0, "recall@2": 0.5}
    assert recalls(study, np.array([[0, -1]]), truth) == {"recall@1": 1.0, "recall@2": 0.5}
    assert recalls(study, np.array([[0, 0]]), truth) == {"recall@1": 1.0, "recall@2": 0.5}


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
def test_every_engine_is_measured(array: np.ndarray, tmp_path: Path, metric: str) -> None:
    pytest.importorskip("faiss")
    vectors = StudyVectors.of("x", array, metric, hold_out=40)
    plan = sweep(
        M=[8],
        ef_construction=[60],
        ef_search=[12, 200],
        faiss=["HNSW{M}", "Flat", "IVF4,SQ8"],
        nprobe=[1, 4],
    )
    calls: list[tuple[int, int, str]] = []
    record = run_study(vectors, plan, tmp_path, rounds=1, progress=lambda *call: calls.append(call))
    assert record.complete
    assert not record.remarks
    rows = {key: record.rows[key] for key in plan.keys()}  # noqa: SIM118 - a method, no dict
    flat = rows["faiss Flat"]
    assert (flat["recall@1"], flat["recall@10"]) == (1.0, 1.0)
    assert flat["mb"] == pytest.approx(860 * DIM * 4 / 1e6, rel=0.01)
    high, low = (rows[f"hnsw M=8 ef_construction=60 ef_search={ef}"] for ef in (200, 12))
    assert high["recall@10"] > 0.97 > low["recall@10"] > 0.3
    assert high["ms"] > 0
    assert high["index_s"] == low["index_s"] > 0
    assert high["mb"] > flat["mb"]
    assert rows["faiss IVF4,SQ8 nprobe=4"]["recall@10"] > 0.9
    assert (
        rows["faiss IVF4,SQ8 nprobe=1"]["recall@10"] < rows["faiss IVF4,SQ8 nprobe=4"]["recall@10"]
    )
    assert calls[0][:2] == (0, 7)
    assert calls[-1] == (7, 7, "done")


def test_recall_is_that_of_the_index_itself(vectors: StudyVectors, tmp_path: Path) -> None:
    from llamaindex_vecx.index import HNSW

    plan = sweep(M=[4], ef_construction=[20], ef_search=[10])
    (row,) = run_study(vectors, plan, tmp_path, rounds=1).table()
    exact, graph = Flat(DIM), HNSW(DIM, M=4, ef_construction=20)
    for index in (exact, graph):
        index.add(np.arange(len(vectors.base)), vectors.base)
    truth = exact.search(vectors.queries, 10)[0]
    found = graph.search(vectors.queries, 10, ef_search=10)[0]
    hits = [len(set(a) & set(b)) for a, b in zip(found.tolist(), truth.tolist(), strict=True)]
    assert row["recall@10"] == pytest.approx(sum(hits) / 500)


def test_what_fails_is_marked_and_the_rest_is_kept(vectors: StudyVectors, tmp_path: Path) -> None:
    pytest.importorskip("faiss")
    bad = Build("hnsw", {"M": 1000, "ef_construction": 10}, "ef_search", (16,))
    few = Build("faiss", {"factory": "IVF9999,Flat"}, "nprobe", (1,))
    good = Build("hnsw", {"M": 4, "ef_construction": 10}, "ef_search", (16,))
    record = run_study(vectors, Plan("x", ((bad, good), (few,))), tmp_path, rounds=1)
    assert not record.complete
    assert list(record.rows) == [good.key_of({"ef_search": 16})]
    assert "M must lie between 2 and 512" in record.failed[bad.key_of({"ef_search": 16})]
    assert "9999" in record.failed[few.key_of({"nprobe": 1})]
    assert len(record.remarks) == 2
    assert StudyRecord.load(tmp_path) == record


# -- the file ------------------------------------------------------------------------------------

PLAN = sweep(M=[4, 8], ef_construction=[20], ef_search=[8, 16])


def test_it_goes_on_where_it_was(vectors: StudyVectors, tmp_path: Path) -> None:
    record = run_study(
        vectors, sweep(M=[4], ef_construction=[20], ef_search=[8]), tmp_path, rounds=1
    )
    first = dict(record.rows)
    again = run_study(vectors, PLAN, tmp_path, rounds=1)
    assert again.complete
    assert len(again.rows) == 4
    for key, row in first.items():
        assert again.rows[key] == row  # not measured again
    assert {row["index_s"] for row in again.rows.values() if "M=4" in row["index"]} == {
        next(iter(first.values()))["index_s"]
    }


def test_a_study_of_other_vectors(vectors: StudyVectors, array: np.ndarray, tmp_path: Path) -> None:
    run_study(vectors, PLAN, tmp_path, rounds=1)
    other = StudyVectors.of("other", array[:500], hold_out=50)
    with pytest.raises(InvalidInputError, match="other vectors: 850 × 16.*these are 450 × 16"):
        run_study(other, PLAN, tmp_path)
    with pytest.raises(InvalidInputError, match="study with k=10, and k=1"):
        run_study(vectors, classic(), tmp_path)
    assert len(StudyRecord.load(tmp_path).rows) == 4


@pytest.mark.parametrize("content", ["", "{}", '{"format": 9}', '{"format": 1, "rows": {}}'])
def test_damaged_files(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    with pytest.raises(InvalidInputError, match=r"study\.json is"):
        StudyRecord.load(tmp_path)


KILLED = """
import os, signal, sys
from llamaindex_vecx.cli import main
writes, limit = [], int(sys.argv.pop(1))
replace = os.replace
def killed(aside, file):
    if str(file).endswith("study.json"):
        writes.append(file)
        if len(writes) == limit:  # the new file lies beside the old one, whole
            os.kill(os.getpid(), signal.SIGKILL)
    replace(aside, file)
os.replace = killed
main()
"""


def test_a_folder_that_can_not_be_written(vectors: StudyVectors, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"study\.json can't be written"):
        run_study(vectors, PLAN, tmp_path / "file")


def test_killed_half_way_it_resumes(file: Path, tmp_path: Path, vecx: Vecx) -> None:
    """SIGKILL while a result is written down; the next run keeps what was, and measures the rest."""
    to = tmp_path / "study"
    line = (
        "study",
        file,
        "--to",
        to,
        "--M",
        "4,5",
        "--ef-construction",
        "20",
        "--ef-search",
        "8,30,40",
    )
    child = [sys.executable, "-c", KILLED, "6", *map(str, line)]
    done = subprocess.run(child, env=environment(), capture_output=True, timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stderr
    before = StudyRecord.load(to)
    assert len(before.rows) == 4  # the first write holds the plan, the sixth was cut short
    assert not before.complete
    assert "2 of 6 configurations are not measured yet" in before.remarks[0]
    vecx(*line, "--target", "0.1")
    after = StudyRecord.load(to)
    assert after.complete
    assert len(after.rows) == 6
    for key, row in before.rows.items():
        assert after.rows[key] == row


# -- choosing ------------------------------------------------------------------------------------


def row(
    name: str,
    ms: float,
    recall: float,
    mb: float = 10.0,
    index_s: float = 1.0,
    engine: str = "hnsw",
) -> Any:
    return {
        "engine": engine, "index": name, "build": {}, "search": {}, "index_s": index_s, "mb": mb, "ms": ms,
        "recall@1": recall, "recall@10": recall - 0.01,
    }  # fmt: skip


ROWS = [
    row("fast", 0.01, 0.80), row("good", 0.05, 0.97, mb=30), row("small", 0.20, 0.97, mb=12),
    row("slow", 0.90, 0.999), row("worse", 0.06, 0.90), row("theirs", 0.02, 0.97, engine="faiss"),
]  # fmt: skip


def test_the_cheapest() -> None:
    def name(*arguments: Any, **more: Any) -> str:
        return str(recommend(ROWS, *arguments, **more)["index"])

    assert name(0.95) == "theirs"
    assert name(0.95, engine="hnsw") == "good"
    assert name(0.95, engine="hnsw", budget_ms=1.0) == "slow"  # of those within it, the smallest
    assert name(0.95, engine="hnsw", budget_ms=0.5) == "small"
    assert name(0.965, recall="recall@1", engine="hnsw") == "good"
    assert [r["index"] for r in pareto(ROWS, "recall@1")] == ["fast", "theirs", "slow"]


def test_what_nothing_reaches() -> None:
    with pytest.raises(
        InvalidInputError,
        match="no setting of 6 reaches recall@10 0.995.* 0.9890, by slow",
    ):
        recommend(ROWS, 0.995)
    with pytest.raises(
        InvalidInputError, match="within 0.01 ms: the fastest .* 0.0200 ms, by theirs"
    ):
        recommend(ROWS, 0.95, budget_ms=0.01)
    with pytest.raises(InvalidInputError, match="recall='recall@5' was not measured"):
        recommend(ROWS, 0.9, recall="recall@5")
    for bad in (0, 1.5):
        with pytest.raises(InvalidInputError, match="target="):
            recommend(ROWS, bad)
    with pytest.raises(InvalidInputError, match="budget_ms=0"):
        recommend(ROWS, 0.9, budget_ms=0)
    with pytest.raises(InvalidInputError, match="no measured configuration"):
        recommend([], 0.9)


# -- applying, and the command -------------------------------------------------------------------


def test_the_command_gives_the_collection_its_settings(
    vecx: Vecx, array: np.ndarray, tmp_path: Path
) -> None:
    kb, to = collection(tmp_path / "kb", array, index_params={"M": 6}), tmp_path / "study"
    line = (
        "study", "--from", kb, "--to", to, "--M", "8,24", "--ef-construction", "50", "--ef-search", "10,90",
        "--faiss", "HNSW{M}", "--target", "0.97",
    )  # fmt: skip
    output = vecx(*line).output
    assert "Recommended for recall 0.97" in output
    assert json.loads(vecx("info", kb, "--json").output)["index_params"]["M"] == 6
    output = vecx(*line, "--apply").output
    assert "has now M=" in output
    row = recommend(StudyRecord.load(to).table(), 0.97, engine="hnsw")
    wanted = {**row["build"], **row["search"]}
    with HNSWVectorStore(kb) as store:
        assert {name: getattr(store, name) for name in wanted} == wanted
        store.client.search(array[0], 3)
        index = store.client.index
        assert index is not None
        assert {name: index.params[name] for name in wanted} == wanted  # type: ignore[attr-defined]
        # the same answers as an index with these settings gives, and no longer those of the old one
        found = store.client.search(array[7], 5)[1]
    exact = np.sort(array @ array[7] / np.linalg.norm(array, axis=1) / np.linalg.norm(array[7]))[
        ::-1
    ]
    assert found == pytest.approx(exact[:5], abs=1e-5)
    assert "has these settings already" in vecx(*line, "--apply").output
    for name in ("tables.md", "pareto.png", "pareto.svg", "study.html", FILE):
        assert (to / name).stat().st_size > 500


def test_only_what_was_read_at_search_changes_without_a_rebuild(array: np.ndarray) -> None:
    with Collection.open(None) as opened:
        opened.add([Record(f"r{i}", vector, "text", {}, "{}") for i, vector in enumerate(array)])
        opened.search(array[0], 1)
        index = opened.index
        chosen = {
            **row("x", 1, 1),
            "build": {"M": 16, "ef_construction": 200},
            "search": {"ef_search": 33},
        }
        assert apply_row(opened, chosen) == {"ef_search": 33}
        assert opened.index is index
        with pytest.raises(
            InvalidInputError, match="of 'faiss', and the collection's index is 'hnsw'"
        ):
            apply_row(opened, row("x", 1, 1, engine="faiss"))


def test_a_faiss_collection(vecx: Vecx, array: np.ndarray, tmp_path: Path) -> None:
    pytest.importorskip("faiss")
    kb = collection(tmp_path / "kb", array, index="faiss", index_params={"factory": "HNSW8"})
    output = vecx(
        "study", "--from", kb, "--to", tmp_path / "s",
        "--M", "4", "--ef-construction", "20", "--ef-search", "40",
        "--faiss", "HNSW16", "--target", "0.5", "--apply",
    ).output  # fmt: skip
    assert "has now factory=HNSW16, efSearch=40" in output
    with FaissVectorStore(kb) as store:
        assert (store.factory, store.efSearch) == ("HNSW16", 40)
        assert store.client.search(array[5], 1)[1] == pytest.approx([1.0], abs=1e-5)


def test_a_target_that_nothing_reaches_keeps_the_study(
    vecx: Vecx, file: Path, tmp_path: Path
) -> None:
    to = tmp_path / "s"
    output = vecx(
        "study", file, "--to", to, "--M", "2", "--ef-construction", "4", "--ef-search", "8",
        "--target", "1.0", code=1,
    ).output  # fmt: skip
    assert "no setting of 1 reaches recall@10 1: the best is 0." in output
    assert StudyRecord.load(to).complete


def test_json(vecx: Vecx, file: Path, tmp_path: Path) -> None:
    output = vecx(
        "study", file, "--to", tmp_path / "s", "--M", "4", "--ef-construction", "10", "--ef-search", "8,20",
        "--vary", "seed=1,2", "--target", "0.2", "--json",
    ).stdout  # fmt: skip
    value = json.loads(output)
    assert value["complete"]
    assert len(value["rows"]) == 4
    assert value["recommended"]["build"]["seed"] in (1, 2)
    assert value["applied"] is None


@pytest.mark.slow  # wandb takes seconds to begin; the same code logs in tests/cli/test_eval.py
def test_the_wandb_run(
    vecx: Vecx, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb", reason="pip install 'llamaindex-vecx[wandb]'")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.chdir(tmp_path)
    small = ("--M", "4", "--ef-construction", "10", "--ef-search", "8,20", "--target", "0.2")
    vecx("study", file, *small, "--wandb", "vecx")
    (run,) = (tmp_path / "wandb").glob("offline-run-*")
    (table,) = [json.loads(path.read_text("utf-8")) for path in run.rglob("*.table.json")]
    assert len(table["data"]) == 2
    assert list(run.rglob("*.png"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give either a .npy file"),
        (("v.npy", "--apply"), "--apply needs --from"),
        (("v.npy", "--preset", "best"), "none of classic, quick, sweep"),
        (("v.npy", "--M", "8;16"), "--M '8;16' must be whole numbers"),
        (("v.npy", "--vary", "seed"), "--vary 'seed' must be NAME=VALUE"),
        (("v.npy", "--queries", "absent.npy"), "absent.npy can't be read"),
        (("v.npy", "--metric", "dot"), "dot"),
        (("--from", "nowhere"), "there is no collection in nowhere"),
    ],
)
def test_command_lines_that_are_wrong(
    vecx: Vecx,
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(file.parent)
    assert message in vecx("study", *arguments, code=1).output
