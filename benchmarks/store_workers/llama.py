"""The stores that LlamaIndex knows, each opened at a folder and asked through LlamaIndex's interface."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import MetadataFilter, MetadataFilters, VectorStoreQuery

from .corpus import Corpus, id_of, texts

K = 10


class LlamaStore:
    """Any LlamaIndex store. ``settle`` does what it takes to be on disk and at full speed."""

    def __init__(
        self,
        store: Any,
        settle: Callable[[], object] | None = None,
        close: Callable[[], object] | None = None,
    ) -> None:
        self._store = store
        self._settle = settle
        self._close = close

    def prepare(self, corpus: Corpus, rows: range) -> list[TextNode]:
        """Nodes as a pipeline hands them over. Not timed."""
        vectors = corpus.vectors[rows.start : rows.stop].astype("float32")
        return [
            TextNode(
                id_=id_of(row),
                text=text,
                metadata=corpus.metadata(row),
                embedding=vector,
                relationships={
                    NodeRelationship.SOURCE: RelatedNodeInfo(node_id=f"document {row // 10}")
                },
            )
            for row, text, vector in zip(rows, texts(rows), vectors.tolist(), strict=True)
        ]

    def add(self, prepared: list[TextNode]) -> None:
        self._store.add(prepared)

    def settle(self) -> None:
        if self._settle is not None:
            self._settle()

    def question(self, vector: Any, wanted: tuple[str, Any] | None) -> VectorStoreQuery:
        """What is asked. Not timed."""
        filters = None
        if wanted is not None:
            filters = MetadataFilters(filters=[MetadataFilter(key=wanted[0], value=wanted[1])])
        return VectorStoreQuery(
            query_embedding=vector.tolist(), similarity_top_k=K, filters=filters
        )

    def find(self, question: VectorStoreQuery) -> Any:
        return self._store.query(question)

    def ids(self, answer: Any) -> list[str]:
        """Ids of the answer, whose nodes must be whole where the store keeps nodes."""
        if self._store.stores_text:
            assert all(node.text and node.metadata["title"] for node in answer.nodes)
        elif not isinstance(answer.ids[0], str) or answer.ids[0].isdigit():
            return [id_of(int(place)) for place in answer.ids]
        return list(answer.ids)

    def close(self) -> None:
        if self._close is not None:
            self._close()


def ours(folder: Path) -> LlamaStore:
    from llamaindex_vecx import HNSWVectorStore

    store = HNSWVectorStore(path=folder / "kb", M=16, ef_construction=200)

    def settle() -> None:
        store.client.wait()
        store.flush()

    return LlamaStore(store, settle, store.close)


def simple(folder: Path) -> LlamaStore:
    from llama_index.core.vector_stores import SimpleVectorStore

    file = folder / "store.json"
    store = SimpleVectorStore.from_persist_path(str(file)) if file.exists() else SimpleVectorStore()
    return LlamaStore(store, lambda: store.persist(str(file)))


def chroma(folder: Path) -> LlamaStore:
    import chromadb
    from llama_index.vector_stores.chroma import ChromaVectorStore

    client = chromadb.PersistentClient(str(folder / "chroma"))
    hnsw = {"space": "cosine", "max_neighbors": 16, "ef_construction": 200}
    collection = client.get_or_create_collection("nodes", configuration={"hnsw": hnsw})
    return LlamaStore(ChromaVectorStore(chroma_collection=collection))


def qdrant(folder: Path) -> LlamaStore:
    import warnings

    from llama_index.vector_stores.qdrant import QdrantVectorStore
    from qdrant_client import QdrantClient

    warnings.simplefilter(
        "ignore"
    )  # it says at every call that local mode is for small collections
    client = QdrantClient(path=str(folder / "qdrant"))
    return LlamaStore(QdrantVectorStore(collection_name="nodes", client=client), close=client.close)


def lancedb(folder: Path) -> LlamaStore:
    from llama_index.vector_stores.lancedb import LanceDBVectorStore

    store = LanceDBVectorStore(uri=str(folder / "lance"), table_name="nodes", mode="create")
    return LlamaStore(store)


def faiss(folder: Path) -> LlamaStore:
    import faiss as library
    from llama_index.vector_stores.faiss import FaissVectorStore

    file = folder / "store.faiss"
    if file.exists():
        store = FaissVectorStore.from_persist_path(str(file))
    else:
        index = library.IndexHNSWFlat(384, 16)
        index.hnsw.efConstruction = 200
        store = FaissVectorStore(faiss_index=index)
    store.client.hnsw.efSearch = 64
    return LlamaStore(store, lambda: store.persist(str(file)))


def turbovec(folder: Path) -> LlamaStore:
    from turbovec.llama_index import TurboQuantVectorStore

    base = folder / "turbovec"
    if base.exists():
        store = TurboQuantVectorStore.from_persist_path(str(base / "store"))
    else:
        base.mkdir(parents=True)
        store = TurboQuantVectorStore(bit_width=4)
    return LlamaStore(store, lambda: store.persist(str(base / "store")))
