"""Embeddings that need no model: words hashed into a few dimensions. Named by ``--model`` in tests."""

from __future__ import annotations

import time
import zlib

from llama_index.core.base.embeddings.base import BaseEmbedding

TINY = "tests.cli.tiny:Tiny"
SLOW = "tests.cli.tiny:Slow"
DIM = 24


class Tiny(BaseEmbedding):
    def _get_text_embedding(self, text: str) -> list[float]:
        vector = [0.01] * DIM
        for word in text.lower().split():
            vector[zlib.crc32(word.encode()) % DIM] += 1.0
        return vector

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


class Slow(Tiny):
    """So slow that a process can be killed between two documents."""

    def _get_text_embedding(self, text: str) -> list[float]:
        time.sleep(0.002)
        return super()._get_text_embedding(text)


class NotAnEmbedding:
    """Importable, and of no use as a model."""
