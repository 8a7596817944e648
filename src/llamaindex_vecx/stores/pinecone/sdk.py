"""The SDK's two generations with one face: clients, what an index is, and making one.

Release 10 knows both data APIs. Release 9 has the Vectors API, and a preview of the Documents API that can
neither filter a fetch nor delete by filter; there the documents' requests are made through its HTTP client,
in the released version of the API.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any
from urllib.parse import quote

from llamaindex_vecx.errors import (
    InvalidInputError,
    MissingExtraError,
    RemoteError,
    UnsupportedError,
)
from llamaindex_vecx.stores.pinecone.limits import METRIC_OF
from llamaindex_vecx.stores.pinecone.remote import asked

__all__ = ["IndexInfo", "create", "describe", "documents_of", "sdk"]

_VERSION = {"X-Pinecone-Api-Version": "2026-07"}
_DENSE, _SPARSE = "_values", "_sparse_values"


def sdk() -> ModuleType:
    """The SDK.

    Raises
    ------
    MissingExtraError
    """
    try:
        import pinecone
    except ImportError as error:
        raise MissingExtraError("pinecone", "pinecone") from error
    return pinecone


def _is_old() -> bool:
    return int(str(sdk().__version__).split(".")[0]) < 10


@dataclass(frozen=True)
class IndexInfo:
    """What an index is.

    Attributes
    ----------
    api : {"vectors", "documents"}
    dim : int or None
        Of the dense vectors; None where there are none.
    metric : {"cosine", "ip", "l2"}
    dense, sparse : str or None
        Field of the dense and of the sparse vectors; None: the index holds none.
    texts : tuple of str
        Fields that the Documents API searches as text.
    tags : dict
    """

    name: str
    host: str
    api: str
    dim: int | None
    metric: str
    dense: str | None
    sparse: str | None
    texts: tuple[str, ...]
    tags: dict[str, str]


def describe(client: Any, name: str) -> IndexInfo:
    """Ask the control plane what an index is. ``client`` is a ``pinecone.Pinecone``.

    Raises
    ------
    MissingIndexError, AccessDeniedError, RemoteError
    UnsupportedError
        An index with integrated embedding, which takes no vectors.
    """
    if _is_old():
        path = f"/indexes/{quote(name, safe='')}"
        body = asked(lambda: client._http.get(path, headers=_VERSION)).json()
    else:
        model = asked(lambda: client.indexes.describe(name))
        body = {
            "name": model.name,
            "host": model.host,
            "tags": model.tags,
            "schema": model.schema.to_dict(),
        }
    return _info(body)


def _info(body: dict[str, Any]) -> IndexInfo:
    name, host = body["name"], body.get("host")
    if not host:
        raise RemoteError(f"index {name!r} has no host yet; wait until it is ready")
    fields = (body.get("schema") or {}).get("fields") or _fields_before_schemas(body)
    dense = {key: one for key, one in fields.items() if one.get("type") == "dense_vector"}
    sparse = [key for key, one in fields.items() if one.get("type") == "sparse_vector"]
    texts = [key for key, one in fields.items() if one.get("full_text_search") is not None]
    if any(one.get("type") == "semantic_text" for one in fields.values()) or not (dense or sparse):
        raise UnsupportedError(
            f"index {name!r} embeds texts itself and takes no vectors; "
            "use an index with a dense or sparse vector field"
        )
    if len(dense) > 1 or len(sparse) > 1:
        raise UnsupportedError(
            f"index {name!r} has vector fields {', '.join([*dense, *sparse])}; "
            "a store needs an index with one dense and one sparse field at most"
        )
    field = next(iter(dense), None)
    shape: dict[str, Any] = {} if field is None else dense[field]
    vectors = set(fields) <= {_DENSE, _SPARSE}
    metric = METRIC_OF[str(shape.get("metric") or "dotproduct").lower()]
    keyword = sparse[0] if sparse else None
    if vectors and field is not None and keyword is None and metric == "ip":
        keyword = _SPARSE  # such an index takes sparse values beside the dense ones
    return IndexInfo(
        name=name,
        host=host if "://" in host else f"https://{host}",
        api="vectors" if vectors else "documents",
        dim=shape.get("dimension"),
        metric=metric,
        dense=field,
        sparse=keyword,
        texts=tuple(texts),
        tags=dict(body.get("tags") or {}),
    )


def _fields_before_schemas(body: dict[str, Any]) -> dict[str, Any]:
    if body.get("vector_type") == "sparse":
        return {_SPARSE: {"type": "sparse_vector"}}
    shape = {"dimension": body.get("dimension"), "metric": body.get("metric")}
    return {_DENSE: {"type": "dense_vector", **shape}}


def create(
    client: Any,
    name: str,
    *,
    spec: Any,
    tags: dict[str, str] | None,
    dimension: int | None = None,
    metric: str | None = None,
    schema: dict[str, Any] | None = None,
) -> None:
    """Make an index and wait until it is ready: of the Documents API where there is a schema.

    ``dimension=None`` without a schema makes an index of sparse vectors alone.
    """
    if spec is None:
        spec = sdk().ServerlessSpec(cloud="aws", region="us-east-1")
    settings: dict[str, Any] = {"name": name, "spec": spec}
    if tags:
        settings["tags"] = tags
    if schema is None:
        kind = "sparse" if dimension is None else "dense"
        settings.update(dimension=dimension, vector_type=kind, metric=metric or "dotproduct")
    elif _is_old():
        body = {"name": name, "schema": schema, "deployment": _deployment(spec), **settings}
        del body["spec"]
        asked(lambda: client._http.post("/indexes", json=body, headers=_VERSION))
        return
    else:
        settings["schema"] = schema
    asked(lambda: client.indexes.create(**settings))


def _deployment(spec: Any) -> dict[str, Any]:
    """Where an index of the Documents API is to run, of a ServerlessSpec or the same as a dict."""
    if isinstance(spec, dict):
        place = spec.get("serverless", {})
        cloud, region = place.get("cloud"), place.get("region")
    else:
        cloud, region = getattr(spec, "cloud", None), getattr(spec, "region", None)
    if not (isinstance(cloud, str) and isinstance(region, str)):
        raise InvalidInputError(
            f"spec={spec!r} must be a pinecone.ServerlessSpec, or {{'serverless': {{'cloud': …, "
            "'region': …}}"
        )
    return {"deployment_type": "managed", "cloud": cloud, "region": region}


def documents_of(index: Any) -> Any:
    """The Documents API of an index client, sync or async."""
    return _OldDocuments(index) if _is_old() else index.documents


class _Answer:
    """What an old client's documents requests return."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self.response_info = _Headers(dict(response.headers))

    def to_dict(self) -> dict[str, Any]:
        body: dict[str, Any] = self._response.json()
        return body

    def __getattr__(self, name: str) -> Any:
        return self._response.json().get(name)


class _Headers:
    """Log positions, as release 10 reads them."""

    def __init__(self, headers: dict[str, str]) -> None:
        self.raw_headers = headers


def _then(value: Any, do: Callable[[Any], Any]) -> Any:
    if not inspect.isawaitable(value):
        return do(value)

    async def wait() -> Any:
        return do(await value)

    return wait()


class _OldDocuments:
    """Release 10's ``index.documents`` over release 9's client: what a store needs of it."""

    def __init__(self, index: Any) -> None:
        self._http = index._http

    def _post(self, namespace: str, verb: str, **body: Any) -> Any:
        path = f"/namespaces/{quote(namespace, safe='')}/documents/{verb}"
        sent = {key: value for key, value in body.items() if value is not None}
        return _then(self._http.post(path, json=sent, headers=dict(_VERSION)), _Answer)

    def upsert(self, *, namespace: str, documents: Sequence[Any]) -> Any:
        return self._post(namespace, "upsert", documents=list(documents))

    def search(self, *, namespace: str, **body: Any) -> Any:
        return self._post(namespace, "search", **body)

    def fetch(self, *, namespace: str, **body: Any) -> Any:
        return self._post(namespace, "fetch", **body)

    def delete(self, *, namespace: str, **body: Any) -> Any:
        return self._post(namespace, "delete", **body)
