"""The sources of a hybrid retriever: their names, their weights, and which of them share an embedding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.schema import QueryBundle

from llamaindex_vecx.errors import InvalidInputError

__all__ = ["aprepare", "name_sources", "prepare", "weigh_sources"]


def name_sources(
    sources: Mapping[str, BaseRetriever] | Sequence[BaseRetriever],
) -> dict[str, BaseRetriever]:
    """Sources by name; those of a sequence are named by their class, numbered from the second on.

    Raises
    ------
    InvalidInputError
        None were given, or something that isn't a retriever.
    """
    named = dict(sources) if isinstance(sources, Mapping) else {}
    if not isinstance(sources, Mapping):
        for source in sources:
            name = kind = type(source).__name__
            number = 1
            while name in named:
                number += 1
                name = f"{kind}_{number}"
            named[name] = source
    if not named:
        raise InvalidInputError("sources is empty; give at least one retriever")
    for name, source in named.items():
        if not isinstance(source, BaseRetriever):
            raise InvalidInputError(
                f"source {name!r} must be a LlamaIndex retriever, not {type(source).__name__}; "
                "of an index, give index.as_retriever()"
            )
    return named


def weigh_sources(
    names: Sequence[str], weights: Mapping[str, float] | Sequence[float] | None
) -> dict[str, float]:
    """A weight for each name; None is 1 for each.

    Raises
    ------
    InvalidInputError
        A weight for every source, and for none else, is not given.
    """
    if weights is None:
        return dict.fromkeys(names, 1.0)
    if not isinstance(weights, Mapping):
        if len(weights) != len(names):
            raise InvalidInputError(f"{len(weights)} weights were given for {len(names)} sources")
        weights = dict(zip(names, weights, strict=True))
    if set(weights) != set(names):
        raise InvalidInputError(f"weights name {sorted(weights)}, the sources are {sorted(names)}")
    return {name: float(weights[name]) for name in names}


def prepare(sources: Mapping[str, BaseRetriever], bundle: QueryBundle) -> dict[str, QueryBundle]:
    """A bundle of its own for each source, with the query's embedding where sources share a model.

    Of its own, because VectorIndexRetriever writes its model's embedding into what it is given, and a
    source with another model would take that for its own.
    """
    embeddings = {
        name: model.get_agg_embedding_from_queries(bundle.embedding_strs)
        for name, model in _to_embed(sources, bundle).items()
    }
    return _bundles(sources, bundle, embeddings)


async def aprepare(
    sources: Mapping[str, BaseRetriever], bundle: QueryBundle
) -> dict[str, QueryBundle]:
    """As :func:`prepare`, without blocking the event loop where the model doesn't."""
    embeddings = {
        name: await model.aget_agg_embedding_from_queries(bundle.embedding_strs)
        for name, model in _to_embed(sources, bundle).items()
    }
    return _bundles(sources, bundle, embeddings)


def _bundles(
    sources: Mapping[str, BaseRetriever],
    bundle: QueryBundle,
    embeddings: Mapping[str, list[float]],
) -> dict[str, QueryBundle]:
    shared = {id(_embed_model(sources[name])): embedding for name, embedding in embeddings.items()}
    return {
        name: replace(bundle, embedding=shared.get(id(_embed_model(source)), bundle.embedding))
        for name, source in sources.items()
    }


def _to_embed(
    sources: Mapping[str, BaseRetriever], bundle: QueryBundle
) -> dict[str, BaseEmbedding]:
    """Models that more than one source would embed the query with, by the name of one of these."""
    if bundle.embedding is not None or not bundle.embedding_strs:
        return {}
    first: dict[int, str] = {}
    shared: dict[str, BaseEmbedding] = {}
    for name, source in sources.items():
        model = _embed_model(source)
        if model is not None and first.setdefault(id(model), name) != name:
            shared[first[id(model)]] = model
    return shared


def _embed_model(source: BaseRetriever) -> BaseEmbedding | None:
    """The model that a source embeds queries with, as our retrievers and VectorIndexRetriever keep it.

    None where it embeds nothing, or keeps the model elsewhere; then it embeds for itself.
    """
    model = getattr(source, "_embed_model", None)
    needs = getattr(source, "_needs_embedding", None)
    if not isinstance(model, BaseEmbedding) or (callable(needs) and not needs()):
        return None
    return model
