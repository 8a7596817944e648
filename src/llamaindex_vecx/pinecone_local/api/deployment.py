"""Where an index runs, in the form of 2026-07 (``deployment``) and of the versions before (``spec``).

Nothing here changes what a local server does: it is kept and given back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llamaindex_vecx.pinecone_local.body import take_count, take_dict, take_text
from llamaindex_vecx.pinecone_local.errors import forbidden, invalid, missing

__all__ = [
    "read_capacity",
    "read_deployment",
    "read_metadata_schema",
    "read_spec",
    "read_spec_change",
    "write_spec",
]

_ON_DEMAND = {"mode": "OnDemand", "status": {"state": "Ready"}}
_MANAGED = {"deployment_type": "managed", "cloud": "aws", "region": "us-east-1"}
_CLOUDS = ("aws", "gcp", "azure")


def read_spec(spec: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any], Any]:
    """Deployment, read capacity and metadata schema of a create request's ``spec``."""
    kinds = [kind for kind in ("serverless", "pod", "byoc") if spec.get(kind) is not None]
    if len(kinds) != 1 or len(spec) != 1:
        raise invalid("spec must have exactly one of 'serverless', 'pod' and 'byoc'")
    inner = take_dict(spec, kinds[0]) or {}
    if take_text(inner, "source_collection"):
        raise forbidden("this local server has no collections to create an index from")
    deployment_type = "managed" if kinds[0] == "serverless" else kinds[0]
    deployment = read_deployment({**inner, "deployment_type": deployment_type}, defaults=True)
    capacity = read_capacity(take_dict(inner, "read_capacity"))
    return deployment, capacity, read_metadata_schema(take_dict(inner, "schema"))


def read_spec_change(
    spec: Mapping[str, Any] | None,
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """What a configure request's ``spec`` scales, and its read capacity."""
    if spec is None:
        return None, None
    pod = take_dict(spec, "pod")
    inner = take_dict(spec, "serverless") or take_dict(spec, "byoc") or {}
    return pod, take_dict(inner, "read_capacity")


def read_deployment(given: Mapping[str, Any] | None, *, defaults: bool = False) -> dict[str, Any]:
    """A ``deployment``; managed on AWS where there is none. ``defaults`` fills in replicas and shards."""
    if given is None:
        return dict(_MANAGED)
    kind = take_text(given, "deployment_type")
    if kind == "managed":
        cloud, region = take_text(given, "cloud"), take_text(given, "region")
        if not cloud or not region:
            raise missing("cloud and region")
        if cloud not in _CLOUDS:
            raise invalid(f"cloud must be one of {', '.join(_CLOUDS)}, not '{cloud:.40}'")
        return {"deployment_type": kind, "cloud": cloud, "region": region}
    environment = take_text(given, "environment")
    if kind not in ("pod", "byoc"):
        raise invalid("deployment_type must be one of managed, pod, byoc")
    if not environment:
        raise missing("environment")
    if kind == "byoc":
        return {"deployment_type": kind, "environment": environment}
    if not take_text(given, "pod_type"):
        raise missing("pod_type")
    default = 1 if defaults else None
    return {
        "deployment_type": kind,
        "environment": environment,
        "pod_type": take_text(given, "pod_type"),
        "replicas": take_count(given, "replicas", 1, 1000, default),
        "shards": take_count(given, "shards", 1, 1000, default),
    }


def read_capacity(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """A ``read_capacity`` as a describe reports it, on demand where there is none."""
    if given is None:
        return dict(_ON_DEMAND)
    mode = take_text(given, "mode", "OnDemand")
    if mode == "OnDemand":
        return dict(_ON_DEMAND)
    if mode != "Dedicated":
        raise invalid("read_capacity.mode must be 'OnDemand' or 'Dedicated'")
    dedicated = take_dict(given, "dedicated")
    if dedicated is None:
        raise missing("read_capacity.dedicated")
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


def read_metadata_schema(given: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Which metadata fields are filterable. All are here; it is kept and given back."""
    if given is None:
        return None
    fields = take_dict(given, "fields")
    if fields is None:
        raise missing("schema.fields")
    return {"fields": {name: {"filterable": _filterable(name, at)} for name, at in fields.items()}}


def _filterable(name: str, at: Any) -> bool:
    if not isinstance(at, dict) or at.get("filterable") is not True:
        raise invalid(f"schema.fields['{name:.60}'] must be {{\"filterable\": true}}")
    return True


def write_spec(model: Mapping[str, Any]) -> dict[str, Any]:
    """The ``spec`` of a describe."""
    deployment = dict(model["deployment"])
    kind = deployment.pop("deployment_type")
    if kind == "pod":
        return {"pod": {**deployment, "pods": deployment["replicas"] * deployment["shards"]}}
    spec = {**deployment, "read_capacity": model["read_capacity"]}
    if model.get("metadata_schema"):
        spec["schema"] = model["metadata_schema"]
    return {"serverless" if kind == "managed" else "byoc": spec}
