"""An index's model: read from a create request of either form, changed, and written in either form.

The API versions before 2026-07 say ``dimension``, ``metric`` and ``spec``; 2026-07 says ``schema`` and
``deployment``. The model kept is the union of what both need.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from llamaindex_vecx.pinecone_local.body import take_count, take_dict, take_text
from llamaindex_vecx.pinecone_local.errors import ApiError, forbidden, invalid
from llamaindex_vecx.pinecone_local.fields import read_fields
from llamaindex_vecx.pinecone_local.inference import Models
from llamaindex_vecx.pinecone_local.shape import DENSE, SPARSE, Shape, shape_of
from llamaindex_vecx.pinecone_local.values import MAX_DIMENSION

__all__ = ["configured", "created", "created_for_model", "described", "shape"]

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
METRICS = ("cosine", "dotproduct", "euclidean")
_ON_DEMAND = {"mode": "OnDemand", "status": {"state": "Ready"}}
_MANAGED = {"deployment_type": "managed", "cloud": "aws", "region": "us-east-1"}
_CLOUDS = ("aws", "gcp", "azure")


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
    model = _common(body)
    if typed:
        schema = take_dict(body, "schema")
        if schema is None:
            raise _missing("schema")
        model["fields"] = read_fields(schema, models)
        vectors = set(model["fields"]) <= {DENSE, SPARSE}
        model["kind"] = "vectors" if vectors else "documents"
        model["deployment"] = _deployment(take_dict(body, "deployment"))
        model["read_capacity"] = _capacity(take_dict(body, "read_capacity"))
        return model
    model["kind"] = "vectors"
    model["fields"] = _legacy_fields(body)
    spec = take_dict(body, "spec")
    if spec is None:
        raise _missing("spec")
    model["deployment"], model["read_capacity"], model["metadata_schema"] = _from_spec(spec)
    return model


def created_for_model(body: Mapping[str, Any], models: Models) -> dict[str, Any]:
    """The model of a new index from ``POST /indexes/create-for-model``."""
    model = _common(body)
    embed = take_dict(body, "embed")
    if embed is None:
        raise _missing("embed")
    name = take_text(embed, "model")
    if not name:
        raise _missing("embed.model")
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
    model["deployment"] = _deployment({"deployment_type": "managed", **cloud})
    model["read_capacity"] = _capacity(take_dict(body, "read_capacity"))
    model["metadata_schema"] = _metadata_schema(take_dict(body, "schema"))
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
        scaling, capacity = _spec_change(take_dict(body, "spec"))
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
        changed["read_capacity"] = _capacity(capacity)
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
    answer["spec"] = _as_spec(model)
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
        raise _missing("name")
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
        raise _missing("dimension")
    dimension = take_count(body, "dimension", 1, MAX_DIMENSION)
    return {DENSE: {"type": "dense_vector", "dimension": dimension, "metric": metric}}


def _from_spec(spec: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any], Any]:
    kinds = [kind for kind in ("serverless", "pod", "byoc") if spec.get(kind) is not None]
    if len(kinds) != 1 or len(spec) != 1:
        raise invalid("spec must have exactly one of 'serverless', 'pod' and 'byoc'")
    inner = take_dict(spec, kinds[0]) or {}
    if take_text(inner, "source_collection"):
        raise forbidden("this local server has no collections to create an index from")
    deployment_type = "managed" if kinds[0] == "serverless" else kinds[0]
    deployment = _deployment({**inner, "deployment_type": deployment_type}, defaults=True)
    capacity = _capacity(take_dict(inner, "read_capacity"))
    return deployment, capacity, _metadata_schema(take_dict(inner, "schema"))


def _spec_change(
    spec: Mapping[str, Any] | None,
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    if spec is None:
        return None, None
    pod = take_dict(spec, "pod")
    inner = take_dict(spec, "serverless") or take_dict(spec, "byoc") or {}
    return pod, take_dict(inner, "read_capacity")


def _deployment(given: Mapping[str, Any] | None, *, defaults: bool = False) -> dict[str, Any]:
    if given is None:
        return dict(_MANAGED)
    kind = take_text(given, "deployment_type")
    if kind == "managed":
        cloud, region = take_text(given, "cloud"), take_text(given, "region")
        if not cloud or not region:
            raise _missing("cloud and region")
        if cloud not in _CLOUDS:
            raise invalid(f"cloud must be one of {', '.join(_CLOUDS)}, not '{cloud:.40}'")
        return {"deployment_type": kind, "cloud": cloud, "region": region}
    environment = take_text(given, "environment")
    if kind not in ("pod", "byoc"):
        raise invalid("deployment_type must be one of managed, pod, byoc")
    if not environment:
        raise _missing("environment")
    if kind == "byoc":
        return {"deployment_type": kind, "environment": environment}
    if not take_text(given, "pod_type"):
        raise _missing("pod_type")
    default = 1 if defaults else None
    return {
        "deployment_type": kind,
        "environment": environment,
        "pod_type": take_text(given, "pod_type"),
        "replicas": take_count(given, "replicas", 1, 1000, default),
        "shards": take_count(given, "shards", 1, 1000, default),
    }


def _capacity(given: Mapping[str, Any] | None) -> dict[str, Any]:
    if given is None:
        return dict(_ON_DEMAND)
    mode = take_text(given, "mode", "OnDemand")
    if mode == "OnDemand":
        return dict(_ON_DEMAND)
    if mode != "Dedicated":
        raise invalid("read_capacity.mode must be 'OnDemand' or 'Dedicated'")
    dedicated = take_dict(given, "dedicated")
    if dedicated is None:
        raise _missing("read_capacity.dedicated")
    manual = take_dict(dedicated, "manual") or {}
    replicas = take_count(manual, "replicas", 0, 1000, 1)
    shards = take_count(manual, "shards", 1, 1000, 1)
    status = {"state": "Ready", "current_replicas": replicas, "current_shards": shards}
    kept = {
        "node_type": take_text(dedicated, "node_type", "b1"),
        "scaling": take_text(dedicated, "scaling", "Manual"),
        "manual": {"replicas": replicas, "shards": shards},
    }
    return {"mode": mode, "dedicated": kept, "status": status}


def _metadata_schema(given: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if given is None:
        return None
    fields = take_dict(given, "fields")
    if fields is None:
        raise _missing("schema.fields")
    return {"fields": {name: {"filterable": _filterable(name, at)} for name, at in fields.items()}}


def _filterable(name: str, at: Any) -> bool:
    if not isinstance(at, dict) or at.get("filterable") is not True:
        raise invalid(f"schema.fields['{name:.60}'] must be {{\"filterable\": true}}")
    return True


def _as_spec(model: Mapping[str, Any]) -> dict[str, Any]:
    deployment = dict(model["deployment"])
    kind = deployment.pop("deployment_type")
    if kind == "pod":
        return {"pod": {**deployment, "pods": deployment["replicas"] * deployment["shards"]}}
    spec = {**deployment, "read_capacity": model["read_capacity"]}
    if model.get("metadata_schema"):
        spec["schema"] = model["metadata_schema"]
    return {"serverless" if kind == "managed" else "byoc": spec}


def _missing(name: str) -> ApiError:
    return ApiError(422, "INVALID_ARGUMENT", f"Missing required field: {name}")
