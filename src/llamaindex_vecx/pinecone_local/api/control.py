"""The control plane: indexes, and clear refusals for what a local server has no use for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from llamaindex_vecx.pinecone_local.api.call import Answer
from llamaindex_vecx.pinecone_local.api.schema import (
    configured,
    created,
    created_for_model,
    described,
)
from llamaindex_vecx.pinecone_local.body import parse
from llamaindex_vecx.pinecone_local.errors import forbidden, not_found
from llamaindex_vecx.pinecone_local.service import Service

__all__ = [
    "ControlCall",
    "ControlHandler",
    "configure",
    "create",
    "create_for_model",
    "delete",
    "describe",
    "list_all",
    "no_backups_of",
    "none_of_these",
    "nothing_found",
    "refuse",
]


@dataclass
class ControlCall:
    """A request to the control plane.

    Attributes
    ----------
    service : Service
    path : mapping
    raw : bytes
    typed : bool
        Whether it speaks 2026-07 or later.
    host : (index name) -> str
    """

    service: Service
    path: Mapping[str, str]
    raw: bytes
    typed: bool
    host: Callable[[str], str]


ControlHandler = Callable[[ControlCall], Answer]


def list_all(call: ControlCall) -> Answer:
    """``GET /indexes``."""
    return Answer({"indexes": [_described(call, model) for model in call.service.described()]})


def create(call: ControlCall) -> Answer:
    """``POST /indexes``."""
    model = created(parse(call.raw), call.service.models, typed=call.typed)
    call.service.create(model)
    return Answer(_described(call, model), 201)


def create_for_model(call: ControlCall) -> Answer:
    """``POST /indexes/create-for-model``."""
    model = created_for_model(parse(call.raw), call.service.models)
    call.service.create(model)
    return Answer(_described(call, model), 201)


def describe(call: ControlCall) -> Answer:
    """``GET /indexes/{index_name}``."""
    return Answer(_described(call, call.service.model(call.path["index_name"])))


def configure(call: ControlCall) -> Answer:
    """``PATCH /indexes/{index_name}``."""
    model = call.service.model(call.path["index_name"])
    changed = configured(model, parse(call.raw), typed=call.typed)
    call.service.change(changed)
    return Answer(_described(call, changed), 202)


def delete(call: ControlCall) -> Answer:
    """``DELETE /indexes/{index_name}``."""
    call.service.delete(call.path["index_name"])
    return Answer(None, 202)


def none_of_these(key: str) -> ControlHandler:
    """A list that is always empty, under its key."""
    return lambda call: Answer({key: []})


def no_backups_of(call: ControlCall) -> Answer:
    """``GET /indexes/{index_name}/backups``."""
    call.service.model(call.path["index_name"])
    return Answer({"data": []})


def nothing_found(what: str, parameter: str) -> ControlHandler:
    """A 404 for what can't be there."""

    def handle(call: ControlCall) -> Answer:
        raise not_found(f"{what} {call.path[parameter]} not found")

    return handle


def refuse(what: str) -> ControlHandler:
    """A 403 for what this server doesn't do."""

    def handle(call: ControlCall) -> Answer:
        raise forbidden(f"pinecone-local does not implement {what}")

    return handle


def _described(call: ControlCall, model: dict[str, Any]) -> dict[str, Any]:
    return described(model, call.host(model["name"]), typed=call.typed)
