"""Full-text search over one field of a document index, and the ``$match_…`` filters on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from llamaindex_vecx.pinecone_local.data.analysis import make_tokenizer
from llamaindex_vecx.text import BM25

__all__ = ["TextIndex"]


class TextIndex:
    """The texts of one field: BM25 over them, and the tokens for exact matches. One caller at a time.

    Parameters
    ----------
    config : mapping
        A resolved ``full_text_search`` configuration.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._tokens = make_tokenizer(config)
        self._bm25 = BM25()
        self._documents: dict[int, list[str]] = {}

    def add(self, rows: list[int], texts: list[str]) -> None:
        """Add rows that were never there before."""
        documents = [self._tokens(text) for text in texts]
        self._bm25.add(np.array(rows, np.int64), documents)
        self._documents.update(zip(rows, documents, strict=True))

    def remove(self, rows: Iterable[int]) -> None:
        """Remove rows; those that aren't there are ignored."""
        gone = [row for row in rows if self._documents.pop(row, None) is not None]
        self._bm25.remove(gone)

    def scores(self, text: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Every row that has one of the words, with its BM25 score, in no order to rely on."""
        return self._bm25.scores(self._tokens(text))

    def matching(self, operator: str, text: str) -> BitMap:
        """The rows that match ``$match_any``, ``$match_all`` or ``$match_phrase``.

        A text without any word matches nothing.
        """
        words = self._tokens(text)
        rows, _ = self._bm25.scores(words)
        if operator == "$match_any":
            return BitMap(rows.tolist())
        holds = _has_phrase if operator == "$match_phrase" else _has_all
        return BitMap(row for row in rows.tolist() if holds(self._documents[row], words))


def _has_all(document: list[str], words: list[str]) -> bool:
    return set(words) <= set(document)


def _has_phrase(document: list[str], words: list[str]) -> bool:
    length = len(words)
    return any(document[at : at + length] == words for at in range(len(document) - length + 1))
