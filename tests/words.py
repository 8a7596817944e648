"""An embedding model without a model: words hashed into a vector, so that shared words are near."""

from __future__ import annotations

import zlib

import numpy as np
from llama_index.core.base.embeddings.base import BaseEmbedding

DIM = 64


class WordHashEmbedding(BaseEmbedding):
    """Real enough to rank by: the cosine grows with the words two texts share."""

    model_name: str = "word-hash"

    def _embed(self, text: str) -> list[float]:
        vector = np.zeros(DIM)
        for word in text.lower().split():
            seed = zlib.crc32(word.encode())
            vector += np.random.default_rng(seed).standard_normal(DIM)
        return list(map(float, vector))

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._embed(text)

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._embed(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._embed(query)
