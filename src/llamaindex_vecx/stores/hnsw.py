"""The store to take first: approximate search over a navigable small-world graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from llama_index.core.bridge.pydantic import Field
from llama_index.core.postprocessor.types import BaseNodePostprocessor

from llamaindex_vecx.stores.local import LocalVectorStore

__all__ = ["HNSWVectorStore"]


class HNSWVectorStore(LocalVectorStore):
    """Durable, filterable, hybrid vector store on HNSW (Malkov & Yashunin, arXiv 1603.09320).

    Parameters
    ----------
    path : str or Path, optional
        Folder of the collection, made if missing. None keeps everything in memory.
    metric : {"cosine", "ip", "l2"}, optional
        Default ``"cosine"``.
    M : int, optional
        Links a node and layer (twice as many on the lowest). Default 16.
    ef_construction : int, optional
        Candidates looked at when a node is linked. Default 200.
    ef_search : int, optional
        Candidates kept during a search: more finds more and takes longer. Default 64. Also an option
        of ``query``.
    target_recall : float, optional
        Instead of ``ef_search``: the share of the true nearest that a search should find on average,
        such as 0.95. How many candidates that takes is measured on the collection's own vectors, and
        again when these have doubled. Also an option of ``query``.
    on_disk : bool, optional
        Keep more than half of each vector in a file, of which a search reads what its last candidates
        need: a third to half of the memory, the same answers. Default False.
    dim : int, optional
        Dimension of the embeddings; by default that of the first node added.
    tokenizer : str or callable, optional
        How text becomes terms for BM25. ``"default"`` stems English and cuts Korean, Chinese and
        Japanese into bigrams; ``"kiwi"`` (extra ``korean``) takes Korean morphemes.
    durability : {"full", "normal"}, optional
        ``"full"`` (default) survives a power cut after every add, ``"normal"`` a killed process.
    read_only : bool
        Open beside a writing process.
    reranker : BaseNodePostprocessor, optional
        Orders the nodes of mode ``semantic_hybrid``.

    Raises
    ------
    NotACollectionError, FormatError, LockedError, SettingsConflictError, InvalidInputError

    Examples
    --------
    >>> store = HNSWVectorStore(path="./kb")
    >>> index = VectorStoreIndex.from_vector_store(store, embed_model=embed_model)
    """

    index_kind: ClassVar[str] = "hnsw"
    index_settings: ClassVar[tuple[str, ...]] = (
        "M",
        "ef_construction",
        "ef_search",
        "target_recall",
        "on_disk",
    )
    query_settings: ClassVar[tuple[str, ...]] = ("ef_search", "target_recall")

    M: int | None = Field(default=None, description="Links a node and layer.")
    ef_construction: int | None = Field(default=None, description="Candidates at insertion.")
    ef_search: int | None = Field(default=None, description="Candidates at search.")
    target_recall: float | None = Field(default=None, description="Recall instead of candidates.")
    on_disk: bool | None = Field(default=None, description="Most of the vectors in a file.")

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        metric: str | None = None,
        M: int | None = None,
        ef_construction: int | None = None,
        ef_search: int | None = None,
        target_recall: float | None = None,
        on_disk: bool | None = None,
        dim: int | None = None,
        tokenizer: str | Callable[[str], list[str]] | None = None,
        durability: str | None = None,
        read_only: bool = False,
        reranker: BaseNodePostprocessor | None = None,
    ) -> None:
        super().__init__(
            path=path,
            metric=metric,
            M=M,
            ef_construction=ef_construction,
            ef_search=ef_search,
            target_recall=target_recall,
            on_disk=on_disk,
            dim=dim,
            tokenizer=tokenizer,
            durability=durability,
            read_only=read_only,
            reranker=reranker,
        )
