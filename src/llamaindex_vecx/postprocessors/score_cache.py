"""Scores that were computed before, by model, query and text."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence

from llamaindex_vecx.checks import check_count

__all__ = ["ScoreCache"]


class ScoreCache:
    """The scores that were used last, in memory. May be shared by rerankers and by threads.

    Parameters
    ----------
    max_entries : int
        The least recently used are forgotten; an entry takes about 150 bytes.
    """

    def __init__(self, max_entries: int = 100_000) -> None:
        check_count(max_entries, "max_entries")
        self.max_entries = max_entries
        self._scores: OrderedDict[bytes, float] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._scores)

    def __repr__(self) -> str:
        return f"ScoreCache({len(self)} of {self.max_entries} entries)"

    def get(self, model: str, query: str, texts: Sequence[str]) -> list[float | None]:
        """The score of each text, None where it isn't known."""
        keys = [_key(model, query, text) for text in texts]
        with self._lock:
            found = [self._scores.get(key) for key in keys]
            for key, score in zip(keys, found, strict=True):
                if score is not None:
                    self._scores.move_to_end(key)
        return found

    def put(self, model: str, query: str, texts: Sequence[str], scores: Sequence[float]) -> None:
        """Keep the score of each text."""
        keys = [_key(model, query, text) for text in texts]
        with self._lock:
            for key, score in zip(keys, scores, strict=True):
                self._scores[key] = score
                self._scores.move_to_end(key)
            while len(self._scores) > self.max_entries:
                self._scores.popitem(last=False)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._scores.clear()


def _key(model: str, query: str, text: str) -> bytes:
    """Lengths stand before the parts, so that no two triples give the same bytes."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (model, query, text):
        body = part.encode("utf-8", "surrogatepass")
        digest.update(len(body).to_bytes(8, "little") + body)
    return digest.digest()
