"""Documents as JSON, to and from what is kept, by an index's schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llamaindex_vecx.pinecone_local.data.item import Item
from llamaindex_vecx.pinecone_local.data.models import Models
from llamaindex_vecx.pinecone_local.data.shape import Shape
from llamaindex_vecx.pinecone_local.data.values import (
    as_json,
    check_id,
    check_metadata,
    read_dense,
    read_sparse,
)
from llamaindex_vecx.pinecone_local.errors import invalid

__all__ = ["Documents"]

_RESERVED = ("_id", "_score", "_values", "_sparse_values", "_remove_fields")
Patch = Callable[[Item], Item]


class Documents:
    """Reads and writes the documents of one index.

    Parameters
    ----------
    shape : Shape
    models : Models
        Those that embed.
    """

    def __init__(self, shape: Shape, models: Models) -> None:
        self._shape = shape
        self._models = models

    def read(self, documents: Sequence[Mapping[str, Any]]) -> tuple[list[Item], int]:
        """Items from JSON, and how many tokens were embedded. The ids were checked."""
        items = [self._read(document) for document in documents]
        tokens = 0
        for name, spec in self._shape.embedded.items():
            holders = [item for item in items if name in item.fields]
            if not holders:
                continue
            texts = [item.fields[name] for item in holders]
            vectors, read = self._models.embed(spec["embed"]["model"], texts)
            tokens += read
            for item, vector in zip(holders, vectors, strict=True):
                item.dense = vector
                if name in self._shape.unstored:
                    del item.fields[name]
        return items, tokens

    def patch(self, sets: Mapping[str, Any], drops: Sequence[str]) -> tuple[Patch, int]:
        """A partial update: fields to set and fields to remove, and how many tokens were embedded."""
        for name in drops:
            if name in sets:
                raise invalid(f"field '{name}' is both set and removed")
            if name in _RESERVED:
                raise invalid(f"field '{name}' can't be removed")
        shape = self._shape
        (given,), tokens = self.read([{"_id": "*", **sets}])
        no_dense = shape.dense in drops or any(name in drops for name in shape.embedded)
        no_sparse = shape.sparse in drops

        def apply(item: Item) -> Item:
            kept = {name: value for name, value in item.fields.items() if name not in drops}
            dense = None if no_dense else item.dense
            sparse = None if no_sparse else item.sparse
            return Item(
                item.id,
                dense if given.dense is None else given.dense,
                sparse if given.sparse is None else given.sparse,
                {**kept, **given.fields},
            )

        return apply, tokens

    def fields(self, names: Sequence[str]) -> set[str] | None:
        """The fields to write; None for all.

        Raises
        ------
        ApiError
            400: the text of a field is not stored.
        """
        for name in names:
            if name in self._shape.unstored:
                raise invalid(f"field '{name}' has store_text=false: its text can't be returned")
        return None if "*" in names else set(names)

    def needs_vectors(self, wanted: set[str] | None) -> bool:
        """Whether writing these fields needs the dense vector."""
        return self._shape.dense is not None and (wanted is None or self._shape.dense in wanted)

    def write(self, item: Item, wanted: set[str] | None) -> dict[str, Any]:
        """A document as JSON, with some fields or all."""
        document: dict[str, Any] = {"_id": item.id}
        shape = self._shape
        vectors: dict[str, Any] = {}
        if shape.dense and "#" not in shape.dense and item.dense is not None:
            vectors[shape.dense] = as_json(item.dense)
        if shape.sparse and "#" not in shape.sparse and item.sparse is not None:
            vectors[shape.sparse] = item.sparse.json()
        for name, value in {**item.fields, **vectors}.items():
            if wanted is None or name in wanted:
                document[name] = value
        return document

    def _read(self, document: Mapping[str, Any]) -> Item:
        shape = self._shape
        item = Item(check_id(document["_id"], "Document '_id'"), None, None, {})
        for name, value in document.items():
            if name == "_id":
                continue
            if name == shape.dense and shape.dimension is not None:
                item.dense = read_dense(value, shape.dimension, f"Field '{name}'")
                if shape.metric == "cosine" and not item.dense.any():
                    raise invalid(f"field '{name}' must hold a value other than zero")
            elif name == shape.sparse:
                item.sparse = read_sparse(value, f"Field '{name}'")
            elif name in _RESERVED:
                raise invalid(f"field name '{name}' is reserved")
            elif (name in shape.texts or name in shape.embedded) and not isinstance(value, str):
                raise invalid(f"field '{name}' must be a string")
            else:
                item.fields[name] = value
        searched = {*shape.texts, *shape.embedded}
        check_metadata(
            {name: value for name, value in item.fields.items() if name not in searched}, item.id
        )
        return item
