"""What goes into a collection and comes out of it, and the checks on the way in."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.errors import (
    DimensionError,
    DuplicateIdError,
    InvalidInputError,
    MissingEmbeddingError,
    NonFiniteError,
    SerializationError,
)

__all__ = ["Record", "check_ids", "encode_metadata", "stack_vectors"]

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_SCALARS = frozenset((str, int, float, bool, type(None)))


@dataclass(slots=True)
class Record:
    """One row of a collection.

    Attributes
    ----------
    id : str
        Unique in the collection; adding it again replaces the record.
    vector : float32, shape (dim,), or None
        None only on the way out, where vectors were not asked for.
    text : str
        What BM25 searches. May be empty.
    metadata : dict
        Plain JSON: strings, numbers, booleans, None, and lists and dicts of these.
    content : str
        Opaque to the collection: the LlamaIndex node as JSON without text, metadata and embedding.
    ref_doc_id : str or None
        The source document's id.
    """

    id: str
    vector: NDArray[np.float32] | None
    text: str
    metadata: dict[str, Any]
    content: str
    ref_doc_id: str | None = None


def check_ids(records: Sequence[Record]) -> list[str]:
    """The ids of a batch.

    Raises
    ------
    DuplicateIdError
        An id stands twice in the batch.
    InvalidInputError
        A field has another type than :class:`Record` says.
    """
    ids = [record.id for record in records]
    for record in records:
        if not (
            isinstance(record.id, str)
            and isinstance(record.text, str)
            and isinstance(record.content, str)
            and (record.ref_doc_id is None or isinstance(record.ref_doc_id, str))
        ):
            raise InvalidInputError(
                f"record {record.id!r}: id, text and content must be strings and ref_doc_id a string or None"
            )
    if len(set(ids)) != len(ids):
        twice = [id_ for id_, times in Counter(ids).items() if times > 1]
        some = ", ".join(repr(id_) for id_ in twice[:5]) + (", …" if len(twice) > 5 else "")
        raise DuplicateIdError(
            f"{len(twice)} of {len(ids)} ids stand more than once in this batch: {some}; "
            "give every record its own id, or add the later ones in a second call to replace the first"
        )
    return ids


def stack_vectors(records: Sequence[Record], dim: int | None) -> NDArray[np.float32]:
    """The vectors of a batch as one block.

    Returns
    -------
    float32, shape (n, dim)
        A new array.

    Raises
    ------
    MissingEmbeddingError, DimensionError, NonFiniteError, InvalidInputError
        Naming the first record that is wrong.
    """
    try:
        with np.errstate(over="ignore"):
            block = np.array([record.vector for record in records], dtype=np.float32)
    except (TypeError, ValueError):
        raise _explain(records, dim) from None
    if block.ndim != 2 or block.shape[1] == 0 or (dim is not None and block.shape[1] != dim):
        raise _explain(records, dim)
    # the sum is finite unless a value isn't, or the sum overflows: only then look at each
    if not np.isfinite(np.add.reduce(block, axis=None, dtype=np.float64)):
        wrong = np.flatnonzero(~np.isfinite(block).all(axis=1))
        raise NonFiniteError(
            f"the vector of record {records[wrong[0]].id!r} holds NaN or infinity "
            f"({len(wrong)} of {len(block)} vectors here do); remove such records or embed them again"
        )
    return block


def _explain(records: Sequence[Record], dim: int | None) -> InvalidInputError:
    """The exception for the first record whose vector doesn't fit."""
    for record in records:
        if record.vector is None:
            return MissingEmbeddingError(
                f"record {record.id!r} has no vector; embed it before adding it"
            )
        try:
            vector = np.asarray(record.vector, dtype=np.float32)
        except (TypeError, ValueError) as error:
            return InvalidInputError(f"the vector of record {record.id!r} is no array: {error}")
        if vector.ndim != 1 or not len(vector):
            return InvalidInputError(
                f"the vector of record {record.id!r} must have shape (dim,), not {vector.shape}"
            )
        dim = dim if dim is not None else len(vector)
        if len(vector) != dim:
            return DimensionError(
                f"the vector of record {record.id!r} has dimension {len(vector)}, the collection has "
                f"{dim}; embed with the model that the collection was built with"
            )
    return InvalidInputError("the vectors form no block of numbers of shape (n, dim)")


def encode_metadata(record: Record) -> str:
    """A record's metadata as JSON that reads back equal.

    Python's JSON would quietly turn a tuple into a list and the key 1 into "1". What reads back as
    something else is refused; NaN and infinity are kept, since Python reads them back.

    Raises
    ------
    SerializationError
        Naming the record and the key.
    """
    metadata = record.metadata
    if not isinstance(metadata, dict):
        raise SerializationError(
            f"the metadata of record {record.id!r} is {type(metadata).__name__}, not dict"
        )
    try:
        for key, value in metadata.items():
            if type(key) is not str or type(value) not in _SCALARS:
                _check_exact(record.id, key, key, value)
        return _encode(metadata)
    except (TypeError, ValueError, RecursionError) as error:
        if isinstance(error, SerializationError):
            raise
        raise SerializationError(
            f"the metadata of record {record.id!r} can't be written as JSON: {error}"
        ) from error


def _check_exact(id_: str, top: object, key: object, value: object) -> None:
    if not isinstance(key, str):
        raise SerializationError(
            f"metadata key {key!r} of record {id_!r} is {type(key).__name__}; "
            "keys must be strings, or they would not read back as they were"
        )
    if isinstance(value, dict):
        for inner, item in value.items():
            _check_exact(id_, top, inner, item)
    elif isinstance(value, list):
        for item in value:
            _check_exact(id_, top, key, item)
    elif value is not None and not isinstance(value, (str, int, float)):
        raise SerializationError(
            f"metadata {top!r} of record {id_!r} holds {type(value).__name__}, which JSON can't; "
            "use strings, numbers, booleans, None, and lists and dicts of these"
        )
