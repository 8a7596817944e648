"""The retrieval layer for LlamaIndex: durable, filterable, hybrid vector stores.

Names are imported when they are first used: ``llamaindex_vecx.index`` and ``llamaindex_vecx.text`` work
without importing LlamaIndex.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llamaindex_vecx.observe import PrometheusHandler, WandbHandler, set_global_handler
    from llamaindex_vecx.postprocessors import CrossEncoderRerank
    from llamaindex_vecx.retrievers import BM25Retriever, HybridRetriever, hybrid_query_engine
    from llamaindex_vecx.stores import (
        FaissVectorStore,
        FlatVectorStore,
        HNSWVectorStore,
        PineconeVectorStore,
    )

__version__ = "0.1.0"

__all__ = [
    "BM25Retriever",
    "CrossEncoderRerank",
    "FaissVectorStore",
    "FlatVectorStore",
    "HNSWVectorStore",
    "HybridRetriever",
    "PineconeVectorStore",
    "PrometheusHandler",
    "WandbHandler",
    "__version__",
    "hybrid_query_engine",
    "set_global_handler",
]

_HOMES = {
    "BM25Retriever": "llamaindex_vecx.retrievers",
    "CrossEncoderRerank": "llamaindex_vecx.postprocessors",
    "FaissVectorStore": "llamaindex_vecx.stores",
    "FlatVectorStore": "llamaindex_vecx.stores",
    "HNSWVectorStore": "llamaindex_vecx.stores",
    "HybridRetriever": "llamaindex_vecx.retrievers",
    "PineconeVectorStore": "llamaindex_vecx.stores",
    "PrometheusHandler": "llamaindex_vecx.observe",
    "WandbHandler": "llamaindex_vecx.observe",
    "hybrid_query_engine": "llamaindex_vecx.retrievers",
    "set_global_handler": "llamaindex_vecx.observe",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
