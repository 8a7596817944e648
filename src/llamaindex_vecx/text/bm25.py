"""BM25 over an inverted index that takes additions and deletions at any time.

Nothing that depends on the collection is stored: scores are made at query time from document
frequencies, the number of documents and their average length, all of which an ``add`` or ``remove``
changes at once. The index knows token strings and rows; what a token is, is the tokenizer's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llamaindex_vecx.errors import DamagedSnapshotError, DuplicateIdError, InvalidInputError
from llamaindex_vecx.index.base import Mask, Rows, Scores
from llamaindex_vecx.snapshot import read_snapshot, write_snapshot
from llamaindex_vecx.text.postings import Postings
from llamaindex_vecx.text.variants import as_variant
from llamaindex_vecx.text.vocabulary import Vocabulary

__all__ = ["BM25"]


class BM25:
    """Incremental BM25.

    Parameters
    ----------
    variant : str
        ``lucene`` (default), ``robertson``, ``atire``, ``okapi``, ``l`` or ``plus``; see
        :mod:`llamaindex_vecx.text.variants`.
    k1 : float
        How slowly further occurrences of a term lose worth, at least 0.
    b : float
        How much a document's length counts, from 0 to 1.
    delta : float, optional
        Of ``l`` and ``plus``; None is the variant's own (0.5 and 1).
    epsilon : float
        Of ``okapi``: a negative idf becomes ``epsilon`` times the average idf.

    Notes
    -----
    One caller at a time.
    """

    kind: ClassVar[str] = "bm25"

    def __init__(
        self,
        variant: str = "lucene",
        *,
        k1: float = 1.5,
        b: float = 0.75,
        delta: float | None = None,
        epsilon: float = 0.25,
    ) -> None:
        self._variant = as_variant(variant)
        if not 0.0 <= k1 < np.inf:
            raise InvalidInputError(f"k1={k1!r} must be a finite number of at least 0")
        if not 0.0 <= b <= 1.0:
            raise InvalidInputError(f"b={b!r} must be from 0 to 1")
        self._k1, self._b, self._epsilon = float(k1), float(b), float(epsilon)
        self._delta = self._variant.delta if delta is None else float(delta)
        self._vocabulary = Vocabulary()
        self._postings = Postings()
        self._forget_statistics()

    def _forget_statistics(self) -> None:
        self._known_weights: NDArray[np.float64] | None = None
        self._known_floor: float | None = None

    @property
    def params(self) -> dict[str, Any]:
        """The parameters, as plain JSON."""
        return {
            "variant": self._variant.name,
            "k1": self._k1,
            "b": self._b,
            "delta": self._delta,
            "epsilon": self._epsilon,
        }

    def __len__(self) -> int:
        return self._postings.live

    def __contains__(self, row: int) -> bool:
        return row in self._postings

    def __repr__(self) -> str:
        return f"BM25({self._variant.name!r}, k1={self._k1}, b={self._b}, documents={len(self)})"

    def add(self, rows: ArrayLike, documents: Sequence[Sequence[str]]) -> None:
        """Add tokenized documents under new rows.

        Parameters
        ----------
        rows : int64, shape (n,)
            Distinct, non-negative, not in the index. Rows should be dense: an array spans them.
        documents : n sequences of tokens
            A document may be empty: it matches nothing and counts in the averages.

        Raises
        ------
        InvalidInputError, DuplicateIdError
            The index is unchanged.
        """
        checked = _check_rows(rows, len(documents))
        self._postings.check_new(checked)
        for document in documents:
            if isinstance(document, str):
                raise InvalidInputError(
                    f"documents must be sequences of tokens, not the string {document[:40]!r}; "
                    "tokenize it first"
                )
        if not len(checked):
            return
        lengths = np.fromiter(map(len, documents), dtype=np.int32, count=len(documents))
        starts = np.zeros(len(documents) + 1, dtype=np.int64)
        np.cumsum(lengths, out=starts[1:])
        numbers = map(self._vocabulary.__getitem__, chain.from_iterable(documents))
        ids = np.fromiter(numbers, dtype=np.int32, count=int(starts[-1]))
        self._postings.add(checked, ids, starts, lengths, len(self._vocabulary))
        self._forget_statistics()

    def remove(self, rows: ArrayLike) -> int:
        """Remove rows. Rows that aren't there are ignored. Returns how many were."""
        wanted = np.atleast_1d(np.asarray(rows, dtype=np.int64)).tolist()
        removed = sum(self._postings.remove(row) for row in wanted)
        if removed:
            self._forget_statistics()
            if self._postings.mostly_dead:
                self.compact()
        return removed

    def compact(self) -> None:
        """Drop what removed documents left behind. Results don't change."""
        used = self._postings.compact()
        # Tokens of a refused batch can stand behind the last term that was ever indexed.
        kept = (term for term, keep in zip(self._vocabulary, used.tolist(), strict=False) if keep)
        self._vocabulary = Vocabulary((term, number) for number, term in enumerate(kept))

    def search(
        self, tokens: Sequence[str], k: int, *, allowed: Mask | None = None
    ) -> tuple[Rows, Scores]:
        """The ``k`` best documents of a query.

        Parameters
        ----------
        tokens : sequence of str
            A token given twice counts twice, as in rank-bm25. Unknown ones count nothing.
        k : int
            At least 1.
        allowed : bool, shape (m,), optional
            ``allowed[row]`` says whether a row may be returned; rows from ``m`` on may not. Honoured
            during the search.

        Returns
        -------
        rows : int64, shape (k,)
            Best first, ties by row, padded with -1. Only documents with at least one of the tokens.
        scores : float32, shape (k,)
            Padded with -inf.

        Raises
        ------
        InvalidInputError
        """
        if k < 1:
            raise InvalidInputError(f"k={k!r} must be at least 1")
        if allowed is not None:
            allowed = np.ascontiguousarray(allowed, dtype=np.bool_)
        found_rows, found_scores = self._top(tokens, k, allowed)
        rows = np.full(k, -1, dtype=np.int64)
        scores = np.full(k, -np.inf, dtype=np.float32)
        rows[: len(found_rows)] = found_rows
        scores[: len(found_rows)] = found_scores
        return rows, scores

    def scores(self, tokens: Sequence[str]) -> tuple[Rows, NDArray[np.float64]]:
        """All documents that have one of the tokens, best first, with scores in full precision.

        Returns
        -------
        rows, scores : int64, float64, shape (matches,)
        """
        return self._top(tokens, None, None)

    def _top(
        self, tokens: Sequence[str], k: int | None, allowed: Mask | None
    ) -> tuple[Rows, NDArray[np.float64]]:
        query, times = self._number_query(tokens)
        if not len(query):
            return np.empty(0, dtype=np.int64), np.empty(0)
        worth = self._idf(self._postings.df[query]) * times
        rows, scores = self._postings.top(query, worth, self._weights(), k, allowed)
        if self._variant.everywhere:
            scores += self._delta * worth.sum()
        return rows, scores

    def _number_query(self, tokens: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The query's distinct terms that some live document has, and how often each was given."""
        if isinstance(tokens, str):
            raise InvalidInputError(f"tokens must be a sequence, not the string {tokens[:40]!r}")
        df, times = self._postings.df, dict[int, int]()
        for token in tokens:
            number = self._vocabulary.get(token)
            if number is not None and number < len(df) and df[number]:
                times[number] = times.get(number, 0) + 1
        return np.array(list(times), dtype=np.int64), np.array(list(times.values()), dtype=float)

    def _idf(self, df: NDArray[np.int64]) -> NDArray[np.float64]:
        idf = self._variant.idf(df.astype(np.float64), len(self))
        if self._variant.floored:
            return np.where(idf < 0.0, self._floor(), idf)
        return idf

    def _floor(self) -> float:
        """``epsilon`` times the mean idf over the live vocabulary; terms of one df share a logarithm."""
        if self._known_floor is None:
            terms_with = np.bincount(self._postings.df)
            terms_with[0] = 0
            df = np.flatnonzero(terms_with)
            idf = self._variant.idf(df.astype(np.float64), len(self))
            self._known_floor = self._epsilon * float(np.average(idf, weights=terms_with[df]))
        return self._known_floor

    def _weights(self) -> NDArray[np.float64]:
        if self._known_weights is None:
            pairs = self._postings.pairs
            average = self._postings.total_length / len(self)
            self._known_weights = self._variant.weight(
                pairs.tfs, pairs.lengths / average, self._k1, self._b, self._delta
            )
        return self._known_weights

    def save(self, folder: Path, *, stamp: Mapping[str, Any] | None = None) -> None:
        """Write a snapshot (:mod:`llamaindex_vecx.snapshot`). ``stamp`` is the caller's note."""
        arrays, firsts = self._postings.arrays()
        arrays["term_text"], arrays["term_offsets"] = self._vocabulary.pack(len(arrays["df"]))
        params = self.params | {"segments": firsts}
        write_snapshot(folder, kind=self.kind, params=params, arrays=arrays, stamp=stamp)

    @classmethod
    def load(cls, folder: Path) -> tuple[BM25, dict[str, Any]]:
        """The index and the stamp, postings memory-mapped.

        Raises
        ------
        DamagedSnapshotError
        """
        snapshot = read_snapshot(folder, kind=cls.kind)
        params = dict(snapshot.params)
        try:
            firsts = params.pop("segments")
            index = cls(**params)
            index._postings = Postings.from_arrays(snapshot.arrays, firsts)
            index._vocabulary = Vocabulary.unpack(
                snapshot.arrays["term_text"], snapshot.arrays["term_offsets"]
            )
        except (KeyError, TypeError, InvalidInputError) as error:
            raise DamagedSnapshotError(f"{folder} is not a snapshot of BM25: {error}") from error
        return index, snapshot.stamp


def _check_rows(rows: ArrayLike, count: int) -> Rows:
    array = np.asarray(rows)
    if len(array) != count:
        raise InvalidInputError(f"{len(array)} rows were given for {count} documents")
    if not count:
        return np.empty(0, dtype=np.int64)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise InvalidInputError(
            f"rows must be integers of shape (n,), not {array.dtype} of shape {array.shape}"
        )
    checked = array.astype(np.int64)
    if checked.min() < 0:
        raise InvalidInputError(f"rows must not be negative: {checked.min()}")
    if count > 1:
        values, counts = np.unique(checked, return_counts=True)
        if len(values) < count:
            raise DuplicateIdError(f"row {values[counts > 1][0]} is given twice")
    return checked
