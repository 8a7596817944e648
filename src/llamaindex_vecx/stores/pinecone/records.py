"""Nodes to Pinecone's records and back.

A record's metadata holds the whole node as JSON, under the names that LlamaIndex's stores share, and beside
it, for filters, every value that Pinecone can index: strings, numbers, booleans and lists of strings. What
it can't index (None, nested values, lists of numbers) lives in the JSON alone, and ``_vecx_keys`` says so,
so that a filter never misses a node for the way its metadata is stored.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
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
from llama_index.core.vector_stores.utils import node_to_metadata_dict
from numpy.typing import NDArray

from llamaindex_vecx.collection.metadata import DOCUMENT_KEYS
from llamaindex_vecx.errors import FormatError, InvalidInputError, SerializationError
from llamaindex_vecx.stores.pinecone.limits import MAX_EXACT, MAX_METADATA, node_id_of

__all__ = [
    "CONTENT",
    "KEYS",
    "MARK",
    "NORM",
    "OUTSIDE",
    "RESERVED",
    "TYPE",
    "Found",
    "Record",
    "fields_of",
    "hidden",
    "listed",
    "node_of",
    "plain_text",
    "size_of",
    "too_large",
]

CONTENT, TYPE = "_node_content", "_node_type"
MARK = "_vecx"
"""1 in every record that this package wrote."""

KEYS = "_vecx_keys"
"""What is special about metadata keys: see :func:`hidden` and :func:`listed`."""

NORM = "_vecx_norm"
"""Length of the embedding as given, where a unit vector is stored in its place."""

OUTSIDE = "_vecx_outside"
"""True where the text is in the docstore."""

RESERVED = frozenset((CONTENT, TYPE, MARK, KEYS, NORM, OUTSIDE, *DOCUMENT_KEYS))

_TYPES: dict[str, type[BaseNode]] = {
    cls.class_name(): cls for cls in (TextNode, ImageNode, IndexNode, Node, Document)
}


@dataclass(frozen=True)
class Record:
    """One node as it will be sent.

    Attributes
    ----------
    values : float32, shape (dim,), or None
        An array, since a list of numbers takes eight times its memory.
    sparse : (dimensions, weights) or None
    """

    id: str
    node_id: str
    values: NDArray[np.float32] | None
    sparse: tuple[list[int], list[float]] | None
    fields: dict[str, Any]
    text: str


@dataclass
class Found:
    """One record as it comes back. What was not asked for is None."""

    id: str
    score: float = 0.0
    fields: dict[str, Any] | None = None
    values: list[float] | None = None
    sparse: tuple[list[int], list[float]] | None = None
    node: BaseNode | None = field(default=None, compare=False)


def hidden(key: str) -> str:
    """In ``_vecx_keys``: the key has a value that Pinecone can't index."""
    return f"hidden:{key}"


def listed(key: str) -> str:
    """In ``_vecx_keys``: the key's value is a list of strings."""
    return f"list:{key}"


def fields_of(
    node: BaseNode, *, unfilterable: Collection[str] = (), without_text: bool = False
) -> dict[str, Any]:
    """A node's metadata in Pinecone.

    Parameters
    ----------
    unfilterable : collection of str
        Keys that stand for something else in this index, e.g. its vector field.
    without_text : bool
        Leave the text out, because the docstore has it.

    Raises
    ------
    SerializationError
        A node that JSON can't hold; named.
    """
    try:
        written = node_to_metadata_dict(node, remove_text=without_text)
        written[CONTENT].encode()
    except (TypeError, ValueError) as error:
        raise SerializationError(
            f"node {node.node_id!r} can't be written as JSON: {error}"
        ) from error
    fields: dict[str, Any] = {MARK: 1, CONTENT: written[CONTENT], TYPE: written[TYPE]}
    if without_text:
        fields[OUTSIDE] = True
    if node.ref_doc_id is not None:
        fields.update(dict.fromkeys(DOCUMENT_KEYS, node.ref_doc_id))
    notes: list[str] = []
    for key, value in node.metadata.items():
        if key in RESERVED or key in unfilterable:
            notes.append(hidden(key))
        elif value is None or value == []:
            continue  # to a filter as if the key were not there
        elif not _indexable(key, value):
            notes.append(hidden(key))
        else:
            fields[key] = value
            if isinstance(value, list):
                notes.append(listed(key))
    if notes:
        fields[KEYS] = notes
    return fields


def _indexable(key: str, value: Any) -> bool:
    if not isinstance(key, str) or not key or key.startswith("$"):
        return False
    if isinstance(value, (str, bool)):
        return True
    if isinstance(value, int):
        return abs(value) <= MAX_EXACT
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def size_of(fields: Mapping[str, Any]) -> int:
    """Bytes of metadata as Pinecone counts them: compact JSON in UTF-8."""
    return len(json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode())


def too_large(node: BaseNode, size: int) -> InvalidInputError:
    """What is raised for a node that does not fit into a record."""
    return InvalidInputError(
        f"node {node.node_id!r} takes {size:,} bytes as metadata, Pinecone takes {MAX_METADATA:,}; "
        "split it into smaller nodes, or give the store a docstore=… that keeps long texts"
    )


def node_of(found: Found, *, text_key: str) -> BaseNode:
    """The node that was stored, or one made from the metadata of another writer's record.

    Raises
    ------
    FormatError
        The record says that it is a node and is none.
    """
    fields = found.fields or {}
    content = fields.get(CONTENT)
    if content is None:
        plain = {key: value for key, value in fields.items() if key != text_key}
        node: BaseNode = TextNode(
            id_=node_id_of(found.id), text=str(fields.get(text_key, "")), metadata=plain
        )
    else:
        try:
            node = _TYPES.get(str(fields.get(TYPE)), TextNode).from_dict(json.loads(content))
        except (TypeError, ValueError) as error:
            raise FormatError(
                f"record {found.id!r} has a damaged {CONTENT}: {error}; add its node again"
            ) from error
    if found.values:
        norm = fields.get(NORM)
        node.embedding = (
            list(found.values) if norm is None else [float(x) * norm for x in found.values]
        )
    return node


def plain_text(node: BaseNode) -> str:
    """What keyword search sees of a node."""
    return node.get_content(metadata_mode=MetadataMode.NONE)
