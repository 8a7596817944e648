"""``/embed``, ``/rerank`` and ``/models``."""

from __future__ import annotations

from typing import Any

from llamaindex_vecx.pinecone_local.api.call import Answer
from llamaindex_vecx.pinecone_local.api.control import ControlCall
from llamaindex_vecx.pinecone_local.api.ranking import rank
from llamaindex_vecx.pinecone_local.body import (
    parse,
    take,
    take_bool,
    take_count,
    take_dict,
    take_list,
    take_strings,
    take_text,
)
from llamaindex_vecx.pinecone_local.data.values import as_json
from llamaindex_vecx.pinecone_local.errors import invalid, not_found

__all__ = ["embed", "model", "models", "rerank"]

_MAX_INPUTS = 96
_MAX_DOCUMENTS = 100


def embed(call: ControlCall) -> Answer:
    """``POST /embed``."""
    body = parse(call.raw)
    name = take_text(body, "model")
    if not name:
        raise invalid("model must be a non-empty string")
    take_dict(body, "parameters")
    given = take_list(body, "inputs")
    if not given or len(given) > _MAX_INPUTS:
        raise invalid(f"inputs must be an array of 1 to {_MAX_INPUTS} texts")
    texts = [_text(item) for item in given]
    vectors, tokens = call.service.models.embed(name, texts)
    data = [{"values": as_json(vector), "vector_type": "dense"} for vector in vectors]
    return Answer(
        {
            "model": name,
            "vector_type": "dense",
            "data": data,
            "usage": {"total_tokens": tokens},
        }
    )


def rerank(call: ControlCall) -> Answer:
    """``POST /rerank``."""
    body = parse(call.raw)
    query = take_text(body, "query")
    if not query:
        raise invalid("query must be a non-empty string")
    documents = take_list(body, "documents")
    if not documents or len(documents) > _MAX_DOCUMENTS:
        raise invalid(f"documents must be an array of 1 to {_MAX_DOCUMENTS} objects")
    if not all(isinstance(document, dict) for document in documents):
        raise invalid("each of 'documents' must be an object")
    take_dict(body, "parameters")
    order = rank(
        call.service.models,
        take_text(body, "model"),
        query,
        documents,
        take_strings(body, "rank_fields") or ["text"],
        take_count(body, "top_n", 1, _MAX_DOCUMENTS, len(documents)),
    )
    with_documents = take(body, "return_documents") is None or take_bool(body, "return_documents")
    data: list[dict[str, Any]] = [{"index": at, "score": score} for at, score in order]
    if with_documents:
        for entry in data:
            entry["document"] = documents[entry["index"]]
    return Answer({"model": take_text(body, "model"), "data": data, "usage": {"rerank_units": 1}})


def models(call: ControlCall) -> Answer:
    """``GET /models``."""
    return Answer({"models": _described(call)})


def model(call: ControlCall) -> Answer:
    """``GET /models/{model_name}``."""
    name = call.path["model_name"]
    for entry in _described(call):
        if entry["model"] == name:
            return Answer(entry)
    raise not_found(f"Model '{name}' not found")


def _described(call: ControlCall) -> list[dict[str, Any]]:
    known = call.service.models
    embedders = [
        {
            "model": name,
            "short_description": "A dense embedding model on this machine.",
            "type": "embed",
            "vector_type": "dense",
            "modality": "text",
            "max_batch_size": _MAX_INPUTS,
            "supported_metrics": ["cosine", "dotproduct", "euclidean"],
            "supported_parameters": [],
        }
        for name in known.names()
    ]
    rerankers = [
        {
            "model": name,
            "short_description": "A reranking model on this machine.",
            "type": "rerank",
            "modality": "text",
            "max_batch_size": _MAX_DOCUMENTS,
            "supported_parameters": [],
        }
        for name in known.rerankers()
    ]
    return embedders + rerankers


def _text(item: Any) -> str:
    text = take_text(item, "text") if isinstance(item, dict) else item
    if not isinstance(text, str) or not text:
        raise invalid("each of 'inputs' must be an object with a non-empty 'text'")
    return text
