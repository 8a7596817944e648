"""BM25 as sparse vectors, for services that store them and know nothing of terms.

A document's vector holds each term's weight in it, a query's the term's rarity in the texts that the
encoder was fitted on; their inner product is BM25's score. Terms become dimensions by a 32-bit hash, so
there is no vocabulary to share: with 100,000 distinct terms about one pair of them meets.

References
----------
Robertson & Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond, 2009, section 3.
Kamphuis, de Vries, Boytsov & Lin, Which BM25 Do You Mean?, ECIR 2020 (the Lucene variant).
"""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2s
from pathlib import Path
from typing import Any

from llamaindex_vecx.errors import FormatError, InvalidInputError
from llamaindex_vecx.text.tokenizers import Tokenizer, get_tokenizer

__all__ = ["BM25SparseEncoder", "term_id"]

_FORMAT = 1
_MOST_CACHED = 1 << 17

SparseVector = tuple[list[int], list[float]]
"""Dimensions, each once and rising, and their weights, all above 0."""


def term_id(term: str) -> int:
    """The dimension of a term, in [0, 2**32): BLAKE2s of its UTF-8, the same on every machine."""
    digest = blake2s(term.encode("utf-8", "surrogatepass"), digest_size=4).digest()
    return int.from_bytes(digest, "big")


class BM25SparseEncoder:
    """Texts and questions to sparse vectors whose inner product is BM25's score (Lucene's variant).

    Parameters
    ----------
    tokenizer : str or callable
        As in the stores: ``"default"``, ``"kiwi"`` and so on.
    k1, b : float
        BM25's saturation (at least 0) and length normalisation (in [0, 1]).

    Raises
    ------
    InvalidInputError

    Examples
    --------
    >>> encoder = BM25SparseEncoder().fit(["Tea is dried leaves.", "Bread needs yeast."])
    >>> encoder.save("bm25.json")
    >>> indices, values = BM25SparseEncoder.load("bm25.json").encode_query("What needs yeast?")
    """

    def __init__(
        self,
        tokenizer: str | Tokenizer | Callable[[str], Sequence[str]] = "default",
        *,
        k1: float = 1.2,
        b: float = 0.75,
    ) -> None:
        if not (isinstance(k1, (int, float)) and k1 >= 0 and math.isfinite(k1)):
            raise InvalidInputError(f"k1={k1!r} must be a number of at least 0")
        if not (isinstance(b, (int, float)) and 0 <= b <= 1):
            raise InvalidInputError(f"b={b!r} must lie in [0, 1]")
        self.tokenizer: Tokenizer = get_tokenizer(tokenizer)
        self.k1: float = float(k1)
        self.b: float = float(b)
        self._documents = 0
        self._tokens = 0
        self._frequencies: dict[int, int] = {}
        self._ids: dict[str, int] = {}

    @property
    def documents(self) -> int:
        """How many texts the encoder was fitted on."""
        return self._documents

    def __repr__(self) -> str:
        return (
            f"BM25SparseEncoder(tokenizer={self.tokenizer.name!r}, documents={self._documents}, "
            f"terms={len(self._frequencies)}, k1={self.k1}, b={self.b})"
        )

    # ---------------------------------------------------------------- fitting

    def fit(self, texts: Iterable[str]) -> BM25SparseEncoder:
        """Learn from these texts alone how rare terms are and how long texts; returns itself."""
        self._documents = self._tokens = 0
        self._frequencies = {}
        return self.partial_fit(texts)

    def partial_fit(self, texts: Iterable[str]) -> BM25SparseEncoder:
        """Learn from more texts; returns itself.

        Vectors made before keep the average length of their time, which moves little once there are
        some thousand texts; questions use the new rarities at once.
        """
        if isinstance(texts, str):
            raise InvalidInputError("texts must be a list of texts, not one str")
        for text in texts:
            counts = self._counts(text)
            self._documents += 1
            self._tokens += sum(counts.values())
            for term in counts:
                self._frequencies[term] = self._frequencies.get(term, 0) + 1
        return self

    # ---------------------------------------------------------------- encoding

    def encode_document(self, text: str) -> SparseVector:
        """A text's vector: ``tf / (tf + k1 (1 - b + b length / average))`` a term.

        Raises
        ------
        InvalidInputError
            The encoder was not fitted.
        """
        average = self._average()
        counts = self._counts(text)
        norm = self.k1 * (1.0 - self.b + self.b * sum(counts.values()) / average)
        return _sorted((term, tf / (tf + norm)) for term, tf in counts.items())

    def encode_query(self, text: str) -> SparseVector:
        """A question's vector: ``ln(1 + (n - df + 0.5) / (df + 0.5))`` a term, times its repeats.

        Raises
        ------
        InvalidInputError
            The encoder was not fitted.
        """
        self._average()
        return _sorted((term, tf * self._rarity(term)) for term, tf in self._counts(text).items())

    def _rarity(self, term: int) -> float:
        frequency = self._frequencies.get(term, 0)
        return math.log1p((self._documents - frequency + 0.5) / (frequency + 0.5))

    def _average(self) -> float:
        if not self._documents:
            raise InvalidInputError(
                "the BM25SparseEncoder was not fitted; call fit(texts) first, or load(path)"
            )
        return max(self._tokens / self._documents, 1.0)

    def _counts(self, text: str) -> Counter[int]:
        if not isinstance(text, str):
            raise InvalidInputError(f"text must be a str, not {type(text).__name__}")
        return Counter(map(self._id, self.tokenizer(text)))

    def _id(self, term: str) -> int:
        known = self._ids.get(term)
        if known is None:
            if len(self._ids) >= _MOST_CACHED:
                self._ids = {}
            known = self._ids[term] = term_id(term)
        return known

    # ---------------------------------------------------------------- on disk

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything as JSON; the file is there whole or not at all."""
        body = {
            "format": _FORMAT,
            "tokenizer": self.tokenizer.name,
            "tokenizer_version": self.tokenizer.version,
            "k1": self.k1,
            "b": self.b,
            "documents": self._documents,
            "tokens": self._tokens,
            "frequencies": {str(term): count for term, count in sorted(self._frequencies.items())},
        }
        target = Path(path)
        aside = target.with_name(f"{target.name}.{os.getpid()}.new")
        aside.write_text(json.dumps(body, ensure_ascii=False), encoding="utf-8")
        os.replace(aside, target)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> BM25SparseEncoder:
        """Read what :meth:`save` wrote.

        Raises
        ------
        FormatError
            The file is damaged, newer than this package, or its tokenizer has another version here.
        InvalidInputError
            Its tokenizer is unknown here.
        """
        try:
            body = json.loads(Path(path).read_text(encoding="utf-8"))
            encoder = cls(str(body["tokenizer"]), k1=float(body["k1"]), b=float(body["b"]))
            _check_version(body, encoder.tokenizer, path)
            encoder._documents = int(body["documents"])
            encoder._tokens = int(body["tokens"])
            encoder._frequencies = {int(term): int(n) for term, n in body["frequencies"].items()}
        except InvalidInputError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise FormatError(
                f"{path} is no saved BM25SparseEncoder ({type(error).__name__}: {error}); "
                "fit and save it again"
            ) from error
        return encoder


def _check_version(body: dict[str, Any], tokenizer: Tokenizer, path: object) -> None:
    if body["format"] != _FORMAT:
        raise FormatError(f"{path} has format {body['format']!r}, this package reads {_FORMAT}")
    if body["tokenizer_version"] != tokenizer.version:
        raise FormatError(
            f"{path} was fitted with version {body['tokenizer_version']!r} of tokenizer "
            f"{tokenizer.name!r}, here is {tokenizer.version!r}; fit it again and add the nodes again"
        )


def _sorted(pairs: Iterable[tuple[int, float]]) -> SparseVector:
    ordered = sorted(pair for pair in pairs if pair[1] > 0.0)
    return [term for term, _ in ordered], [weight for _, weight in ordered]
