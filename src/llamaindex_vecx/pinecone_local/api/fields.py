"""The fields of a schema of 2026-07, checked and with their defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llamaindex_vecx.pinecone_local.body import take_bool, take_count, take_dict, take_text
from llamaindex_vecx.pinecone_local.data.analysis import resolve
from llamaindex_vecx.pinecone_local.data.models import Models
from llamaindex_vecx.pinecone_local.data.shape import DENSE, SPARSE
from llamaindex_vecx.pinecone_local.data.values import MAX_DIMENSION
from llamaindex_vecx.pinecone_local.errors import invalid, unimplemented

__all__ = ["read_fields"]

_METRICS = ("cosine", "dotproduct", "euclidean")


def read_fields(schema: Mapping[str, Any], models: Models) -> dict[str, dict[str, Any]]:
    """The fields by name, as a describe reports them.

    Raises
    ------
    ApiError
        400, naming the field.
    """
    given = take_dict(schema, "fields")
    if not given:
        raise invalid("schema.fields must declare at least one field")
    fields = {name: _field(name, spec, models) for name, spec in given.items()}
    for slot, what in (("dense_vector", "embed"), ("sparse_vector", "sparse_embed")):
        holders = [
            name
            for name, spec in fields.items()
            if spec["type"] == slot or spec.get(what) is not None
        ]
        if len(holders) > 1:
            raise invalid(f"an index has one {slot} field at most, got {', '.join(holders)}")
    return fields


def _field(name: str, spec: Any, models: Models) -> dict[str, Any]:
    if not isinstance(spec, dict):
        raise invalid(f"schema.fields['{name:.60}'] must be an object")
    if not name or len(name.encode("utf-8", "replace")) > 64 or name.startswith("$"):
        raise invalid(f"field name '{name:.60}' must have 1 to 64 bytes and not start with '$'")
    kind = take_text(spec, "type")
    if name.startswith("_") and (name, kind) not in (
        (DENSE, "dense_vector"),
        (SPARSE, "sparse_vector"),
    ):
        raise invalid(f"field name '{name}' is reserved")
    note = {"description": take_text(spec, "description")} if "description" in spec else {}
    if kind == "dense_vector":
        return {"type": kind, **_dense(name, spec), **note}
    if kind == "sparse_vector":
        return {"type": kind, **note}
    if kind == "string":
        return {"type": kind, **_string(name, spec, models), **note}
    raise invalid(
        f"schema.fields['{name}'].type must be dense_vector, sparse_vector or string, not {kind!r:.40}: "
        "fields to filter by are not declared"
    )


def _dense(name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    metric = (take_text(spec, "metric", "cosine") or "").lower()
    if metric not in _METRICS:
        raise invalid(f"the metric of field '{name}' must be one of {', '.join(_METRICS)}")
    return {"dimension": take_count(spec, "dimension", 1, MAX_DIMENSION), "metric": metric}


def _string(name: str, spec: Mapping[str, Any], models: Models) -> dict[str, Any]:
    search, embed, sparse = (
        take_dict(spec, key) for key in ("full_text_search", "embed", "sparse_embed")
    )
    if search is None and embed is None and sparse is None:
        raise invalid(
            f"string field '{name}' needs full_text_search, embed or sparse_embed; a field to filter by "
            "is not declared"
        )
    if "filterable" in spec:
        raise invalid(f"string field '{name}' is searched, so it can't be filterable")
    if sparse is not None:
        raise unimplemented(f"field '{name}': this local server has no sparse embedding model")
    stored = spec.get("store_text") is None or take_bool(spec, "store_text")
    if not stored and (embed is None or search is not None):
        raise invalid(
            f"field '{name}': store_text=false goes with embed and without full_text_search"
        )
    answer: dict[str, Any] = {"store_text": stored}
    if stored:
        answer["full_text_search"] = resolve(search or {})
    if embed is not None:
        answer["embed"] = models.configuration(embed)
    return answer
