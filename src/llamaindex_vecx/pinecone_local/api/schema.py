"""An index's model: read from a create request of either form, changed, and written in either form.

The API versions before 2026-07 say ``dimension``, ``metric`` and ``spec``; 2026-07 says ``schema`` and
``deployment``. The model kept is the union of what both need.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from llamaindex_vecx.pinecone_local.api.deployment import (
    read_capacity,
    read_deployment,
    read_metadata_schema,
    read_spec,
    read_spec_change,
    write_spec,
)
from llamaindex_vecx.pinecone_local.api.fields import read_fields
from llamaindex_vecx.pinecone_local.body import take_count, take_dict, take_text
from llamaindex_vecx.pinecone_local.data.models import Models
from llamaindex_vecx.pinecone_local.data.shape import DENSE, SPARSE, Shape, shape_of
from llamaindex_vecx.pinecone_local.data.values import MAX_DIMENSION
from llamaindex_vecx.pinecone_local.errors import invalid, missing

__all__ = ["configured", "created", "created_for_model", "described", "shape"]

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
METRICS = ("cosine", "dotproduct", "euclidean")


def shape(model: Mapping[str, Any]) -> Shape:
    """What an index holds."""
    return shape_of(model["kind"], model["fields"])


def created(body: Mapping[str, Any], models: Models, *, typed: bool) -> dict[str, Any]:
    """The model of a new index from ``POST /indexes``.

    Parameters
    ----------
    body : mapping
    models : Models
        Those that embed.
    typed : bool
        Whether the request is of 2026-07 or later, with ``schema`` and ``deployment``.

    Raises
    ------
    ApiError
        400 or 422.
    """
    if typed and body.get("name") is None:
        body = {**body, "name": f"index-{uuid4().hex[:8]}"}  # the service makes one up, too
    model = _common(body)
    if typed:
        schema = take_dict(body, "schema")
        if schema is None:
            raise missing("schema")
        model["fields"] = read_fields(schema, models)
        vectors = set(model["fields"]) <= {DENSE, SPARSE}
        model["kind"] = "vectors" if vectors else "documents"
        model["deployment"] = read_deployment(take_dict(body, "deployment"))
        model["read_capacity"] = read_capacity(take_dict(body, "read_capacity"))
        return model
    model["kind"] = "vectors"
    model["fields"] = _legacy_fields(body)
    spec = take_dict(body, "spec")
    if spec is None:
        raise missing("spec")
    model["deployment"], model["read_capacity"], model["metadata_schema"] = read_spec(spec)
    return model


def created_for_model(body: Mapping[str, Any], models: Models) -> dict[str, Any]:
    """The model of a new index from ``POST /indexes/create-for-model``."""
    model = _common(body)
    embed = take_dict(body, "embed")
    if embed is None:
        raise missing("embed")
    name = take_text(embed, "model")
    if not name:
        raise missing("embed.model")
    field_map = take_dict(embed, "field_map")
    if not field_map or not isinstance(field_map.get("text"), str) or not field_map["text"]:
        raise invalid("embed.field_map must map 'text' to the name of the field to embed")
    model["kind"] = "model"
    model["fields"] = {
        field_map["text"]: {
            "type": "semantic_text",
            **models.configuration(embed),
        }
    }
    cloud = {"cloud": take_text(body, "cloud"), "region": take_text(body, "region")}
    model["deployment"] = read_deployment({"deployment_type": "managed", **cloud})
    model["read_capacity"] = read_capacity(take_dict(body, "read_capacity"))
    model["metadata_schema"] = read_metadata_schema(take_dict(body, "schema"))
    return model


def configured(model: Mapping[str, Any], body: Mapping[str, Any], *, typed: bool) -> dict[str, Any]:
    """A model after ``PATCH /indexes/{name}``.

    Raises
    ------
    ApiError
        What can't be changed, by name.
    """
    changed = dict(model)
    if take_text(body, "deletion_protection") is not None:
        changed["deletion_protection"] = _protection(body)
    given = _tags(body)
    if given is not None:
        tags = {**(model["tags"] or {}), **given}
        changed["tags"] = {key: value for key, value in tags.items() if value != ""} or None
    if typed:
        if take_dict(body, "schema") is not None:
            raise invalid("the schema of an index can't be changed")
        scaling, capacity = take_dict(body, "deployment"), take_dict(body, "read_capacity")
    else:
        scaling, capacity = read_spec_change(take_dict(body, "spec"))
        if take_dict(body, "embed") is not None:
            raise invalid("this local server can't change an index's embedding model")
    if scaling:
        if model["deployment"]["deployment_type"] != "pod":
            raise invalid("only pod-based indexes have replicas and pod_type")
        changed["deployment"] = {
            **model["deployment"],
            **{key: scaling[key] for key in ("replicas", "pod_type") if key in scaling},
        }
    if capacity is not None:
        changed["read_capacity"] = read_capacity(capacity)
    return changed


def described(model: Mapping[str, Any], host: str, *, typed: bool) -> dict[str, Any]:
    """The model as a describe writes it, in the form of 2026-07 or of the versions before."""
    answer: dict[str, Any] = {
        "name": model["name"],
        "host": host,
        "status": {"ready": True, "state": "Ready"},
        "deletion_protection": model["deletion_protection"],
    }
    if typed:
        fields = model["fields"]
        if model["kind"] == "model":
            fields = {
                name: {key: value for key, value in spec.items() if key != "dimension"}
                for name, spec in fields.items()
            }
        answer["schema"] = {"fields": fields}
        answer["deployment"] = model["deployment"]
        answer["tags"] = model["tags"]
        if model["deployment"]["deployment_type"] != "pod":
            answer["read_capacity"] = model["read_capacity"]
        return answer
    what = shape(model)
    answer["metric"] = what.metric
    answer["vector_type"] = what.vector_type
    if what.dimension is not None:
        answer["dimension"] = what.dimension
    if model["tags"]:
        answer["tags"] = model["tags"]
    answer["spec"] = write_spec(model)
    if model["kind"] == "model":
        (name, spec), *_ = model["fields"].items()
        answer["embed"] = {
            "model": spec["model"],
            "metric": spec["metric"],
            "dimension": spec["dimension"],
            "vector_type": "dense",
            "field_map": {"text": name},
            "read_parameters": spec["read_parameters"],
            "write_parameters": spec["write_parameters"],
        }
    return answer


# -- parts of a request ----------------------------------------------------------------------------


def _common(body: Mapping[str, Any]) -> dict[str, Any]:
    name = take_text(body, "name")
    if name is None:
        raise missing("name")
    if len(name) > 45 or not _NAME.fullmatch(name):
        raise invalid(
            "Name must be 1-45 characters long, start and end with an alphanumeric character, and "
            f"consist only of lower case alphanumeric characters or '-'; got '{name:.60}'"
        )
    return {"name": name, "deletion_protection": _protection(body), "tags": _tags(body) or None}


def _protection(body: Mapping[str, Any]) -> str:
    value = take_text(body, "deletion_protection", "disabled") or "disabled"
    if value not in ("enabled", "disabled"):
        raise invalid(f"deletion_protection must be 'enabled' or 'disabled', not '{value:.40}'")
    return value


def _tags(body: Mapping[str, Any]) -> dict[str, str] | None:
    tags = take_dict(body, "tags")
    if tags is None:
        return None
    if len(tags) > 20:
        raise invalid(f"an index has at most 20 tags, got {len(tags)}")
    for key, value in tags.items():
        if not isinstance(value, str):
            raise invalid(f"tag '{key:.80}' must be a string")
        if not key or len(key) > 80 or len(value) > 120:
            raise invalid("a tag's key has 1 to 80 characters and its value at most 120")
    return tags


def _legacy_fields(body: Mapping[str, Any]) -> dict[str, Any]:
    vector_type = take_text(body, "vector_type", "dense")
    metric = take_text(body, "metric")
    if vector_type == "sparse":
        if body.get("dimension") is not None:
            raise invalid("dimension must not be given for a sparse index")
        if metric not in (None, "dotproduct"):
            raise invalid(f"a sparse index has the metric dotproduct, not '{metric}'")
        return {SPARSE: {"type": "sparse_vector"}}
    if vector_type != "dense":
        raise invalid(f"vector_type must be 'dense' or 'sparse', not '{vector_type:.40}'")
    metric = metric or "cosine"
    if metric not in METRICS:
        raise invalid(f"metric must be one of {', '.join(METRICS)}, not '{metric:.40}'")
    if body.get("dimension") is None:
        raise missing("dimension")
    dimension = take_count(body, "dimension", 1, MAX_DIMENSION)
    return {DENSE: {"type": "dense_vector", "dimension": dimension, "metric": metric}}
