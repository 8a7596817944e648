"""From texts to the token ids of (query, passage) pairs, each text tokenised once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llamaindex_vecx.errors import InvalidInputError

__all__ = ["Pair", "PairTokenizer"]


@dataclass(frozen=True)
class Pair:
    """One window of one text beside the query.

    Attributes
    ----------
    text : int
        Place of the text.
    ids, types : list of int
        Token ids and token types, with the model's special tokens.
    """

    text: int
    ids: list[int]
    types: list[int]


class PairTokenizer:
    """Pairs as the model's own tokenizer makes them, without tokenising the query for each text.

    Parameters
    ----------
    tokenizer : transformers fast tokenizer
    max_length : int
        Tokens of a pair with its special tokens.
    best : bool
        Long texts become several windows; otherwise the first is all.
    overlap : int
        Tokens that a window shares with the one before.

    Raises
    ------
    InvalidInputError
        Nothing of a text would fit beside a query.
    """

    def __init__(self, tokenizer: Any, max_length: int, *, best: bool, overlap: int) -> None:
        self._tokenizer = tokenizer.backend_tokenizer
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._room = max_length - self._tokenizer.num_special_tokens_to_add(True)
        self._best = best
        self._overlap = overlap
        if self._room < 2:
            raise InvalidInputError(
                f"max_length={max_length} leaves no room for a query and a text"
            )

    def pairs(self, query: str, texts: Sequence[str]) -> list[Pair]:
        """All pairs of a query with windows of the texts, in the order of the texts."""
        question = self._encode([query])[0]
        cut: dict[int, Any] = {len(question.ids): question}

        def of_length(length: int) -> Any:
            if length not in cut:
                cut[length] = self._encode([query])[0]
                cut[length].truncate(length)
            return cut[length]

        found: list[Pair] = []
        for place, encoding in enumerate(self._encode(texts)):
            asked, told = self._share(len(question.ids), len(encoding.ids))
            windows = [encoding]
            if len(encoding.ids) > told:
                overlap = min(self._overlap, told - 1) if self._best else 0
                encoding.truncate(told, stride=overlap)
                windows += encoding.overflowing if self._best else []
            for window in windows:
                pair = self._tokenizer.post_process(of_length(asked), window, True)
                found.append(Pair(place, pair.ids, pair.type_ids))
        return found

    def _encode(self, texts: Sequence[str]) -> list[Any]:
        encoded: list[Any] = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return encoded

    def _share(self, query: int, text: int) -> tuple[int, int]:
        """How many tokens of each fit; the longer one is cut first, as transformers do."""
        if query + text <= self._room:
            return query, text
        small, large = sorted((query, text))
        large = max(small, self._room - small)
        if small + large > self._room:
            small = self._room // 2
            large = self._room - small
        return (small, large) if query <= text else (large, small)
