"""Nodes to records, every one of them checked before the first is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from llama_index.core.schema import BaseNode
from numpy.typing import NDArray

from llamaindex_vecx.errors import DuplicateIdError, InvalidInputError, MissingEmbeddingError
from llamaindex_vecx.metrics import check_vectors
from llamaindex_vecx.stores.pinecone.limits import MAX_METADATA, vector_id_of
from llamaindex_vecx.stores.pinecone.records import (
    NORM,
    Record,
    fields_of,
    plain_text,
    size_of,
    too_large,
)
from llamaindex_vecx.stores.pinecone.sdk import IndexInfo
from llamaindex_vecx.text.sparse import BM25SparseEncoder

__all__ = ["Maker", "unfilterable"]


def unfilterable(info: IndexInfo) -> frozenset[str]:
    """Metadata keys that Pinecone can't filter by, because they name the index's own fields."""
    if info.api == "vectors":
        return frozenset()
    return frozenset(filter(None, (info.dense, info.sparse, *info.texts, "_id", "_score")))


@dataclass(frozen=True)
class Maker:
    """Makes the records of one store.

    Attributes
    ----------
    normalize : bool
        Store unit vectors, so that an inner product is the cosine.
    document_ids : bool
        Write ids as LlamaIndex's own store does: ``document#node``.
    has_docstore : bool
        Texts that are too long are kept there.
    """

    info: IndexInfo
    encoder: BM25SparseEncoder | None
    normalize: bool
    document_ids: bool
    has_docstore: bool

    def records(self, nodes: Sequence[BaseNode]) -> tuple[list[Record], list[BaseNode]]:
        """One record a node, in order, and the nodes whose text has to be kept elsewhere.

        Raises
        ------
        InvalidInputError, DimensionError, NonFiniteError, DuplicateIdError, MissingEmbeddingError, \
SerializationError
            A node can't be stored; named.
        """
        made, outside = [], []
        seen: set[str] = set()
        for node in nodes:
            if not isinstance(node, BaseNode):
                raise InvalidInputError(
                    f"nodes must hold LlamaIndex nodes, not {type(node).__name__}"
                )
            if node.node_id in seen:
                raise DuplicateIdError(
                    f"node id {node.node_id!r} comes twice; each id takes one node"
                )
            seen.add(node.node_id)
            record, kept_outside = self._record(node)
            made.append(record)
            if kept_outside:
                outside.append(node)
        return made, outside

    def _record(self, node: BaseNode) -> tuple[Record, bool]:
        try:
            ref_doc_id = node.ref_doc_id
        except ValueError as error:
            raise InvalidInputError(f"node {node.node_id!r}: {error}") from error
        text = plain_text(node)
        fields = fields_of(node, unfilterable=unfilterable(self.info))
        outside = False
        size = size_of(fields)
        if size > MAX_METADATA:
            fields = fields_of(node, unfilterable=unfilterable(self.info), without_text=True)
            outside = self.has_docstore
            if not outside or size_of(fields) > MAX_METADATA:
                raise too_large(node, size)
        values = self._values(node, fields)
        sparse = self._sparse(node, text)
        wire = node.node_id
        if self.document_ids and ref_doc_id is not None:
            wire = f"{ref_doc_id}#{wire}"
        return Record(vector_id_of(wire), node.node_id, values, sparse, fields, text), outside

    def _values(self, node: BaseNode, fields: dict[str, object]) -> NDArray[np.float32] | None:
        if self.info.dense is None:
            return None
        if node.embedding is None:
            raise MissingEmbeddingError(
                f"node {node.node_id!r} has no embedding; embed it first, "
                "e.g. by VectorStoreIndex or IngestionPipeline with an embed_model"
            )
        vector: NDArray[np.float32] = check_vectors(
            [node.embedding], dim=self.info.dim, argument=f"embedding of node {node.node_id!r}"
        )[0]
        norm = float(np.sqrt(np.dot(vector.astype(np.float64), vector)))
        if norm == 0.0:
            raise InvalidInputError(
                f"embedding of node {node.node_id!r} is a zero vector, which Pinecone refuses; "
                "leave the node out, or embed a text that is not empty"
            )
        if self.normalize:
            vector = vector / np.float32(norm)
            fields[NORM] = norm
        return vector

    def _sparse(self, node: BaseNode, text: str) -> tuple[list[int], list[float]] | None:
        if self.encoder is None or self.info.sparse is None:
            return None
        sparse = self.encoder.encode_document(text)
        if sparse[0]:
            return sparse
        if self.info.dense is None:
            raise InvalidInputError(
                f"node {node.node_id!r} has no term, and index {self.info.name!r} holds sparse vectors "
                "alone; leave the node out, or use an index with a dense field"
            )
        return None
