"""What the local stores share: LlamaIndex's whole store interface over one collection."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, TypeVar

from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import BaseNode, NodeWithScore, QueryBundle
from llama_index.core.vector_stores.types import (
    DEFAULT_PERSIST_DIR,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)

from llamaindex_vecx.collection import Collection, Record
from llamaindex_vecx.errors import InvalidInputError, UnsupportedError
from llamaindex_vecx.fusion import pool_size
from llamaindex_vecx.groups import check_group_by
from llamaindex_vecx.observe import stage
from llamaindex_vecx.stores.arguments import asked, check_counts, refuse_unknown
from llamaindex_vecx.stores.asynchronous import AsyncVectorStore
from llamaindex_vecx.stores.modes import MODES
from llamaindex_vecx.stores.nodes import nodes_to_records, record_to_node
from llamaindex_vecx.stores.persistence import (
    DEFAULT_NAMESPACE,
    check_local,
    find_persisted,
    namespace_of,
    write_persisted,
)

__all__ = ["LocalVectorStore"]

Self = TypeVar("Self", bound="LocalVectorStore")

_ATTEMPTS = 2
T = TypeVar("T")


class LocalVectorStore(AsyncVectorStore):
    """A vector store over one collection: durable with a ``path``, in memory without.

    Use :class:`HNSWVectorStore`, :class:`FlatVectorStore` or :class:`FaissVectorStore`. Every setting
    defaults to None: a stored collection's own value wins, a new collection takes the default, and a
    conflict raises. Once open, the fields say what the collection really uses.
    """

    index_kind: ClassVar[str]
    """Name of the index under the collection."""

    index_settings: ClassVar[tuple[str, ...]] = ()
    """Fields that are parameters of that index."""

    query_settings: ClassVar[tuple[str, ...]] = ()
    """Keywords of ``query`` that go to that index."""

    stores_text: bool = True
    is_embedding_query: bool = True

    path: Path | None = Field(
        default=None, description="Folder of the collection; None: in memory."
    )
    metric: str | None = Field(default=None, description="cosine, ip or l2.")
    dim: int | None = Field(
        default=None, description="Dimension; None: that of the first node added."
    )
    tokenizer: Any = Field(default=None, description="Name of a tokenizer, or a named callable.")
    durability: str | None = Field(
        default=None, description="full or normal (SQLite's synchronous)."
    )
    read_only: bool = Field(default=False, description="Open beside a writer, never write.")
    reranker: BaseNodePostprocessor | None = Field(
        default=None, exclude=True, description="Orders the nodes of mode semantic_hybrid."
    )

    _collection: Collection = PrivateAttr()

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        # Not a pydantic validator: it would dress our exceptions up as its own.
        params = {name: getattr(self, name) for name in self.index_settings}
        self._collection = Collection.open(
            self.path,
            index=self.index_kind,
            dim=self.dim,
            metric=self.metric,
            index_params={name: value for name, value in params.items() if value is not None},
            tokenizer=self.tokenizer,
            durability=self.durability,
            read_only=self.read_only,
        )
        stored = self._collection.settings
        self.metric = stored["metric"]
        self.dim = self._collection.dim
        self.tokenizer = stored["tokenizer"]
        self.durability = stored["durability"]
        for name in self.index_settings:
            setattr(self, name, stored["index_params"].get(name))  # older collections lack some

    @classmethod
    def class_name(cls) -> str:
        """The name that LlamaIndex's serialised components carry."""
        return cls.__name__

    @property
    def client(self) -> Collection:
        """The collection under this store."""
        return self._collection

    def __len__(self) -> int:
        return len(self._collection)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        where = "in memory" if self.path is None else f"path={str(self.path)!r}"
        settings = {name: getattr(self, name) for name in self.index_settings}
        shown = ", ".join(
            f"{name}={value}" for name, value in settings.items() if value is not None
        )
        return (
            f"{type(self).__name__}({where}, nodes={len(self)}, dim={self._collection.dim}, "
            f"metric={self.metric!r}{', ' + shown if shown else ''})"
        )

    __str__ = __repr__

    # ---------------------------------------------------------------- writing

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Add nodes, or replace those whose id is there already, in one transaction.

        Parameters
        ----------
        nodes : sequence of BaseNode
            Each with an embedding; ids distinct within the batch.

        Returns
        -------
        list of str
            Node ids in the order given. When this returns, they are on disk.

        Raises
        ------
        InvalidInputError, DimensionError, NonFiniteError, DuplicateIdError, MissingEmbeddingError, \
SerializationError, ReadOnlyError, DiskFullError
            Nothing was added.
        """
        refuse_unknown("add", kwargs, ())
        with stage("add", self) as done:
            records = nodes_to_records(nodes)
            self._collection.add(records)
            ids = [record.id for record in records]
            done(ids=ids, nodes=len(ids))
        return ids

    def delete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """Delete every node of the document ``ref_doc_id``; none is no error."""
        refuse_unknown("delete", delete_kwargs, ())
        if not isinstance(ref_doc_id, str):
            raise InvalidInputError(
                f"ref_doc_id must be a str, not {type(ref_doc_id).__name__}: {ref_doc_id!r}"
            )
        with stage("delete", self, ref_doc_id=ref_doc_id) as done:
            done(nodes=self._collection.delete_selected(ref_doc_ids=[ref_doc_id]))

    def delete_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
        **delete_kwargs: Any,
    ) -> None:
        """Delete the nodes with these ids, or that match the filters, or both where both are given.

        ``node_ids=[]`` deletes nothing.

        Raises
        ------
        InvalidInputError
            Neither ids nor a filter: that would delete everything; call :meth:`clear` to do so.
        """
        refuse_unknown("delete_nodes", delete_kwargs, ())
        unfiltered = filters is None or not filters.filters
        if node_ids is None and unfiltered:
            raise InvalidInputError(
                "delete_nodes() needs node_ids or filters; call clear() to delete every node"
            )
        with stage("delete", self) as done:
            wanted = None if unfiltered else filters
            done(nodes=self._collection.delete_selected(ids=node_ids, filters=wanted))

    def clear(self) -> None:
        """Delete every node. Settings stay."""
        with stage("clear", self):
            self._collection.clear()

    # ---------------------------------------------------------------- reading

    def get_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
    ) -> list[BaseNode]:
        """The nodes with these ids (in the order asked), that match the filters; all by default.

        Nodes carry their embeddings. Unknown ids are left out.
        """
        collection = self._collection

        def look() -> tuple[list[Record | None], None, bool]:
            rows: Iterable[int | None]
            chosen = collection.select(filters=filters)
            if node_ids is None:
                rows = collection.all_rows() if chosen is None else chosen
            else:
                rows = collection.rows_of(list(dict.fromkeys(node_ids)))
            wanted = [row for row in rows if row is not None and (chosen is None or row in chosen)]
            records = collection.records(wanted, vectors=True)
            return records, None, None not in records

        with stage("get", self) as done:
            if node_ids is not None and filters is not None:
                with collection.holding_commits():  # or a replaced node would be in neither
                    records, _, _ = look()
            else:
                records, _ = _undisturbed(collection, look)
            nodes = [record_to_node(record) for record in records if record is not None]
            done(nodes=len(nodes))
        return nodes

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """The best nodes for a query, best first; ``docs/stores.md`` says what each mode returns.

        Parameters
        ----------
        query : VectorStoreQuery
            ``filters``, ``node_ids`` and ``doc_ids`` intersect; ``node_ids=[]`` means unrestricted,
            ``doc_ids=[]`` nothing. Nodes come without embeddings unless ``output_fields`` names
            ``"embedding"``.
        **kwargs
            Parameters of the index, e.g. ``ef_search``; in mode mmr also ``mmr_threshold`` and
            ``mmr_prefetch_k``. ``group_by="ref_doc_id"``, or any metadata key, asks for so many groups
            instead of nodes, each by its best node.

        Raises
        ------
        InvalidInputError, DimensionError, NonFiniteError, MissingEmbeddingError, EmptyQueryError, \
FilterError
            The query is wrong.
        UnsupportedError
            Mode semantic_hybrid without a reranker.
        """
        mode = VectorStoreQueryMode(query.mode)
        extra = ("mmr_threshold", "mmr_prefetch_k") if mode is VectorStoreQueryMode.MMR else ()
        refuse_unknown("query", kwargs, (*self.query_settings, "group_by", *extra))
        if kwargs.get("group_by") is not None:
            check_group_by(kwargs["group_by"])
        check_counts(query)
        with stage("query", self, **asked(query), **kwargs) as done:
            if mode is VectorStoreQueryMode.SEMANTIC_HYBRID:
                nodes, scores = self._reranked(query, kwargs)
            else:
                nodes, scores = self._found(query, kwargs)
            ids = [node.node_id for node in nodes]
            done(ids=ids, scores=scores, nodes=len(ids))
        return VectorStoreQueryResult(nodes=nodes, similarities=scores, ids=ids)

    def _found(
        self, query: VectorStoreQuery, params: Mapping[str, Any]
    ) -> tuple[list[BaseNode], list[float]]:
        with_vectors = query.output_fields is not None and "embedding" in query.output_fields
        search = MODES[VectorStoreQueryMode(query.mode)]
        collection = self._collection  # pydantic takes a microsecond for every private attribute

        def look() -> tuple[list[Record | None], list[float], bool]:
            before = collection.seq
            allowed = collection.select(
                ids=query.node_ids or None, ref_doc_ids=query.doc_ids, filters=query.filters
            )
            rows, scores = search(collection, query, allowed, params)
            records = collection.records(rows, vectors=with_vectors)
            # Another thread may delete a row between the search and the reading of it, or replace one
            # between the filter and the search, so that one of the two knows only the new row.
            # Not `None in records`, which would ask each record whether it equals None.
            gone = [record for record in records if record is None]
            whole = not gone and (allowed is None or collection.reached == before)
            return records, scores, whole

        records, scores = _undisturbed(collection, look)
        nodes = [record_to_node(record) for record in records if record is not None]
        if len(nodes) < len(records):
            scores = [
                score for record, score in zip(records, scores, strict=True) if record is not None
            ]
        return nodes, scores

    def _reranked(
        self, query: VectorStoreQuery, params: Mapping[str, Any]
    ) -> tuple[list[BaseNode], list[float]]:
        if self.reranker is None:
            raise UnsupportedError(
                "mode 'semantic_hybrid' needs a reranker; give the store one "
                "(reranker=…, any node postprocessor), or use mode 'hybrid'"
            )
        top_k = query.hybrid_top_k or query.similarity_top_k
        wide = VectorStoreQuery(**{**vars(query), "hybrid_top_k": None})
        wide.similarity_top_k = pool_size(top_k)
        nodes, scores = self._found(wide, params)
        ranked = self.reranker.postprocess_nodes(
            [
                NodeWithScore(node=node, score=score)
                for node, score in zip(nodes, scores, strict=True)
            ],
            query_bundle=QueryBundle(query_str=query.query_str or ""),
        )[:top_k]
        return [hit.node for hit in ranked], [hit.get_score() for hit in ranked]

    # ---------------------------------------------------------------- lifetime

    def flush(self) -> None:
        """Write snapshots of the indexes, so that the next opening starts from them."""
        self._collection.flush()

    def persist(self, persist_path: str | os.PathLike[str], fs: Any = None) -> None:
        """Make the store findable by :meth:`from_persist_dir`.

        With a ``path`` everything is on disk already: snapshots are written, and a small pointer file
        beside ``persist_path``. In memory, the collection is copied to a folder there. No file is written
        at ``persist_path`` itself, which LlamaIndex would read as a SimpleVectorStore.

        Raises
        ------
        UnsupportedError
            ``fs`` is a remote file system.
        StorageError
        """
        check_local(fs)
        if self.path is not None and not self.read_only:
            self.flush()
        write_persisted(self._collection, *namespace_of(persist_path))

    @classmethod
    def from_persist_path(
        cls: type[Self],
        persist_path: str | os.PathLike[str],
        fs: Any = None,
        **settings: Any,
    ) -> Self:
        """Open what was persisted under ``persist_path``. A copy of a store in memory opens durable.

        Raises
        ------
        NotACollectionError
            Nothing was persisted there.
        UnsupportedError
            ``fs`` is a remote file system.
        """
        check_local(fs)
        return cls(path=find_persisted(*namespace_of(persist_path)), **settings)

    @classmethod
    def from_persist_dir(
        cls: type[Self],
        persist_dir: str | os.PathLike[str] = DEFAULT_PERSIST_DIR,
        namespace: str = DEFAULT_NAMESPACE,
        fs: Any = None,
        **settings: Any,
    ) -> Self:
        """Open what was persisted in ``persist_dir`` under a namespace; see :meth:`from_persist_path`."""
        check_local(fs)
        return cls(path=find_persisted(Path(persist_dir), namespace), **settings)

    def compact(self) -> None:
        """Drop what deletes and upserts left behind in the indexes and in the database."""
        self._collection.compact()

    def close(self) -> None:
        """Write what is worth keeping and let go of the folder. May be called again."""
        self._background.close()
        self._collection.close()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """A copy opens the same folder; LlamaIndex's own way would drop the collection silently."""
        if self.path is None:
            raise UnsupportedError(
                f"a {type(self).__name__} in memory can't be copied or pickled; give it a path"
            )
        return _reopen, (type(self), str(self._collection.path), self.read_only, self.reranker)

    def __copy__(self: Self) -> Self:
        function, arguments = self.__reduce__()
        copied: Self = function(*arguments)
        return copied

    def __deepcopy__(self: Self, memo: dict[int, Any] | None = None) -> Self:
        return self.__copy__()


def _reopen(
    cls: type[LocalVectorStore], path: str, read_only: bool, reranker: BaseNodePostprocessor | None
) -> LocalVectorStore:
    return cls(path=path, read_only=read_only, reranker=reranker)


def _undisturbed(
    collection: Collection, look: Callable[[], tuple[list[Record | None], T, bool]]
) -> tuple[list[Record | None], T]:
    """What ``look`` finds when no commit comes in between: tried freely first, then with commits held back.

    Where another process commits, rows may still be gone when they are read.
    """
    for _ in range(_ATTEMPTS):
        records, more, whole = look()
        if whole:
            return records, more
    with collection.holding_commits():
        records, more, _ = look()
    return records, more
