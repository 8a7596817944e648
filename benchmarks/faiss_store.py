"""What does a whole store over FAISS cost? Beside raw faiss, LlamaIndex's FAISS store and our HNSW store.

One thread, CPU time (of the process, its background too), queries of all engines in turn, medians.
LlamaIndex's store keeps no nodes, is not durable and refuses filters; with "persist" it is written whole
after every batch of 2,048, which is what it takes to survive a kill as ours does after every add.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores.types import MetadataFilter, MetadataFilters, VectorStoreQuery

import harness
from llamaindex_vecx import FaissVectorStore, HNSWVectorStore
from llamaindex_vecx.index import Flat

try:
    from llama_index.vector_stores.faiss import FaissVectorStore as TheirStore
except ImportError:  # in its own environment: make peers
    TheirStore = None

K, BATCH, NPROBE, EF = 10, 2048, 32, 64
CAREFUL = "HNSW32, efConstruction=200"
"""As every other benchmark here builds its graphs; FAISS' own default is 40."""
SHARES = (0.5, 0.1, 0.01, 0.001)
Ask = Callable[[int, float | None], list[int]]


def load(quick: bool) -> tuple[str, np.ndarray, np.ndarray]:
    n, asked = (11_000, 60) if quick else (30_000, 200)
    file = harness.DATA / "ann" / "debian-minilm-384.f16.npy"
    if file.exists():
        vectors = np.load(file, mmap_mode="r")
        base, queries = vectors[1000 : 1000 + n], vectors[:asked]
        return f"debian-minilm {n:,} × 384", base.astype(np.float32), queries.astype(np.float32)
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((200, 384))
    points = centres[rng.integers(0, 200, n + asked)] + 0.7 * rng.standard_normal((n + asked, 384))
    data = (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)
    return f"clustered {n:,} × 384", data[asked:], data[:asked]


class Corpus:
    def __init__(self, base: np.ndarray, queries: np.ndarray) -> None:
        self.base, self.queries = base, queries
        self.rank = np.random.default_rng(1).permutation(len(base))
        self.flat = Flat(base.shape[1], "cosine")
        self.flat.add(np.arange(len(base)), base)
        self.truth = {share: self._exact(share) for share in (None, *SHARES)}
        self.nodes = [
            TextNode(id_=str(i), text=f"passage {i}", metadata={"rank": int(r)}, embedding=v)
            for i, (r, v) in enumerate(zip(self.rank, base.tolist(), strict=True))
        ]

    def allowed(self, share: float) -> np.ndarray:
        return self.rank < share * len(self.base)

    def _exact(self, share: float | None) -> np.ndarray:
        mask = None if share is None else self.allowed(share)
        return self.flat.search(self.queries, K, allowed=mask)[0]

    def query(self, i: int, share: float | None) -> VectorStoreQuery:
        filters = None
        if share is not None:
            limit = MetadataFilter(key="rank", value=share * len(self.base), operator="<")
            filters = MetadataFilters(filters=[limit])
        return VectorStoreQuery(
            query_embedding=self.queries[i].tolist(), similarity_top_k=K, filters=filters
        )


def cpu(work: Callable[[], Any]) -> tuple[float, float]:
    wall, spent = time.perf_counter(), time.process_time()
    work()
    return time.process_time() - spent, time.perf_counter() - wall


def made(factory: str) -> Any:
    index = faiss.index_factory(384, factory.split(", ")[0], faiss.METRIC_INNER_PRODUCT)
    if factory == CAREFUL:
        index.hnsw.efConstruction = 200
    return index


def raw(corpus: Corpus, factory: str) -> tuple[dict[str, Any], Ask]:
    index = made(factory)

    def fill() -> None:
        index.train(corpus.base)
        index.add(corpus.base)

    spent, wall = cpu(fill)
    graph = factory.startswith("HNSW")
    selectors = {}
    for share in SHARES:
        bits = np.packbits(corpus.allowed(share), bitorder="little")
        selectors[share] = faiss.IDSelectorBitmap(bits)

    def ask(i: int, share: float | None) -> list[int]:
        given: dict[str, Any] = {} if share is None else {"sel": selectors[share]}
        if graph:
            params = faiss.SearchParametersHNSW(efSearch=EF, **given)
        elif factory.startswith("IVF"):
            params = faiss.SearchParametersIVF(nprobe=NPROBE, **given)
        else:
            params = faiss.SearchParameters(**given)
        return index.search(corpus.queries[i : i + 1], K, params=params)[1][0].tolist()

    return row("faiss itself", factory, spent, wall, spent, corpus), ask


def theirs(corpus: Corpus, factory: str, persist: bool, folder: Path) -> tuple[dict[str, Any], Ask]:
    index = made(factory)
    index.train(corpus.base)  # theirs wants a trained index; not counted
    if factory.startswith("HNSW"):
        index.hnsw.efSearch = EF
    elif factory.startswith("IVF"):
        index.nprobe = NPROBE
    store = TheirStore(faiss_index=index)

    def fill() -> None:
        for at in range(0, len(corpus.nodes), BATCH):
            store.add(corpus.nodes[at : at + BATCH])
            if persist:
                store.persist(str(folder / "theirs" / "store.json"))

    spent, wall = cpu(fill)
    name = "LlamaIndex's, persist" if persist else "LlamaIndex's"

    def ask(i: int, share: float | None) -> list[int]:
        return [int(id_) for id_ in store.query(corpus.query(i, share)).ids or []]

    return row(name, factory, spent, wall, spent, corpus), ask


def ours(store: Any, name: str, factory: str, corpus: Corpus) -> tuple[dict[str, Any], Ask]:
    def fill() -> None:
        for at in range(0, len(corpus.nodes), BATCH):
            store.add(corpus.nodes[at : at + BATCH])

    before = time.process_time()
    _, wall = cpu(fill)
    store.client.wait()
    settled = time.process_time() - before

    def ask(i: int, share: float | None) -> list[int]:
        return [int(id_) for id_ in store.query(corpus.query(i, share)).ids or []]

    return row(name, factory, None, wall, settled, corpus), ask


def row(
    name: str, factory: str, spent: float | None, wall: float, settled: float, corpus: Corpus
) -> dict[str, Any]:
    return {
        "store": name,
        "index": factory,
        "add: nodes/s by the clock": len(corpus.base) / wall,
        "CPU s until indexed": settled,
    }


def recall(found: list[list[int]], truth: np.ndarray) -> float:
    hits = sum(len(set(a) & set(b.tolist()) - {-1}) for a, b in zip(found, truth, strict=True))
    return hits / max(1, int((truth >= 0).sum()))


def measure(
    engines: list[tuple[dict[str, Any], Ask]], corpus: Corpus, share: float | None
) -> list[tuple[float, float, int]]:
    """Median ms, recall and fewest results of each, one query of each engine at a time."""
    spent: list[list[float]] = [[] for _ in engines]
    found: list[list[list[int]]] = [[] for _ in engines]
    for i in range(len(corpus.queries)):
        for at, (_, ask) in enumerate(engines):
            start = time.process_time()
            found[at].append(ask(i, share))
            spent[at].append(time.process_time() - start)
    return [
        (
            1000 * statistics.median(spent[at]),
            recall(found[at], corpus.truth[share]),
            min(sum(id_ >= 0 for id_ in ids) for ids in found[at]),
        )
        for at in range(len(engines))
    ]


def main() -> None:
    arguments = harness.arguments(__doc__ or "")
    faiss.omp_set_num_threads(1)
    name, base, queries = load(arguments.quick)
    corpus = Corpus(base, queries)
    engines: list[tuple[dict[str, Any], Ask]] = []
    opened = []
    with tempfile.TemporaryDirectory() as folder:
        settings: dict[str, dict[str, int]] = {
            "Flat": {},
            "HNSW32": {"efSearch": EF},
            CAREFUL: {"efSearch": EF, "efConstruction": 200},
            "IVF256,Flat": {"nprobe": NPROBE},
        }
        for factory, given in settings.items():
            engines.append(raw(corpus, factory))
            if TheirStore is not None:
                engines.append(theirs(corpus, factory, False, Path(folder)))
                if factory == "HNSW32":
                    engines.append(theirs(corpus, factory, True, Path(folder)))
            plain_name = factory.split(", ")[0]
            opened.append(FaissVectorStore(Path(folder) / factory, factory=plain_name, **given))
            engines.append(ours(opened[-1], "FaissVectorStore", factory, corpus))
        opened.append(HNSWVectorStore(Path(folder) / "hnsw"))
        engines.append(ours(opened[-1], "HNSWVectorStore", "M=16", corpus))
        for (entry, _), (ms, found, _) in zip(engines, measure(engines, corpus, None), strict=True):
            entry.update({"p50 ms": ms, "recall@10": found})
        for entry, _ in engines:
            same = [other for other, _ in engines if other["index"] == entry["index"]]
            entry["ms over faiss"] = entry["p50 ms"] - same[0]["p50 ms"]
        filtered = []
        able = [engine for engine in engines if not engine[0]["store"].startswith("LlamaIndex")]
        for share in SHARES:
            for (entry, _), (ms, found, fewest) in zip(
                able, measure(able, corpus, share), strict=True
            ):
                filtered.append(
                    {
                        "allowed": f"{100 * share:g} %",
                        "store": entry["store"],
                        "index": entry["index"],
                        "p50 ms": ms,
                        "recall@10": found,
                        "fewest results": fewest,
                    }
                )
        for store in opened:
            store.close()
    packages = ["faiss-cpu", "llama-index-vector-stores-faiss"]
    harness.console.print(harness.describe(name, packages))
    plain = [entry for entry, _ in engines]
    harness.table("Adding and asking (k = 10, efSearch = 64, nprobe = 32)", plain)
    harness.table("Filters; LlamaIndex's store refuses them", filtered)
    harness.finish(
        [{"table": "plain", **entry} for entry in plain]
        + [{"table": "filters", **entry} for entry in filtered],
        arguments.json,
    )


if __name__ == "__main__":
    main()
