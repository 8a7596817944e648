"""The store over any FAISS index."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from llama_index.core.bridge.pydantic import Field
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import BaseNode
from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryResult

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.index.faiss.factory import as_template, metric_of
from llamaindex_vecx.stores.batch import query_batch
from llamaindex_vecx.stores.faiss_import import fill, read_llama_index, with_vectors
from llamaindex_vecx.stores.local import LocalVectorStore
from llamaindex_vecx.stores.progress import training_bar

__all__ = ["FaissVectorStore"]


class FaissVectorStore(LocalVectorStore):
    """Durable, filterable, hybrid vector store on any FAISS index.

    Parameters
    ----------
    path : str or Path, optional
        Folder of the collection, made if missing. None keeps everything in memory.
    factory : str, optional
        What ``faiss.index_factory`` takes: ``"Flat"``, ``"HNSW32"`` (default), ``"IVF256,Flat"``,
        ``"OPQ48,IVF256,PQ48"``, ``"PQ48x4fs,RFlat"``, …
    faiss_index : faiss.Index, optional
        An empty index, trained or not, in the place of ``factory``. It is copied.
    metric : {"cosine", "ip", "l2"}, optional
        Default ``"cosine"``, or that of ``faiss_index``.
    nprobe : int, optional
        Inverted lists looked into, for IVF. Default: twice the root of their number. Also an option of
        ``query``.
    efSearch : int, optional
        Candidates kept during a search, for HNSW. Default 64. Also an option of ``query``.
    efConstruction : int, optional
        Candidates looked at when a node is linked, for HNSW. Default: FAISS' own, 40.
    k_factor : int, optional
        Candidates for each result that are scored again on the exact vectors. Default: 4 where FAISS
        compares codes, else 1. Also an option of ``query``.
    train_at : int, optional
        Nodes at which training begins. Default: 39 for each centroid.
    dim : int, optional
        Dimension of the embeddings; by default that of the first node added.
    tokenizer, durability, read_only, reranker
        As of :class:`HNSWVectorStore`.

    Raises
    ------
    MissingExtraError
        faiss is not installed: ``pip install 'llamaindex-vecx[faiss]'``.
    NotACollectionError, FormatError, LockedError, SettingsConflictError, InvalidInputError, DimensionError

    Examples
    --------
    >>> store = FaissVectorStore(path="./kb", factory="IVF256,PQ48")
    >>> index = VectorStoreIndex.from_vector_store(store, embed_model=embed_model)
    """

    index_kind: ClassVar[str] = "faiss"
    index_settings: ClassVar[tuple[str, ...]] = (
        "factory", "nprobe", "efSearch", "efConstruction", "k_factor", "train_at", "template",
    )  # fmt: skip
    query_settings: ClassVar[tuple[str, ...]] = ("nprobe", "efSearch", "k_factor")

    factory: str | None = Field(default=None, description="A FAISS factory string.")
    nprobe: int | None = Field(default=None, description="Inverted lists looked into.")
    efSearch: int | None = Field(default=None, description="Candidates at search.")  # noqa: N815
    efConstruction: int | None = Field(default=None, description="Candidates at insertion.")  # noqa: N815
    k_factor: int | None = Field(default=None, description="Candidates a result, scored exactly.")
    train_at: int | None = Field(default=None, description="Nodes at which training begins.")
    template: str | None = Field(
        default=None, exclude=True, repr=False, description="A ready index."
    )

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        factory: str | None = None,
        faiss_index: Any = None,
        metric: str | None = None,
        nprobe: int | None = None,
        efSearch: int | None = None,
        efConstruction: int | None = None,
        k_factor: int | None = None,
        train_at: int | None = None,
        dim: int | None = None,
        tokenizer: str | Callable[[str], list[str]] | None = None,
        durability: str | None = None,
        read_only: bool = False,
        reranker: BaseNodePostprocessor | None = None,
        template: str | None = None,
    ) -> None:
        if faiss_index is not None:
            if factory is not None:
                raise InvalidInputError("give either factory or faiss_index, not both")
            template = as_template(faiss_index, dim)
            metric, dim = metric_of(faiss_index, metric), int(faiss_index.d)
            factory = type(faiss_index).__name__
        super().__init__(
            path=path,
            factory=factory,
            metric=metric,
            nprobe=nprobe,
            efSearch=efSearch,
            efConstruction=efConstruction,
            k_factor=k_factor,
            train_at=train_at,
            template=template,
            dim=dim,
            tokenizer=tokenizer,
            durability=durability,
            read_only=read_only,
            reranker=reranker,
        )
        self.template = None  # the collection keeps it; it can be megabytes

    @property
    def faiss_index(self) -> Any:
        """The ``faiss.Index`` that answers now, to look at; None until it is trained.

        It numbers vectors its own way and may be exchanged at any time: don't change it.
        """
        return getattr(self._collection.index, "faiss_index", None)

    def query_batch(
        self, queries: Sequence[VectorStoreQuery], **kwargs: Any
    ) -> list[VectorStoreQueryResult]:
        """Answer many queries at once, those of mode default on all cores.

        Parameters
        ----------
        queries : sequence of VectorStoreQuery
            Dense ones with the same filters, ids and ``similarity_top_k`` become one search.
        **kwargs
            As of ``query``.

        Returns
        -------
        list of VectorStoreQueryResult
            In the order of the queries; each is what ``query`` returns.
        """
        return query_batch(self, queries, kwargs)

    def train(self, *, show_progress: bool = False) -> None:
        """Train the index now, on all nodes there are, and put them all into it.

        Never needed: it happens by itself once there are enough, see ``docs/faiss.md``. Queries and adds go
        on meanwhile.

        Parameters
        ----------
        show_progress : bool
            Show a progress bar.

        Raises
        ------
        InvalidInputError
            There are fewer nodes than the factory string needs; the message says how many.
        """
        with training_bar(show_progress) as progress:
            self._collection.train(progress)

    @classmethod
    def from_llama_index(
        cls,
        persist_dir: str | os.PathLike[str],
        path: str | Path | None = None,
        *,
        index_id: str | None = None,
        namespace: str = "default",
        **settings: Any,
    ) -> FaissVectorStore:
        """Take over what LlamaIndex's FaissVectorStore or FaissMapVectorStore has persisted.

        Reads ``<namespace>__vector_store.json`` (a FAISS file), ``docstore.json``, ``index_store.json`` and
        ``id_map.json`` where there is one. Nothing in ``persist_dir`` is changed, and nothing stays behind
        where something can't be read.

        Parameters
        ----------
        persist_dir : str or Path
            What ``storage_context.persist`` wrote.
        path : str or Path, optional
            A new folder for the collection; None: in memory.
        index_id : str, optional
            Which index, where several were persisted together.
        namespace : str
        **settings
            As of the constructor. Without ``factory`` the index stays of the kind it is, trained as it is.

        Raises
        ------
        FormatError
            A file is missing, damaged, or does not fit the others.
        InvalidInputError
            ``path`` holds nodes already, or several indexes were persisted and none is named.
        """
        found = read_llama_index(Path(persist_dir), index_id, namespace)
        return cls._filled(path, *found, settings)

    @classmethod
    def from_faiss(
        cls,
        file: str | os.PathLike[str],
        nodes: Sequence[BaseNode] | Mapping[int, BaseNode],
        path: str | Path | None = None,
        **settings: Any,
    ) -> FaissVectorStore:
        """Take over a file that ``faiss.write_index`` wrote.

        Parameters
        ----------
        file : str or Path
        nodes : sequence of BaseNode, or mapping
            Whose vectors they are: by position, or by the ids of an IDMap or IVF index.
        path, **settings
            As of :meth:`from_llama_index`.

        Raises
        ------
        FormatError
            The file is damaged or something else.
        InvalidInputError
            Nodes and vectors don't fit together.
        """
        return cls._filled(path, *with_vectors(Path(file), nodes), settings)

    @classmethod
    def _filled(
        cls,
        path: str | Path | None,
        foreign: Any,
        nodes: list[BaseNode],
        settings: dict[str, Any],
    ) -> FaissVectorStore:
        return fill(
            lambda **more: cls(path, **{**more, **settings}), path, foreign, nodes, settings
        )
