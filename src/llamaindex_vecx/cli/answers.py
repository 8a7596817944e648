"""Ask a collection: the passages, where each source ranked them, and what each stage took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import Field
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.schema import BaseNode, MetadataMode, QueryBundle
from llama_index.core.vector_stores.types import (
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)

from llamaindex_vecx.cli.split import HEADING_KEY
from llamaindex_vecx.observe import StageEvent
from llamaindex_vecx.retrievers import HybridRetriever
from llamaindex_vecx.stores.local import LocalVectorStore

__all__ = ["Answer", "Hit", "Passage", "ask_store"]

_STAGE_OF_MODE = {"default": "dense", "text_search": "bm25"}


@dataclass(frozen=True)
class Hit:
    """Where one source put a passage; the first rank is 1."""

    rank: int
    score: float | None


@dataclass(frozen=True)
class Passage:
    """One passage of an answer."""

    rank: int
    id: str
    score: float
    text: str
    metadata: dict[str, Any]
    sources: dict[str, Hit]

    @property
    def file(self) -> str:
        """The file it comes from, or its document's id."""
        return str(self.metadata.get("file_path") or self.metadata.get("file_name") or "")

    @property
    def heading(self) -> str:
        """The headings above it, outermost first."""
        return str(self.metadata.get(HEADING_KEY) or "")


@dataclass(frozen=True)
class Answer:
    """The passages for a question, best first.

    Attributes
    ----------
    seconds : dict of str to float
        Wall-clock time of embed, dense, bm25 and fuse, as far as the mode has them.
    """

    question: str
    mode: str
    passages: list[Passage]
    seconds: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


def ask_store(
    store: LocalVectorStore,
    question: str,
    *,
    mode: str = "hybrid",
    top_k: int = 5,
    embed_model: BaseEmbedding | None = None,
    filters: MetadataFilters | None = None,
) -> Answer:
    """Answer one question.

    Parameters
    ----------
    store : LocalVectorStore
    question : str
    mode : {"hybrid", "default", "text_search"}
    top_k : int
        Passages wanted.
    embed_model : BaseEmbedding, optional
        Not needed for text_search.
    filters : MetadataFilters, optional

    Raises
    ------
    EmptyQueryError, FilterError, DimensionError, MissingEmbeddingError
    """
    seconds: dict[str, float] = {}
    bundle = QueryBundle(query_str=question)
    if embed_model is not None and mode != "text_search":
        start = perf_counter()
        bundle.embedding = embed_model.get_query_embedding(question)
        seconds["embed"] = perf_counter() - start
    with _stage_times(seconds):
        if mode == "hybrid":
            passages = _hybrid(store, bundle, embed_model, top_k, filters)
        else:
            passages = _single(store, bundle, mode, top_k, filters)
    return Answer(question, mode, passages, seconds)


def _hybrid(
    store: LocalVectorStore,
    bundle: QueryBundle,
    embed_model: BaseEmbedding | None,
    top_k: int,
    filters: MetadataFilters | None,
) -> list[Passage]:
    retriever = HybridRetriever.from_store(
        store, embed_model, similarity_top_k=top_k, filters=filters
    )
    passages = []
    for rank, hit in enumerate(retriever.retrieve(bundle), start=1):
        sources = {
            name: Hit(source.rank, source.score)
            for name, source in getattr(hit, "sources", {}).items()
        }
        passages.append(_passage(rank, hit.node, hit.get_score(), sources))
    return passages


def _single(
    store: LocalVectorStore,
    bundle: QueryBundle,
    mode: str,
    top_k: int,
    filters: MetadataFilters | None,
) -> list[Passage]:
    result = store.query(
        VectorStoreQuery(
            query_str=bundle.query_str,
            query_embedding=bundle.embedding,
            similarity_top_k=top_k,
            mode=VectorStoreQueryMode(mode),
            filters=filters,
        )
    )
    source = _STAGE_OF_MODE[mode]
    pairs = zip(result.nodes or (), result.similarities or (), strict=True)
    return [
        _passage(rank, node, score, {source: Hit(rank, float(score))})
        for rank, (node, score) in enumerate(pairs, start=1)
    ]


def _passage(rank: int, node: BaseNode, score: float, sources: Mapping[str, Hit]) -> Passage:
    text = node.get_content(metadata_mode=MetadataMode.NONE)
    return Passage(rank, node.node_id, float(score), text, dict(node.metadata), dict(sources))


class _Listener(BaseEventHandler):
    """Notes how long the stages of one query took."""

    seconds: dict[str, float] = Field(default_factory=dict)

    def handle(self, event: Any, **kwargs: Any) -> None:
        """Take a stage's time; other events are somebody else's."""
        if not isinstance(event, StageEvent):
            return
        if event.stage == "query":
            name = _STAGE_OF_MODE.get(str(event.parameters.get("mode")))
        else:
            name = event.stage if event.stage == "fuse" else None
        if name is not None:
            self.seconds[name] = event.seconds


@contextmanager
def _stage_times(seconds: dict[str, float]) -> Iterator[None]:
    root = get_dispatcher()
    listener = _Listener()
    root.add_event_handler(listener)
    try:
        yield
    finally:
        root.event_handlers.remove(listener)
        seconds.update(
            {
                name: listener.seconds[name]
                for name in ("dense", "bm25", "fuse")
                if name in listener.seconds
            }
        )
