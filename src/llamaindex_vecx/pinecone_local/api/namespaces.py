"""Namespaces of an index: create, list, describe, delete."""

from __future__ import annotations

from typing import Any

from llamaindex_vecx.pinecone_local.api.call import Answer, Call
from llamaindex_vecx.pinecone_local.api.pages import place, read_limit, token
from llamaindex_vecx.pinecone_local.body import take_dict, take_text
from llamaindex_vecx.pinecone_local.data.index import Index
from llamaindex_vecx.pinecone_local.data.values import check_namespace
from llamaindex_vecx.pinecone_local.errors import invalid, not_found

__all__ = ["create", "delete", "describe", "list_all"]


def create(call: Call) -> Answer:
    """``POST /namespaces``."""
    body = call.body
    given = take_text(body, "name")
    if not given:
        raise invalid("name must be a non-empty string")
    name = check_namespace(given)
    model: dict[str, Any] = {}
    schema = take_dict(body, "schema")
    if schema is not None:
        fields = take_dict(schema, "fields")
        if fields is None:
            raise invalid("schema must have 'fields'")
        for key, spec in fields.items():
            if not isinstance(spec, dict) or spec.get("filterable") is not True:
                raise invalid(f"schema.fields['{key:.60}'] must be {{\"filterable\": true}}")
        model["schema"] = {"fields": {key: {"filterable": True} for key in fields}}
    call.index.add(name, model)
    return Answer(_described(call.index, name, model))


def list_all(call: Call) -> Answer:
    """``GET /namespaces``: a page, in order."""
    limit = read_limit(call.argument("limit"), 100, 100)
    after = place(call.argument("paginationToken"))
    prefix = call.argument("prefix") or ""
    models = {name: model for name, model in call.index.models().items() if name.startswith(prefix)}
    rest = [name for name in models if after is None or name > after]
    answer: dict[str, Any] = {
        "namespaces": [_described(call.index, name, models[name]) for name in rest[:limit]],
        "total_count": len(models),
    }
    if len(rest) > limit:
        answer["pagination"] = {"next": token(rest[limit - 1])}
    return Answer(answer)


def describe(call: Call) -> Answer:
    """``GET /namespaces/{namespace}``."""
    name = check_namespace(call.path["namespace"])
    model = call.index.models().get(name)
    if model is None:
        raise not_found(f"Namespace '{name}' not found")
    return Answer(_described(call.index, name, model))


def delete(call: Call) -> Answer:
    """``DELETE /namespaces/{namespace}``."""
    name = check_namespace(call.path["namespace"])
    call.index.need(name)
    return Answer({}, lsn=call.index.write(lambda: call.index.drop(name)))


def _described(index: Index, name: str, model: dict[str, Any]) -> dict[str, Any]:
    held = index.namespace(name)
    answer = {"name": name or "__default__", "record_count": 0 if held is None else len(held)}
    if "schema" in model:
        answer["schema"] = model["schema"]
        answer["indexed_fields"] = {"fields": sorted(model["schema"]["fields"])}
    return answer
