"""LlamaIndex nodes to the collection's records and back. Text and metadata are stored once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from llama_index.core.schema import (
    BaseNode,
    Document,
    ImageNode,
    IndexNode,
    MetadataMode,
    Node,
    TextNode,
)

from llamaindex_vecx.collection import Record
from llamaindex_vecx.collection.rows import decode
from llamaindex_vecx.errors import InvalidInputError, MissingEmbeddingError, SerializationError
from llamaindex_vecx.stores.restore import restore_text_node

__all__ = ["node_to_text_record", "nodes_to_records", "record_to_node"]

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_STORED_ELSEWHERE: dict[str, Any] = {
    "id_": True,
    "embedding": True,
    "metadata": True,
    "text": True,
    "text_resource": {"text": True},
}
_TYPES: dict[str, type[BaseNode]] = {
    cls.class_name(): cls for cls in (TextNode, ImageNode, IndexNode, Node, Document)
}


def nodes_to_records(nodes: Sequence[BaseNode]) -> list[Record]:
    """One record a node, in order.

    Raises
    ------
    InvalidInputError
        Something in ``nodes`` is not a node, or its source is not a single document.
    MissingEmbeddingError
        A node has no embedding.
    SerializationError
        A node that JSON can't hold, e.g. an IndexNode over a live object.
    """
    # Too large for float32 becomes infinity, which the collection refuses. Once for all nodes: to say so
    # takes longer than to convert a vector.
    with np.errstate(over="ignore"):
        return [_node_to_record(node) for node in nodes]


def _node_to_record(node: BaseNode) -> Record:
    record = node_to_text_record(node)
    if node.embedding is None:
        raise MissingEmbeddingError(
            f"node {node.node_id!r} has no embedding; embed it first, "
            "e.g. by VectorStoreIndex or IngestionPipeline with an embed_model"
        )
    try:
        vector = np.asarray(node.embedding, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"node {node.node_id!r} has an embedding that is no list of numbers: {error}"
        ) from error
    record.vector = vector
    return record


def node_to_text_record(node: BaseNode) -> Record:
    """A node's record without a vector.

    Raises
    ------
    InvalidInputError, SerializationError
        As :func:`nodes_to_records`.
    """
    if not isinstance(node, BaseNode):
        raise InvalidInputError(f"nodes must hold LlamaIndex nodes, not {type(node).__name__}")
    try:
        rest = node.model_dump(mode="json", exclude=_STORED_ELSEWHERE, exclude_defaults=True)
        content = _encode(rest)
    except (TypeError, ValueError) as error:
        raise SerializationError(
            f"node {node.node_id!r} can't be written as JSON: {error}"
        ) from error
    try:
        ref_doc_id = node.ref_doc_id
    except ValueError as error:
        raise InvalidInputError(f"node {node.node_id!r}: {error}") from error
    return Record(
        id=node.node_id,
        vector=None,
        text=node.get_content(metadata_mode=MetadataMode.NONE),
        metadata=node.metadata,
        content=content,
        ref_doc_id=ref_doc_id,
    )


def record_to_node(record: Record) -> BaseNode:
    """The node that was stored, with its embedding where the record has the vector."""
    fields: dict[str, Any] = decode(record.content, "a node's content")
    cls = _TYPES.get(fields.pop("class_name", ""), TextNode)
    embedding = None if record.vector is None else record.vector.tolist()
    if cls is TextNode:
        node = restore_text_node(record.id, record.text, record.metadata, embedding, fields)
        if node is not None:
            return node
    fields["id_"] = record.id
    fields["metadata"] = record.metadata
    if embedding is not None:
        fields["embedding"] = embedding
    if issubclass(cls, TextNode):
        fields["text"] = record.text
    elif record.text or fields.get("text_resource") is not None:
        fields["text_resource"] = {**(fields.get("text_resource") or {}), "text": record.text}
    return cls.from_dict(fields)
