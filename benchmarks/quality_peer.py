"""LlamaIndex's own hybrid on the same data: BM25Retriever, and QueryFusionRetriever over it and vectors.

Run by quality.py in an environment of its own (the retriever wants an older PyStemmer):
``python quality_peer.py FOLDER`` reads texts.json and vectors.npz there and writes runs.json.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MODES = ("reciprocal_rerank", "relative_score", "dist_based_score")


def peer_runs(
    documents: Sequence[str],
    queries: Sequence[str],
    vectors: NDArray[np.float32],
    asked: NDArray[np.float32],
) -> dict[str, list[list[str]]] | None:
    """Rankings by name of the retriever; None where its environment isn't there (``make peers``)."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from tests.conformance.peers.environments import python_of

    python = python_of("bm25")
    if not python.exists():
        return None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "texts.json").write_text(json.dumps([list(documents), list(queries)]), "utf-8")
        np.savez(folder / "vectors.npz", documents=vectors, queries=asked)
        subprocess.run([python, __file__, folder], check=True, stdout=subprocess.DEVNULL)
        runs: dict[str, list[list[str]]] = json.loads((folder / "runs.json").read_text("utf-8"))
    return runs


def main(folder: Path) -> None:
    from llama_index.core import VectorStoreIndex
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.core.llms import MockLLM
    from llama_index.core.retrievers import QueryFusionRetriever
    from llama_index.core.schema import TextNode
    from llama_index.retrievers.bm25 import BM25Retriever

    class Known(BaseEmbedding):
        """The vectors that were computed already."""

        known: dict[str, Any]

        def _get_query_embedding(self, query: str) -> list[float]:
            return self.known[query]

        def _get_text_embedding(self, text: str) -> list[float]:
            raise NotImplementedError

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return self.known[query]

    documents, queries = json.loads((folder / "texts.json").read_text("utf-8"))
    with np.load(folder / "vectors.npz") as vectors:
        passages, asked = vectors["documents"].tolist(), vectors["queries"].tolist()
    nodes = [
        TextNode(id_=str(place), text=text, embedding=passages[place])
        for place, text in enumerate(documents)
    ]
    model = Known(known=dict(zip(queries, asked, strict=True)))
    bm25 = BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=50)
    dense = VectorStoreIndex(nodes, embed_model=model).as_retriever(similarity_top_k=50)
    retrievers: dict[str, Any] = {"LlamaIndex BM25Retriever": bm25}
    for mode in MODES:
        retrievers[f"LlamaIndex QueryFusionRetriever {mode}"] = QueryFusionRetriever(
            [bm25, dense],
            llm=MockLLM(),
            mode=mode,
            similarity_top_k=50,
            num_queries=1,
            use_async=False,
        )
    runs = {
        name: [[hit.node.node_id for hit in retriever.retrieve(query)] for query in queries]
        for name, retriever in retrievers.items()
    }
    (folder / "runs.json").write_text(json.dumps(runs), "utf-8")


if __name__ == "__main__" and len(sys.argv) == 2 and not sys.argv[1].startswith("-"):
    main(Path(sys.argv[1]))
