"""Which relevant ids are in a collection at all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from llama_index.core.vector_stores.types import MetadataFilter, MetadataFilters

from llamaindex_vecx.collection import Collection
from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.evaluation.labelled import LabelledQueries, named
from llamaindex_vecx.groups import group_of

__all__ = ["missing_ids"]


def missing_ids(collection: Collection, labelled: LabelledQueries) -> list[str]:
    """Relevant ids that are not in a collection.

    Raises
    ------
    InvalidInputError
        None is in it.
    """
    wanted = labelled.relevant_ids()
    there = _present(collection, wanted, labelled.group_by)
    missing = [id_ for id_ in wanted if id_ not in there]
    if len(missing) == len(wanted):
        what = "nodes" if labelled.group_by is None else f"values of {labelled.group_by!r}"
        examples = _examples(collection, labelled.group_by)
        raise InvalidInputError(
            f"none of the {len(wanted)} relevant ids of {labelled.name} is in the collection: "
            f"{named(wanted, 3)}; they are looked up as {what}, of which it has e.g. "
            f"{named(examples, 3) or 'none'}. Say what they name with group_by"
        )
    return missing


def _present(collection: Collection, ids: Sequence[str], group_by: str | None) -> set[str]:
    if group_by is None:
        rows = collection.rows_of(ids)
        return {id_ for id_, row in zip(ids, rows, strict=True) if row is not None}

    def has(value: str | int | float) -> bool:
        condition = MetadataFilter(key=group_by, value=value)
        return bool(collection.select(filters=MetadataFilters(filters=[condition])))

    return {id_ for id_ in ids if any(map(has, _spellings(id_)))}


def _spellings(id_: str) -> Iterator[str | int | float]:
    """The value as text, and as the number that it reads as: metadata may hold either."""
    yield id_
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            yield kind(id_)


def _examples(collection: Collection, group_by: str | None) -> list[str]:
    if group_by is None:
        return collection.ids(limit=3)
    records = collection.records(list(collection.all_rows())[:3])
    return [
        str(group_of(group_by, record.metadata, record.ref_doc_id, record.id))
        for record in records
        if record is not None
    ]
