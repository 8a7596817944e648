"""Finding an index or making it, by one name for each metric."""

from __future__ import annotations

from typing import Any

from llamaindex_vecx.errors import (
    InvalidInputError,
    MissingIndexError,
    RemoteError,
    SettingsConflictError,
    UnsupportedError,
)
from llamaindex_vecx.stores.pinecone.connection import Connection
from llamaindex_vecx.stores.pinecone.documents import schema_for
from llamaindex_vecx.stores.pinecone.limits import METRIC_OF, PINECONE_METRIC
from llamaindex_vecx.stores.pinecone.sdk import IndexInfo, create

__all__ = ["COSINE_TAG", "ensure_index", "metric_named", "namespace_for"]

COSINE_TAG = {"vecx_metric": "cosine"}
"""On a dotproduct index whose vectors are stored at unit length, so that it answers with the cosine.

Pinecone keeps sparse values beside dense ones in dotproduct indexes alone.
"""


def metric_named(metric: str) -> str:
    """Our name of a metric, given ours or Pinecone's.

    Raises
    ------
    InvalidInputError
    """
    ours = METRIC_OF.get(metric, metric)
    if ours not in PINECONE_METRIC:
        raise InvalidInputError(
            f"metric={metric!r} is unknown; choose one of {', '.join(PINECONE_METRIC)}"
        )
    return ours


def ensure_index(
    connection: Connection,
    name: str,
    *,
    dimension: int | None,
    metric: str,
    spec: Any,
    api: str,
    sparse: bool,
) -> None:
    """Make the index unless it is there as asked for.

    Raises
    ------
    SettingsConflictError
        It is there with another dimension, metric or data API.
    UnsupportedError
        Pinecone has no such index.
    InvalidInputError, AccessDeniedError, RemoteError
    """
    ours = metric_named(metric)
    if api not in ("vectors", "documents"):
        raise InvalidInputError(f"api={api!r} is unknown; choose 'vectors' or 'documents'")
    if dimension is None and not (sparse and api == "vectors"):
        raise InvalidInputError(
            "dimension=None makes an index of sparse vectors alone; it needs a sparse_encoder "
            "and api='vectors'"
        )
    try:
        info = connection.open(name)
    except MissingIndexError:
        _make(connection, name, dimension, ours, spec, api=api, sparse=sparse)
        info = connection.open(name)
    _compare(info, dimension, ours, api)


def _make(
    connection: Connection,
    name: str,
    dimension: int | None,
    metric: str,
    spec: Any,
    *,
    api: str,
    sparse: bool,
) -> None:
    if api == "documents":
        assert dimension is not None
        schema = schema_for(dimension, PINECONE_METRIC[metric], sparse=sparse)
        _create(connection, name, spec=spec, tags=None, schema=schema)
    elif sparse and dimension is not None:
        if metric == "l2":
            raise UnsupportedError(
                "Pinecone keeps no sparse vectors in a euclidean index; use metric='cosine' or 'ip', "
                "or api='documents'"
            )
        tags = COSINE_TAG if metric == "cosine" else None
        _create(connection, name, spec=spec, tags=tags, dimension=dimension, metric="dotproduct")
    else:
        _create(
            connection,
            name,
            spec=spec,
            tags=None,
            dimension=dimension,
            metric=None if dimension is None else PINECONE_METRIC[metric],
        )


def _create(connection: Connection, name: str, **settings: Any) -> None:
    try:
        create(connection.client, name, **settings)
    except RemoteError as error:
        if error.status != 409:  # somebody else has just made it
            raise


def _compare(info: IndexInfo, dimension: int | None, metric: str, api: str) -> None:
    has_metric = "cosine" if info.tags.items() >= COSINE_TAG.items() else info.metric
    asked: dict[str, Any] = {"dimension": dimension, "api": api}
    there: dict[str, Any] = {"dimension": info.dim, "api": info.api}
    if info.dense is not None:
        asked["metric"], there["metric"] = metric, has_metric
    for name, value in asked.items():
        if there[name] != value:
            raise SettingsConflictError(
                f"{name}={value!r} contradicts index {info.name!r}, which has {name}={there[name]!r}; "
                "leave the setting out by from_existing_index, or choose another index name"
            )


def namespace_for(namespace: str | None, api: str) -> str:
    """The namespace as the data API takes it; only the Vectors API has one without a name.

    Raises
    ------
    InvalidInputError
    """
    if namespace is not None and not isinstance(namespace, str):
        raise InvalidInputError(f"namespace must be a str, not {type(namespace).__name__}")
    return namespace or ("__default__" if api == "documents" else "")
