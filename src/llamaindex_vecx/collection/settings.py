"""The settings of a collection: given, stored, default, and what happens when they disagree."""

from __future__ import annotations

import inspect
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from llamaindex_vecx.errors import InvalidInputError, SettingsConflictError
from llamaindex_vecx.index import FAISS, HNSW, Flat
from llamaindex_vecx.metrics import MetricName, as_metric
from llamaindex_vecx.text import BM25

__all__ = ["INDEXES", "NOTHING_GIVEN", "TUNABLE", "Settings", "changed", "resolve"]

INDEXES: dict[str, Any] = {"flat": Flat, "hnsw": HNSW, "faiss": FAISS}
TUNABLE: Mapping[str, frozenset[str]] = {
    "hnsw": frozenset({"ef_search", "target_recall", "on_disk"})
}
"""Parameters that an index takes anew at any time, by kind: another value needs no other index."""

_shown = reprlib.Repr()
_shown.maxstring = 120
_NOT_PARAMETERS = {"dim", "metric", "folder"}


@dataclass(frozen=True)
class Settings:
    """What a collection is built with. Stored in it, complete, when it is created."""

    index: str = "hnsw"
    metric: MetricName = "cosine"
    dim: int | None = None
    index_params: dict[str, Any] = field(default_factory=dict)
    tokenizer: str = "default"
    bm25_params: dict[str, Any] = field(default_factory=dict)
    durability: str = "full"

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


NOTHING_GIVEN: Mapping[str, Any] = dict.fromkeys(Settings.__dataclass_fields__)


def resolve(
    given: Mapping[str, Any], stored: Mapping[str, Any] | None, dim: int | None = None
) -> Settings:
    """The settings to open with: ``given`` values that are None don't count.

    Parameters
    ----------
    given, stored : mapping
        As the fields of :class:`Settings`; ``stored`` is None for a new collection.
    dim : int, optional
        What the stored vectors have.

    Raises
    ------
    SettingsConflictError
        A given value differs from the stored one. Names both.
    InvalidInputError
        An unknown index, metric, durability or parameter.
    """
    _check(given, stored or {})
    if stored is None:
        kind = given["index"] or Settings.index
        settings = Settings(
            index=kind,
            metric=given["metric"] or Settings.metric,
            dim=given["dim"],
            index_params={**defaults(INDEXES[kind]), **(given["index_params"] or {})},
            tokenizer=given["tokenizer"] or Settings.tokenizer,
            bm25_params={**defaults(BM25), **(given["bm25_params"] or {})},
            durability=given["durability"] or Settings.durability,
        )
        # whoever takes the values knows which are wrong
        _try(kind, settings.dim, settings.metric, settings.index_params)
        BM25(**settings.bm25_params)
        return settings
    for name, value in given.items():
        if value is None:
            continue
        if isinstance(value, Mapping):
            for key, item in value.items():
                _compare(f"{name}[{key!r}]", item, stored[name].get(key))
        elif name != "dim":
            _compare(name, value, stored[name])
        elif (dim or stored["dim"]) is not None:
            _compare(name, value, dim or stored["dim"])
    return Settings(**{**stored, "dim": stored["dim"] or given["dim"]})


def changed(settings: Settings, params: Mapping[str, Any]) -> Settings:
    """The settings with other parameters of the index.

    Raises
    ------
    InvalidInputError
        A parameter is unknown, or a value is wrong.
    """
    _check_names("index_params", params, INDEXES[settings.index])
    merged = {**settings.index_params, **params}
    _try(settings.index, settings.dim, settings.metric, merged)
    return replace(settings, index_params=merged)


def defaults(factory: Callable[..., Any]) -> dict[str, Any]:
    """The parameters of an index and their default values, from its signature."""
    return {
        name: parameter.default
        for name, parameter in inspect.signature(factory).parameters.items()
        if name not in _NOT_PARAMETERS and parameter.default is not parameter.empty
    }


def _try(kind: str, dim: int | None, metric: MetricName, params: Mapping[str, Any]) -> None:
    """Make an index of a dimension that it can have, where none is known yet."""
    some_dim = getattr(INDEXES[kind], "some_dim", lambda **_: 2)
    INDEXES[kind](dim or some_dim(**params), metric, **params)


def _compare(name: str, given: Any, stored: Any) -> None:
    if given != stored:
        raise SettingsConflictError(
            f"{name}={_shown.repr(given)} contradicts the stored collection, which has "
            f"{_shown.repr(stored)}; "
            "leave the argument out, or build a new collection in another folder"
        )


def _check(given: Mapping[str, Any], stored: Mapping[str, Any]) -> None:
    kind = given["index"]
    if kind is not None and kind not in INDEXES:
        raise InvalidInputError(f"index={kind!r} is unknown; choose one of {', '.join(INDEXES)}")
    if given["metric"] is not None:
        as_metric(given["metric"])
    dim = given["dim"]
    if dim is not None and (isinstance(dim, bool) or not isinstance(dim, int) or dim < 1):
        raise InvalidInputError(f"dim={dim!r} must be a positive integer")
    if given["durability"] not in (None, "full", "normal"):
        raise InvalidInputError(f"durability={given['durability']!r} must be 'full' or 'normal'")
    used = stored.get("index") or kind or Settings.index
    params = given["index_params"] or {}
    _check_names("index_params", params, INDEXES[used])
    if not stored:  # refuse a bad value here, not when the first vector arrives
        _try(used, None, given["metric"] or Settings.metric, params)
    _check_names("bm25_params", given["bm25_params"], BM25)
    BM25(**(given["bm25_params"] or {}))


def _check_names(name: str, given: Mapping[str, Any] | None, factory: Callable[..., Any]) -> None:
    known = defaults(factory)
    for key in given or {}:
        if key not in known:
            raise InvalidInputError(
                f"{name}[{key!r}] is unknown; this index takes {', '.join(known) or 'none'}"
            )
