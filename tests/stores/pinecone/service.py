"""A model of what Pinecone's filters mean, in each of the ways that its documentation leaves open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Service:
    """How the service reads a filter where the documentation does not say.

    Attributes
    ----------
    ne_without_key : bool
        Whether ``$ne`` and ``$nin`` match a record that lacks the key.
    """

    ne_without_key: bool

    def matches(self, where: dict[str, Any], fields: dict[str, Any]) -> bool:
        return all(self._clause(key, value, fields) for key, value in where.items())

    def _clause(self, key: str, value: Any, fields: dict[str, Any]) -> bool:
        if key == "$and":
            assert value, "an empty $and is refused"
            return all(self.matches(part, fields) for part in value)
        if key == "$or":
            assert value, "an empty $or is refused"
            return any(self.matches(part, fields) for part in value)
        assert not key.startswith("$"), key
        (operator, operand), *more = value.items()
        assert not more
        return self._field(operator, operand, fields.get(key), key in fields)

    def _field(self, operator: str, operand: Any, stored: Any, there: bool) -> bool:
        if operator == "$exists":
            return there is operand
        if operator in ("$ne", "$nin"):
            opposite = {"$ne": "$eq", "$nin": "$in"}[operator]
            return (
                not self._field(opposite, operand, stored, there) if there else self.ne_without_key
            )
        if not there:
            return False
        held = stored if isinstance(stored, list) else [stored]
        if operator == "$eq":
            assert isinstance(operand, (str, int, float)), operand
            return any(_same(one, operand) for one in held)
        if operator == "$in":
            assert operand, "an empty $in is refused"
            assert all(type(one) in (str, int, float) for one in operand), operand
            return any(_same(one, other) for one in held for other in operand)
        assert type(operand) in (int, float), "Pinecone compares numbers only"
        return any(type(one) in (int, float) and _holds(operator, one, operand) for one in held)


def _same(stored: Any, operand: Any) -> bool:
    if isinstance(stored, bool) or isinstance(operand, bool):
        return stored is operand
    if isinstance(stored, str) or isinstance(operand, str):
        return type(stored) is type(operand) and stored == operand
    return float(stored) == float(operand)


def _holds(operator: str, stored: float, bound: float) -> bool:
    stored, bound = float(stored), float(bound)
    return {
        "$gt": stored > bound,
        "$gte": stored >= bound,
        "$lt": stored < bound,
        "$lte": stored <= bound,
    }[operator]
