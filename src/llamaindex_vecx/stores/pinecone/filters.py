"""LlamaIndex filters to Pinecone's, as far as they go.

What is sent never excludes a node that matches; it may let through some that don't, and these are sorted
out here, by the same code that the local stores filter with. ``docs/pinecone.md`` has the table of what is
sent for each operator. Pinecone compares numbers only, looks into lists where LlamaIndex compares them
whole, and does not say what ``$ne`` does without the key: hence the alternatives in what is sent.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any, Final

from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)

from llamaindex_vecx.collection.filters import check, evaluate
from llamaindex_vecx.collection.metadata import DOCUMENT_KEYS, MetadataIndex
from llamaindex_vecx.stores.pinecone.limits import MAX_EXACT, MAX_IN
from llamaindex_vecx.stores.pinecone.records import KEYS, MARK, RESERVED, Found, hidden, listed

__all__ = ["EVERYTHING", "NOTHING", "Where", "both", "matching", "pushed_down"]

Where = dict[str, Any]
"""A filter as Pinecone takes it; ``{}`` lets everything through."""

ALL: Final[Where] = {}
NOTHING: Final[Where] = {"$nothing": True}
"""Never sent: no record can match."""

EVERYTHING: Final[Where] = {"$or": [{MARK: {"$exists": True}}, {MARK: {"$exists": False}}]}
"""For requests that must have a filter."""

Op = FilterOperator
_NEGATED = {Op.EQ: Op.NE, Op.NE: Op.EQ, Op.IN: Op.NIN, Op.NIN: Op.IN}
_COMPARE = {Op.GT: "$gt", Op.GTE: "$gte", Op.LT: "$lt", Op.LTE: "$lte"}


def pushed_down(filters: MetadataFilters | None, unfilterable: Collection[str] = ()) -> Where:
    """What to send for a filter: matches at least all nodes that the filter matches.

    Parameters
    ----------
    unfilterable : collection of str
        Keys that stand for something else in the index, e.g. its vector field.

    Raises
    ------
    FilterError
        The filter itself is wrong.
    """
    if filters is None:
        return ALL
    check(filters)
    return _group(filters, frozenset(unfilterable), negated=False)


def both(*parts: Where) -> Where:
    """Parts joined by and."""
    if NOTHING in parts:
        return NOTHING
    kept = [part for part in parts if part != ALL]
    return ALL if not kept else kept[0] if len(kept) == 1 else {"$and": kept}


def _either(*parts: Where) -> Where:
    if ALL in parts:
        return ALL
    kept = [part for part in parts if part != NOTHING]
    return NOTHING if not kept else kept[0] if len(kept) == 1 else {"$or": kept}


def _group(filters: MetadataFilters, unfilterable: frozenset[str], *, negated: bool) -> Where:
    if not filters.filters:
        return NOTHING if negated else ALL
    condition = FilterCondition(filters.condition or FilterCondition.AND)
    inner = negated != (condition == FilterCondition.NOT)
    parts = [
        _group(item, unfilterable, negated=inner)
        if isinstance(item, MetadataFilters)
        else _leaf(item, unfilterable, negated=inner)
        for item in filters.filters
    ]
    # none of them: each one negated, and; not none of them: any of them, or
    conjunction = condition == FilterCondition.AND
    if condition == FilterCondition.NOT:
        return _either(*parts) if negated else both(*parts)
    return both(*parts) if conjunction != negated else _either(*parts)


def _leaf(item: MetadataFilter, unfilterable: frozenset[str], *, negated: bool) -> Where:
    operator, key = FilterOperator(item.operator), item.key
    value: Any = item.value
    if negated:
        if operator not in _NEGATED:
            return ALL
        operator = _NEGATED[operator]
    if not _named(key) or key in unfilterable or (key in RESERVED and key not in DOCUMENT_KEYS):
        sendable = operator not in (Op.NE, Op.NIN, Op.IS_EMPTY) and value != []
        return _hides(key) if sendable else ALL
    if operator in (Op.EQ, Op.IN):
        values = [value] if operator == Op.EQ else list(value)
        return _among(key, values)
    if operator in (Op.NE, Op.NIN):
        values = [value] if operator == Op.NE else list(value)
        return _none_of(key, values)
    if operator in _COMPARE:
        return _compared(key, operator, value)
    if operator == Op.CONTAINS:
        return _containing(key, value)
    if operator == Op.ANY:
        return _either(*(_containing(key, one) for one in value))
    if operator == Op.ALL:
        return both(*(_containing(key, one) for one in value))
    if operator == Op.IS_EMPTY:
        # Other writers store the id of no document as "None".
        return (
            ALL
            if key in DOCUMENT_KEYS
            else _either({key: {"$exists": False}}, {key: {"$eq": ""}}, _hides(key))
        )
    return _either({key: {"$exists": True}}, _hides(key))  # text_match


def _named(key: str) -> bool:
    """Whether Pinecone can have a field of that name."""
    return bool(key) and not key.startswith("$")


def _hides(key: str) -> Where:
    return {KEYS: {"$in": [hidden(key)]}}


def _exact(value: Any) -> bool:
    """Whether Pinecone compares it as Python does, but for booleans."""
    if isinstance(value, str):
        return True
    return isinstance(value, (int, float)) and math.isfinite(value) and abs(value) <= MAX_EXACT


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, bool) else value


def _among(key: str, values: list[Any]) -> Where:
    known = [value for value in values if value is not None]  # None equals no value that is there
    if not known:
        return NOTHING
    if len(known) > MAX_IN or not all(map(_exact, known)):
        return ALL
    plain = [_number(value) for value in known]
    clause: Where = {key: {"$eq": plain[0]}} if len(plain) == 1 else {key: {"$in": plain}}
    # Python: True == 1, and a boolean is no number to Pinecone
    truths = [{key: {"$eq": truth}} for truth in (True, False) if truth in plain]
    return _either(clause, *truths, _hides(key))


def _none_of(key: str, values: list[Any]) -> Where:
    if len(values) > MAX_IN or not all(map(_exact, values)) or not values:
        return ALL
    plain = [_number(value) for value in values]
    return _either(
        {key: {"$ne": plain[0]}} if len(plain) == 1 else {key: {"$nin": plain}},
        {key: {"$exists": False}},
        # Pinecone looks into a list, LlamaIndex compares it whole; others' records don't say
        {KEYS: {"$in": [hidden(key), listed(key)]}},
        {MARK: {"$exists": False}},
    )


def _compared(key: str, operator: Op, value: Any) -> Where:
    if isinstance(value, str) or not _exact(value):
        return ALL
    bound = _number(value)
    holds = {Op.GT: bound.__lt__, Op.GTE: bound.__le__, Op.LT: bound.__gt__, Op.LTE: bound.__ge__}
    truths = [
        {key: {"$eq": truth}} for truth in (True, False) if holds[operator](int(truth)) is True
    ]
    return _either({key: {_COMPARE[operator]: bound}}, *truths, _hides(key))


def _containing(key: str, value: Any) -> Where:
    if not isinstance(value, str):
        return _hides(key)  # lists of numbers are never indexed
    # An element of a list, or part of a string; which of the two only our own records say.
    a_string = both(
        {key: {"$exists": True}},
        _either({KEYS: {"$exists": False}}, {KEYS: {"$nin": [listed(key)]}}),
    )
    return _either({key: {"$eq": value}}, a_string, _hides(key))


def matching(found: list[Found], filters: MetadataFilters | None) -> list[Found]:
    """Those whose node matches, by LlamaIndex's own semantics. Each has its node."""
    if filters is None or not filters.filters:
        return found
    nodes = [one.node for one in found if one.node is not None]
    index = MetadataIndex()
    index.add(
        range(len(nodes)), [node.metadata for node in nodes], [node.ref_doc_id for node in nodes]
    )
    kept = evaluate(filters, index)
    return [one for row, one in enumerate(found) if row in kept]
