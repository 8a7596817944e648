"""What holds of the graph itself: the same every time, whole under threads, every CPU the same."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from llamaindex_vecx.addresses import address
from llamaindex_vecx.index import HNSW, Flat
from llamaindex_vecx.index.exact import prepare
from llamaindex_vecx.index.hnsw import store
from llamaindex_vecx.index.hnsw.layout import Graph
from llamaindex_vecx.index.hnsw.store import Store
from llamaindex_vecx.index.simd import (
    dot4_avx2,
    dot4_portable,
    dot4_vnni,
    dot_avx2,
    dot_portable,
    dot_vnni,
    exact_dot,
    exact_squares,
    insert_key,
)
from llamaindex_vecx.jit import cpu_has, kernel
from llamaindex_vecx.metrics import Metric, distance, similarity

from .helpers import METRICS, clustered, normal, recall


def arrays(index: HNSW) -> dict[str, np.ndarray]:
    view = index._store.view
    return {
        name: array if name in ("upper", "state") else array[: view.size]
        for name, array in view.graph._asdict().items()
    }


def same_graph(one: HNSW, other: HNSW) -> bool:
    """Equal but for unused upper lists and the counters."""
    mine, theirs = arrays(one), arrays(other)
    used = one._store.lists
    return one._store.lists == other._store.lists and all(
        np.array_equal(mine[name][:used], theirs[name][:used])
        if name == "upper"
        else mine["state"][0] == theirs["state"][0]
        if name == "state"
        else np.array_equal(mine[name], theirs[name])
        for name in mine
    )


def test_same_seed_same_graph_however_it_was_batched() -> None:
    base = clustered(3000, 20, 10, 0.4)
    one, other, third = HNSW(20, seed=3), HNSW(20, seed=3), HNSW(20, seed=4)
    one.add(np.arange(3000), base)
    third.add(np.arange(3000), base)
    for start in range(0, 3000, 700):
        other.add(np.arange(start, min(start + 700, 3000)), base[start : start + 700])
    assert same_graph(one, other)
    assert not same_graph(one, third)


def test_a_build_in_threads_is_as_good() -> None:
    base = clustered(6000, 24, 20, 0.4)
    flat, one, many = Flat(24), HNSW(24), HNSW(24)
    flat.add(np.arange(6000), base)
    one.add(np.arange(6000), base)
    many.add(np.arange(6000), base, threads=4)
    asked = clustered(200, 24, 20, 0.4)
    truth, _ = flat.search(asked, 10)
    alone = recall(one.search(asked, 10)[0], truth)
    assert recall(many.search(asked, 10)[0], truth) >= alone - 0.01
    rows, _ = many.search(asked, 10)
    threaded, _ = many.search(asked, 10, threads=4)
    assert (rows == threaded).all()


def test_searches_while_one_thread_adds_and_removes() -> None:
    base = clustered(9000, 24, 20, 0.4)
    graph = HNSW(24, M=8, ef_construction=60)
    graph.add(np.arange(1000), base[:1000])
    stop = threading.Event()
    failures: list[str] = []
    found: list[bool] = []

    def read(seed: int) -> None:
        rng = np.random.default_rng(seed)
        while not stop.is_set():
            i = int(rng.integers(0, 900))
            rows, scores = graph.search(base[i], 5, ef_search=40)
            found.append(rows[0, 0] == i)
            if (rows < 0).any():
                failures.append(f"fewer than k came back: {rows}")
            for row, score in zip(rows[0], scores[0], strict=True):
                a, b = base[row].astype(float), base[i].astype(float)
                true = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
                if abs(true - score) > 1e-5:
                    failures.append(f"row {row} has similarity {true}, not {score}")

    readers = [threading.Thread(target=read, args=(seed,)) for seed in range(3)]
    for reader in readers:
        reader.start()
    for start in range(1000, 9000, 250):
        graph.add(np.arange(start, start + 250), base[start : start + 250])
        graph.remove(np.arange(start, start + 50))
        if start == 5000:
            graph.compact()
    stop.set()
    for reader in readers:
        reader.join()
    assert not failures, failures[:3]
    assert np.mean(found) >= 0.99  # they were there all along
    assert len(graph) == 9000 - 32 * 50


@pytest.mark.parametrize("features", ["1", "avx2"])
def test_kernels_of_other_cpus_build_the_same_graph_and_answer_the_same(
    features: str, tmp_path: Path
) -> None:
    kernel = "dot_avx2" if features == "avx2" and cpu_has("avx2") else "dot_portable"
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, numpy as np\n"
        "from llamaindex_vecx.index import HNSW\n"
        f"from llamaindex_vecx.index.simd import dot, {kernel}\n"
        f"assert dot is {kernel}\n"
        "base = np.load(sys.argv[1] + '/base.npy')\n"
        "index = HNSW(70, 'l2')\n"
        "index.add(np.arange(len(base)), base)\n"
        "index.save(sys.argv[1] + '/index')\n"
        "np.save(sys.argv[1] + '/rows.npy', index.search(base[:50], 10)[0])\n"
    )
    base = normal(800, 70)
    np.save(tmp_path / "base.npy", base)
    environment = {**os.environ, "LLAMAINDEX_VECX_PORTABLE": features}
    subprocess.run([sys.executable, script, tmp_path], check=True, env=environment)
    index = HNSW(70, "l2")
    index.add(np.arange(800), base)
    assert same_graph(index, HNSW.load(tmp_path / "index")[0])
    assert (index.search(base[:50], 10)[0] == np.load(tmp_path / "rows.npy")).all()


def test_an_interrupted_add_leaves_a_whole_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_BATCH", 100)
    base = clustered(1000, 20, 5, 0.4)
    index, flat = HNSW(20), Flat(20)
    index.add(np.arange(200), base[:200])
    link = Store._link
    calls = iter(range(100))

    def interrupted(self: Store, graph: Graph, start: int, stop: int, threads: int) -> None:
        link(self, graph, start, stop, threads)
        if next(calls) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Store, "_link", interrupted)
        with pytest.raises(KeyboardInterrupt):
            index.add(np.arange(200, 1000), base[200:])
    assert len(index) == 400
    assert 399 in index
    assert 400 not in index
    assert index.tombstones == 100
    assert index.search(base, 10, ef_search=100)[0].max() < 400
    index.add(np.arange(400, 1000), base[400:])
    flat.add(np.arange(1000), base)
    found = index.search(base[::7], 10, ef_search=100)[0]
    assert recall(found, flat.search(base[::7], 10)[0]) >= 0.95


@kernel
def portable(codes, query, lower):  # type: ignore[no-untyped-def]
    return dot_portable(address(codes), address(query), query.shape[0] >> 7, lower)


@kernel
def avx2(codes, query, lower):  # type: ignore[no-untyped-def]
    return dot_avx2(address(codes), address(query), query.shape[0] >> 7, lower)


@kernel
def vnni(codes, query, lower):  # type: ignore[no-untyped-def]
    return dot_vnni(address(codes), address(query), query.shape[0] >> 7, lower)


def of_this_cpu(portable: Any, avx2: Any, vnni: Any) -> list[Any]:
    """The kernels that don't end the process here."""
    able = [portable]
    if cpu_has("avx2"):
        able.append(avx2)
    if cpu_has("avx512f", "avx512vnni"):
        able.append(vnni)
    return able


def product(codes: np.ndarray, query: np.ndarray) -> int:
    """What the kernels should give for half a code, in int64."""
    pairs = codes.reshape(-1, 1, 64)
    numbers = np.concatenate([pairs & 15, pairs >> 4], axis=1).reshape(-1)
    return int(numbers.astype(np.int64) @ query.astype(np.int64))


@given(st.data(), st.integers(1, 24))
@settings(max_examples=100, deadline=None)
def test_every_dot_product_is_the_same(data: st.DataObject, chunks: int) -> None:
    codes = data.draw(hnp.arrays(np.uint8, 128 * chunks, fill=st.integers(0, 255)))
    query = data.draw(hnp.arrays(np.int8, 128 * chunks, fill=st.integers(-128, 127)))
    half = 64 * chunks
    upper, lower = product(codes[:half], query), product(codes[half:], query)
    for dot in of_this_cpu(portable, avx2, vnni):
        assert dot(codes, query, 0) == upper
        assert dot(codes, query, half) == 16 * upper + lower


@kernel
def portable4(codes, slots, query, lower, out):  # type: ignore[no-untyped-def]
    stride, chunks = codes.shape[1], query.shape[0] >> 7
    dot4_portable(
        address(codes), stride, address(slots), address(query), chunks, lower, address(out)
    )


@kernel
def avx24(codes, slots, query, lower, out):  # type: ignore[no-untyped-def]
    stride, chunks = codes.shape[1], query.shape[0] >> 7
    dot4_avx2(address(codes), stride, address(slots), address(query), chunks, lower, address(out))


@kernel
def vnni4(codes, slots, query, lower, out):  # type: ignore[no-untyped-def]
    stride, chunks = codes.shape[1], query.shape[0] >> 7
    dot4_vnni(address(codes), stride, address(slots), address(query), chunks, lower, address(out))


@given(st.integers(1, 14), st.integers(0, 2**32), st.sampled_from([1, 255]), st.booleans())
@settings(max_examples=50, deadline=None)
def test_four_rows_at_once_are_the_same(chunks: int, seed: int, largest: int, fine: bool) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, largest, (9, 128 * chunks), np.uint8, endpoint=True)
    query = rng.integers(-128, 127, 128 * chunks, np.int8, endpoint=True)
    slots = rng.integers(0, 9, 4, np.int32)
    lower = 64 * chunks if fine else 0
    truth = [portable(codes[slot], query, lower) for slot in slots]
    for dot4 in of_this_cpu(portable4, avx24, vnni4):
        out = np.zeros(4, np.int32)
        dot4(codes, slots, query, lower, out)
        assert out.tolist() == truth


@kernel
def measured(codes, rest, step, query, squared):  # type: ignore[no-untyped-def]
    half = codes.shape[0] >> 1
    upper, lower = address(codes), address(codes) + half
    if squared:
        return exact_squares(upper, lower, address(rest), half >> 6, step, address(query))
    return exact_dot(upper, lower, address(rest), half >> 6, step, address(query))


@given(st.integers(1, 6), st.integers(0, 2**32))
@settings(max_examples=50, deadline=None)
def test_codes_and_residuals_are_24_bits(chunks: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    number = rng.integers(-(2**23) + 2**15, 2**23 - 2**15, 128 * chunks)
    code = (number + 2**15) >> 16
    rest = (number - (code << 16)).astype(np.int16)
    pairs = (code + 128).astype(np.uint8).reshape(chunks, 2, 64)
    upper = pairs[:, 0] >> 4 | pairs[:, 1] & 240
    lower = pairs[:, 0] & 15 | pairs[:, 1] << 4
    codes, step = np.concatenate([upper.ravel(), lower.ravel()]), np.float32(2.0**-23)
    one = np.zeros(128 * chunks, np.float32)
    for place in rng.integers(0, 128 * chunks, 8):  # one component alone: to the bit
        one[place] = 1.0
        assert measured(codes, rest, step, one, False) == number[place] * step
        one[place] = 0.0
    query = rng.uniform(-1, 1, 128 * chunks).astype(np.float32)
    vector = number * np.float64(step)
    length = np.linalg.norm(vector) * np.linalg.norm(query)
    assert measured(codes, rest, step, query, False) == pytest.approx(
        query @ vector, abs=1e-6 * length
    )
    distance = ((query - vector) ** 2).sum()
    assert measured(codes, rest, step, query, True) == pytest.approx(distance, rel=1e-5)


@kernel
def insert(keys, key):  # type: ignore[no-untyped-def]
    return insert_key(address(keys) + 64, keys.shape[0] - 8, key)


@given(st.lists(st.integers(-(2**62), 2**62), max_size=60), st.integers(1, 5))
@settings(deadline=None)  # the first call compiles
def test_a_key_buffer_is_a_sorted_list(numbers: list[int], steps: int) -> None:
    keys = np.full(8 + 8 * steps, np.iinfo(np.int64).max)
    keys[7] = np.iinfo(np.int64).min
    kept: list[int] = []
    for number in numbers:
        place = insert(keys, number)
        kept = sorted([*kept, number])[: 8 * steps]
        assert keys[8 : 8 + len(kept)].tolist() == kept
        if number in kept and kept.count(number) == 1:
            assert place == kept.index(number)


@kernel
def kernel_metric(metric, query, vectors, out, scores, prepared):  # type: ignore[no-untyped-def]
    prepare(metric, query, prepared)
    for i in range(vectors.shape[0]):
        out[i] = distance(metric, prepared, vectors, i)
        scores[i] = similarity(metric, out[i])


@pytest.mark.parametrize("name", METRICS)
def test_kernels_agree_with_the_metric(name: str) -> None:
    metric = Metric(name)  # type: ignore[arg-type]
    query, vectors = normal(1, 30), metric.prepare(normal(50, 30, 1))
    out, scores = np.empty((2, 50), np.float32)
    prepared = np.empty(30, np.float32)
    kernel_metric(metric.code, query[0], vectors, out, scores, prepared)
    truth = metric.distances(metric.prepare(query), vectors)[0]
    assert prepared == pytest.approx(metric.prepare(query)[0], rel=1e-6)
    assert out == pytest.approx(truth, abs=2e-5)
    assert scores == pytest.approx(metric.similarity(truth), abs=1e-5)
