"""The exact store: every query looks at every vector."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from llama_index.core.postprocessor.types import BaseNodePostprocessor

from llamaindex_vecx.stores.local import LocalVectorStore

__all__ = ["FlatVectorStore"]


class FlatVectorStore(LocalVectorStore):
    """Durable, filterable, hybrid vector store with exact search.

    For collections up to some ten thousand nodes, and to measure what an approximate store misses.
    Parameters are those of :class:`HNSWVectorStore` without ``M``, ``ef_construction``, ``ef_search``.
    """

    index_kind: ClassVar[str] = "flat"

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        metric: str | None = None,
        dim: int | None = None,
        tokenizer: str | Callable[[str], list[str]] | None = None,
        durability: str | None = None,
        read_only: bool = False,
        reranker: BaseNodePostprocessor | None = None,
    ) -> None:
        super().__init__(
            path=path,
            metric=metric,
            dim=dim,
            tokenizer=tokenizer,
            durability=durability,
            read_only=read_only,
            reranker=reranker,
        )
