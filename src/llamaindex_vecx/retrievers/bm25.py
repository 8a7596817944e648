"""BM25 over any nodes, as a LlamaIndex retriever that takes additions, deletions and filters."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, repeat
from pathlib import Path
from typing import Any

from llama_index.core import VectorStoreIndex
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.schema import BaseNode, IndexNode, NodeWithScore, QueryBundle
from llama_index.core.storage.docstore.types import BaseDocumentStore
from llama_index.core.vector_stores.types import FilterCondition, MetadataFilters

from llamaindex_vecx.checks import check_count
from llamaindex_vecx.collection.filters import check
from llamaindex_vecx.errors import EmptyQueryError, InvalidInputError, NotACollectionError
from llamaindex_vecx.observe.events import stage
from llamaindex_vecx.retrievers.keyword_index import KeywordIndex
from llamaindex_vecx.stores.background import Background
from llamaindex_vecx.text import BM25, get_tokenizer

__all__ = ["BM25Retriever"]

_FOLDER = "bm25_retriever"
_RANK_BM25 = {"BM25Okapi": "okapi", "BM25L": "l", "BM25Plus": "plus"}


class BM25Retriever(BaseRetriever):
    """Keyword search over nodes of its own, in memory, saved when asked to.

    Every result has at least one of the query's words and meets the filters; fewer than
    ``similarity_top_k`` come back where fewer do. Nodes that are given are not kept or altered; results
    are new objects each time.

    Parameters
    ----------
    nodes : sequence of BaseNode
        None at all is allowed: add them later.
    similarity_top_k : int
    variant : str
        ``lucene`` (default), ``robertson``, ``atire``, ``okapi``, ``l`` or ``plus``; see
        :mod:`llamaindex_vecx.text.variants`.
    k1, b, delta, epsilon : float, optional
        See :class:`llamaindex_vecx.text.BM25`.
    tokenizer : str or callable
        See :func:`llamaindex_vecx.text.get_tokenizer`.
    fields : mapping, optional
        What is searched, and how many times the words of each field count before frequencies saturate (a
        simple BM25F: Robertson, Zaragoza & Taylor, CIKM 2004): ``"text"``, or any metadata key, e.g.
        ``{"title": 3, "text": 1}``. None is ``{"text": 1}``.
    filters : MetadataFilters, optional
        All operators, nested as you like.
    show_progress : bool, optional
        None shows it from 20,000 nodes on.

    Raises
    ------
    InvalidInputError, FilterError, DuplicateIdError, SerializationError
    EmptyQueryError
        From ``retrieve``: the query has no text.
    """

    def __init__(
        self,
        nodes: Sequence[BaseNode] = (),
        *,
        similarity_top_k: int = 10,
        variant: str = "lucene",
        k1: float | None = None,
        b: float = 0.75,
        delta: float | None = None,
        epsilon: float = 0.25,
        tokenizer: str | Callable[[str], Sequence[str]] = "default",
        fields: Mapping[str, int] | None = None,
        filters: MetadataFilters | None = None,
        show_progress: bool | None = None,
        callback_manager: CallbackManager | None = None,
        object_map: dict[str, Any] | None = None,
        objects: list[IndexNode] | None = None,
        verbose: bool = False,
    ) -> None:
        bm25 = BM25(variant, k1=k1, b=b, delta=delta, epsilon=epsilon)
        index = KeywordIndex(bm25, get_tokenizer(tokenizer), fields or {"text": 1})
        self._share(index, Background(), similarity_top_k, filters)
        super().__init__(
            callback_manager=callback_manager,
            object_map=object_map,
            objects=objects,
            verbose=verbose,
        )
        self.add(nodes, show_progress=show_progress)

    def _share(
        self,
        index: KeywordIndex,
        background: Background,
        similarity_top_k: int,
        filters: MetadataFilters | None,
    ) -> None:
        check_count(similarity_top_k, "similarity_top_k")
        if filters is not None:
            check(filters)
        self._index = index
        self._background = background
        self.similarity_top_k = similarity_top_k
        self.filters = filters

    @classmethod
    def from_defaults(
        cls,
        nodes: Sequence[BaseNode] | None = None,
        *,
        docstore: BaseDocumentStore | None = None,
        index: VectorStoreIndex | None = None,
        **options: Any,
    ) -> BM25Retriever:
        """Over a list of nodes, all nodes of a docstore, or those of an index's docstore.

        Parameters
        ----------
        nodes, docstore, index
            One of the three.
        **options
            Of :class:`BM25Retriever`.

        Raises
        ------
        InvalidInputError
            Not exactly one was given, or the index keeps no nodes in its docstore.
        """
        given = [source for source in (nodes, docstore, index) if source is not None]
        if len(given) != 1:
            raise InvalidInputError(
                f"{len(given)} of nodes, docstore and index were given; give exactly one"
            )
        if index is not None:
            docstore = index.docstore
            if not docstore.docs:
                raise InvalidInputError(
                    "the index keeps no nodes in its docstore, as its vector store keeps them; ask that by "
                    "mode 'text_search' (HybridRetriever.from_store does), or give nodes="
                )
        if docstore is not None:
            nodes = list(docstore.docs.values())
        return cls(nodes or (), **options)

    @classmethod
    def from_rank_bm25(
        cls,
        bm25: Any,
        nodes: Sequence[BaseNode],
        *,
        tokenizer: str | Callable[[str], Sequence[str]] | None = None,
        **options: Any,
    ) -> BM25Retriever:
        """Take a fitted rank-bm25 index over: same variant, parameters, tokens and scores.

        Parameters
        ----------
        bm25 : rank_bm25.BM25Okapi, BM25L or BM25Plus
        nodes : sequence of BaseNode
            One for each of its documents, in order.
        tokenizer : str or callable, optional
            What its documents were tokenized with, for queries and for nodes to come. None is the one it
            was made with.
        **options
            Of :class:`BM25Retriever`, e.g. ``similarity_top_k``.

        Raises
        ------
        InvalidInputError
        """
        name = type(bm25).__name__
        if name not in _RANK_BM25 or not hasattr(bm25, "doc_freqs"):
            raise InvalidInputError(
                f"bm25 must be a BM25Okapi, BM25L or BM25Plus of rank_bm25, not {type(bm25)!r}"
            )
        if len(nodes) != bm25.corpus_size:
            raise InvalidInputError(
                f"{len(nodes)} nodes were given for {bm25.corpus_size} documents; give one for each, in order"
            )
        tokenizer = bm25.tokenizer if tokenizer is None else tokenizer
        if tokenizer is None:
            raise InvalidInputError(
                "the index was made from tokens, so nobody knows how to tokenize a query; "
                "give the function that made them: tokenizer=…"
            )
        params = {
            key: getattr(bm25, key) for key in ("k1", "b", "delta", "epsilon") if hasattr(bm25, key)
        }
        retriever = cls(variant=_RANK_BM25[name], tokenizer=tokenizer, **params, **options)
        documents = [
            list(chain.from_iterable(repeat(word, times) for word, times in found.items()))
            for found in bm25.doc_freqs
        ]
        retriever._index.add(nodes, documents=documents)
        return retriever

    def __len__(self) -> int:
        return len(self._index)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        filtered = "" if self.filters is None else ", filtered"
        return (
            f"BM25Retriever(nodes={len(self)}, similarity_top_k={self.similarity_top_k}, "
            f"variant={self._index.bm25.params['variant']!r}, tokenizer={self._index.tokenizer.name!r}, "
            f"fields={self._index.fields}{filtered})"
        )

    def add(self, nodes: Sequence[BaseNode], *, show_progress: bool | None = None) -> list[str]:
        """Add nodes, or replace those whose id is there. All of them, or none if one is wrong.

        Returns
        -------
        list of str
            Node ids in the order given.

        Raises
        ------
        InvalidInputError, DuplicateIdError, SerializationError
        """
        if not isinstance(nodes, Iterable) or isinstance(nodes, (str, Mapping, BaseNode)):
            raise InvalidInputError(
                f"nodes must be a list of nodes, not {type(nodes).__name__}; write [node] for one"
            )
        with stage("add", self) as done:
            ids = self._index.add(list(nodes), show_progress=show_progress)
            done(ids=ids, nodes=len(ids))
        return ids

    def delete(self, ref_doc_id: str) -> int:
        """Delete every node of a source document. Returns how many there were."""
        if not isinstance(ref_doc_id, str):
            raise InvalidInputError(f"ref_doc_id={ref_doc_id!r} must be a string")
        with stage("delete", self, ref_doc_id=ref_doc_id) as done:
            count = self._index.delete_rows(self._index.of_document(ref_doc_id))
            done(nodes=count)
        return count

    def delete_nodes(
        self, node_ids: Iterable[str] | None = None, filters: MetadataFilters | None = None
    ) -> int:
        """Delete the nodes with these ids, or that match the filters, or both. Returns how many.

        Raises
        ------
        InvalidInputError
            Neither was given: that would delete everything.
        """
        if isinstance(node_ids, str):
            raise InvalidInputError(f"node_ids must be a list of strings: write [{node_ids!r}]")
        filtered = filters is not None and bool(filters.filters)
        if node_ids is None and not filtered:
            raise InvalidInputError("delete_nodes() needs node_ids or filters")
        with stage("delete", self) as done:
            if filters is None or not filtered:
                count = self._index.delete_ids(node_ids or ())
            else:
                rows = self._index.matching(filters)
                if node_ids is not None:
                    rows &= type(rows)(self._index.nodes.rows_of(node_ids).values())
                count = self._index.delete_rows(rows)
            done(nodes=count)
        return count

    def with_filters(self, filters: MetadataFilters) -> BM25Retriever:
        """A retriever over the same nodes that also asks for ``filters``. Costs nothing."""
        both = filters
        if self.filters is not None and self.filters.filters:
            both = MetadataFilters(filters=[self.filters, filters], condition=FilterCondition.AND)
        return self._twin(both)

    def _twin(self, filters: MetadataFilters | None) -> BM25Retriever:
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._share(self._index, self._background, self.similarity_top_k, filters)
        return twin

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        query = query_bundle.query_str
        if not query.strip():
            raise EmptyQueryError("the query text is empty; ask something")
        with stage("query", self, mode="bm25", top_k=self.similarity_top_k) as done:
            hits = [
                NodeWithScore(node=node, score=score)
                for node, score in self._index.search(query, self.similarity_top_k, self.filters)
            ]
            done(
                ids=[hit.node_id for hit in hits],
                scores=[hit.get_score() for hit in hits],
                nodes=len(hits),
            )
        return hits

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await self._background.run(lambda: self._retrieve(query_bundle))

    def persist(self, persist_dir: str | os.PathLike[str]) -> None:
        """Write everything to a folder ``bm25_retriever`` in ``persist_dir``, in the place of what is there.

        Other files there are left alone. Filters and ``similarity_top_k`` are a query's, not the index's,
        and are not kept.

        Raises
        ------
        OSError
            What was there is still there.
        """
        self._index.save(Path(persist_dir) / _FOLDER)

    @classmethod
    def from_persist_dir(
        cls,
        persist_dir: str | os.PathLike[str],
        *,
        similarity_top_k: int = 10,
        tokenizer: str | Callable[[str], Sequence[str]] | None = None,
        filters: MetadataFilters | None = None,
        **options: Any,
    ) -> BM25Retriever:
        """Open what :meth:`persist` wrote.

        Parameters
        ----------
        tokenizer : str or callable, optional
            Needed where it was one of your own; of the same name as then.
        **options
            ``callback_manager``, ``object_map``, ``objects``, ``verbose``.

        Raises
        ------
        NotACollectionError
            Nothing was persisted there.
        DamagedSnapshotError
            A file is missing, cut or altered; the message names it.
        InvalidInputError
            The tokenizer is not known here.
        """
        folder = Path(persist_dir) / _FOLDER
        if not folder.is_dir():
            raise NotACollectionError(
                f"{persist_dir} holds no {_FOLDER}; persist a BM25Retriever there first"
            )
        loaded = KeywordIndex.load(folder, tokenizer)
        retriever = cls(similarity_top_k=similarity_top_k, filters=filters, **options)
        retriever._index = loaded
        return retriever
