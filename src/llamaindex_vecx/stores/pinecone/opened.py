"""How a :class:`PineconeVectorStore` is opened, shown, copied and closed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.storage.docstore import BaseDocumentStore

from llamaindex_vecx.checks import check_count
from llamaindex_vecx.errors import InvalidInputError, UnsupportedError
from llamaindex_vecx.stores.pinecone.api import DataAPI
from llamaindex_vecx.stores.pinecone.connected import Connected
from llamaindex_vecx.stores.pinecone.connection import Connection
from llamaindex_vecx.stores.pinecone.documents import DocumentsAPI
from llamaindex_vecx.stores.pinecone.foreign import has_document_ids
from llamaindex_vecx.stores.pinecone.fresh import Journal
from llamaindex_vecx.stores.pinecone.making import Maker
from llamaindex_vecx.stores.pinecone.opening import COSINE_TAG, ensure_index, namespace_for
from llamaindex_vecx.stores.pinecone.outside import Outside
from llamaindex_vecx.stores.pinecone.port import run
from llamaindex_vecx.stores.pinecone.remote import Retry
from llamaindex_vecx.stores.pinecone.texts import open_docstore
from llamaindex_vecx.stores.pinecone.vectors import VectorsAPI
from llamaindex_vecx.stores.pinecone.work import Work
from llamaindex_vecx.text.sparse import BM25SparseEncoder

__all__ = ["OpenedPinecone"]

Self = TypeVar("Self", bound="OpenedPinecone")

_COPIED = (
    "namespace",
    "text_key",
    "document_ids",
    "batch_size",
    "max_concurrency",
    "retry_seconds",
    "show_progress",
    "sparse_encoder",
    "docstore",
    "reranker",
)


class OpenedPinecone(Connected):
    """Settings and how they come about. Use :class:`PineconeVectorStore`."""

    stores_text: bool = True
    is_embedding_query: bool = True

    index_name: str = Field(description="Name of the index.")
    namespace: str = Field(default="", description="The tenant.")
    host: str | None = Field(default=None, description="Of the control plane.")
    text_key: str = Field(default="text", description="Where others' records have their text.")
    document_ids: bool = Field(default=False, description="Record ids are document#node.")
    batch_size: int = Field(default=100, description="Nodes a request.")
    max_concurrency: int = Field(default=8, description="Requests at a time.")
    timeout: float = Field(default=30.0, description="Seconds of one request.")
    retry_seconds: float = Field(default=180.0, description="How long a request is tried.")
    show_progress: bool = Field(default=False, description="A bar while adding.")
    sparse_encoder: Any = Field(default=None, exclude=True, description="Text to sparse vectors.")
    docstore: BaseDocumentStore | None = Field(
        default=None, exclude=True, description="Keeps texts over 40 KB."
    )
    reranker: BaseNodePostprocessor | None = Field(
        default=None, exclude=True, description="Orders the nodes of mode semantic_hybrid."
    )

    _api: DataAPI = PrivateAttr()
    _journal: Journal = PrivateAttr(default_factory=Journal)
    _normalize: bool = PrivateAttr()

    def __init__(
        self,
        index_name: str | None = None,
        *,
        pinecone_index: Any = None,
        namespace: str | None = None,
        api_key: str | None = None,
        host: str | None = None,
        sparse_encoder: BM25SparseEncoder | str | Path | None = None,
        docstore: BaseDocumentStore | str | Path | None = None,
        text_key: str = "text",
        document_ids: bool | None = None,
        batch_size: int = 100,
        max_concurrency: int = 8,
        timeout: float = 30.0,
        retry_seconds: float = 180.0,
        show_progress: bool = False,
        reranker: BaseNodePostprocessor | None = None,
        _connection: Connection | None = None,
    ) -> None:
        check_count(batch_size, "batch_size")
        check_count(max_concurrency, "max_concurrency")
        if batch_size > 1_000:
            raise InvalidInputError(f"batch_size={batch_size} is over Pinecone's 1,000")
        if isinstance(sparse_encoder, (str, Path)):
            sparse_encoder = BM25SparseEncoder.load(sparse_encoder)
        if (index_name is None) is (pinecone_index is None):
            raise InvalidInputError("give index_name, or pinecone_index in its place")
        connection = _connection
        if pinecone_index is not None:
            connection, index_name = Connection.of_index(pinecone_index, api_key, host, timeout)
        elif connection is None:
            connection = Connection(api_key, host, timeout)
        assert index_name is not None
        info = connection.open(index_name)
        fields: dict[str, Any] = {
            "index_name": index_name,
            "namespace": namespace_for(namespace, info.api),
            "host": connection.host,
            "text_key": text_key,
            "batch_size": batch_size,
            "max_concurrency": max_concurrency,
            "timeout": timeout,
            "retry_seconds": retry_seconds,
            "show_progress": show_progress,
            "sparse_encoder": sparse_encoder,
            "docstore": open_docstore(docstore),
            "reranker": reranker,
        }
        super().__init__(**fields)
        self._connection = connection
        self._normalize = info.tags.items() >= COSINE_TAG.items()
        made = VectorsAPI if info.api == "vectors" else DocumentsAPI
        self._api = made(info, self.namespace, Retry(seconds=retry_seconds))
        if document_ids is None:  # a store for documents of LlamaIndex's own does not exist
            document_ids = info.api == "vectors" and run(
                has_document_ids(connection.sync_port(), self._api)
            )
        self.document_ids = document_ids

    @property
    def _work(self) -> Work:
        """What the store does, by its settings of this moment."""
        return Work(
            api=self._api,
            maker=Maker(
                info=self._api.info,
                encoder=self.sparse_encoder,
                normalize=self._normalize,
                document_ids=self.document_ids,
                has_docstore=self.docstore is not None,
            ),
            journal=self._journal,
            outside=Outside(self.docstore, self.index_name, self.namespace),
            text_key=self.text_key,
            batch_size=self.batch_size,
            max_concurrency=self.max_concurrency,
        )

    @classmethod
    def from_existing_index(cls: type[Self], index_name: str, **settings: Any) -> Self:
        """Open an index that is there, whoever made it and wrote to it.

        Records of LlamaIndex's own store come back as their nodes, others as text nodes of their metadata.

        Parameters
        ----------
        index_name : str
        **settings
            Those of the class.

        Raises
        ------
        MissingIndexError
            There is none; names those that are there.
        AccessDeniedError, RemoteError, UnsupportedError, InvalidInputError
        """
        return cls(index_name, **settings)

    @classmethod
    def create_if_missing(
        cls: type[Self],
        index_name: str,
        *,
        dimension: int | None,
        metric: str = "cosine",
        spec: Any = None,
        api: str = "vectors",
        sparse_encoder: BM25SparseEncoder | str | Path | None = None,
        **settings: Any,
    ) -> Self:
        """Open an index, made first where there is none.

        Parameters
        ----------
        index_name : str
        dimension : int or None
            Of the embeddings. None makes an index of sparse vectors alone.
        metric : {"cosine", "ip", "l2"}
            Or Pinecone's "dotproduct", "euclidean". With a sparse encoder the Vectors API keeps sparse
            vectors in dotproduct indexes alone: "cosine" then stores unit vectors in one.
        spec : pinecone.ServerlessSpec or dict, optional
            Default AWS, us-east-1.
        api : {"vectors", "documents"}
            The Documents API has text search of its own.
        sparse_encoder, **settings
            Those of the class.

        Raises
        ------
        SettingsConflictError
            The index is there with another dimension, metric or data API; names both.
        UnsupportedError, InvalidInputError, AccessDeniedError, RemoteError
        """
        key, host = settings.pop("api_key", None), settings.pop("host", None)
        connection = Connection(key, host, settings.get("timeout", 30.0))
        try:
            ensure_index(
                connection,
                index_name,
                dimension=dimension,
                metric=metric,
                spec=spec,
                api=api,
                sparse=sparse_encoder is not None,
            )
            return cls(
                index_name, sparse_encoder=sparse_encoder, _connection=connection, **settings
            )
        except BaseException:
            connection.close()
            raise

    @classmethod
    def class_name(cls) -> str:
        """The name that LlamaIndex's serialised components carry."""
        return "PineconeVectorStore"

    def with_namespace(self: Self, namespace: str) -> Self:
        """The same index, another tenant; to be closed on its own."""
        return self._copied(namespace=namespace, document_ids=None)

    @property
    def client(self) -> Any:
        """The SDK's index client."""
        return self._connection.sync_port().index

    @property
    def metric(self) -> str:
        """What similarities are: ``"cosine"``, ``"ip"`` or ``"l2"``."""
        return "cosine" if self._normalize else self._api.info.metric

    @property
    def dim(self) -> int | None:
        """Dimension of the embeddings; None in an index of sparse vectors alone."""
        return self._api.info.dim

    @property
    def api(self) -> str:
        """The index's data API: ``"vectors"`` or ``"documents"``."""
        return self._api.info.api

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(index_name={self.index_name!r}, namespace={self.namespace!r}, "
            f"api={self.api!r}, dim={self.dim}, metric={self.metric!r})"
        )

    __str__ = __repr__

    def _copied(self: Self, **changed: Any) -> Self:
        settings = {name: getattr(self, name) for name in _COPIED}
        settings.update(timeout=self.timeout, **changed)
        return type(self)(self.index_name, _connection=self._connection.copy(), **settings)

    def __copy__(self: Self) -> Self:
        """A copy has connections of its own."""
        return self._copied()

    def __deepcopy__(self: Self, memo: dict[int, Any] | None = None) -> Self:
        return self._copied()

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """A pickle holds no key: who reads it needs it in the environment."""
        if not self._connection.key_is_from_environment:
            raise UnsupportedError(
                "a PineconeVectorStore whose api_key was passed can't be pickled, since the pickle would "
                "hold the key; set PINECONE_API_KEY instead"
            )
        if self.docstore is not None or self.sparse_encoder is not None:
            raise UnsupportedError(
                "a PineconeVectorStore with a docstore or a sparse_encoder can't be pickled; "
                "open it again where it is needed"
            )
        settings = {name: getattr(self, name) for name in (*_COPIED, "host", "timeout")}
        return _reopen, (type(self), self.index_name, settings)


def _reopen(cls: type[OpenedPinecone], index_name: str, settings: dict[str, Any]) -> OpenedPinecone:
    return cls(index_name, **settings)
