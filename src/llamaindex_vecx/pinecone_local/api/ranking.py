"""Reranking documents by one or more of their fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from llamaindex_vecx.pinecone_local.data.models import Models
from llamaindex_vecx.pinecone_local.errors import invalid

__all__ = ["rank"]


def rank(
    models: Models,
    model: str | None,
    query: str,
    documents: Sequence[Mapping[str, Any]],
    fields: Sequence[str],
    n: int,
) -> list[tuple[int, float]]:
    """Positions of the ``n`` most relevant documents and their scores, best first.

    Raises
    ------
    ApiError
        400: no such model, or a document without any of the fields.
    """
    if not model:
        raise invalid("rerank needs the name of a model")
    texts = []
    for at, document in enumerate(documents):
        held = [document[name] for name in fields if isinstance(document.get(name), str)]
        if not held:
            raise invalid(f"document {at} has none of the fields {', '.join(fields)}")
        texts.append("\n".join(held))
    scores = models.rerank(model, query, texts)
    order = np.argsort(-scores, kind="stable")[:n]
    return [(int(at), float(scores[at])) for at in order]
