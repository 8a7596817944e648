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
from llamaindex_vecx.text.prepared import PreparedQueries, number
from llamaindex_vecx.text.queries import weigh_terms
from llamaindex_vecx.text.variants import as_variant, idf
from llamaindex_vecx.text.vocabulary import Vocabulary

__all__ = ["BM25"]

# numpy takes as long to find out what `np.int32` stands for as to number the words of a query.
_INT64, _FLOAT32 = np.dtype(np.int64), np.dtype(np.float32)


class BM25:
    """Incremental BM25.

    Parameters
    ----------
    variant : str
        ``lucene`` (default), ``robertson``, ``atire``, ``okapi``, ``l`` or ``plus``; see
        :mod:`llamaindex_vecx.text.variants`.
    k1 : float, optional
        How slowly further occurrences of a term lose worth, at least 0; None is the variant's own
        (``lucene`` 1.2 as in Lucene, the others 1.5 as in rank-bm25 and bm25s).
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

    kind: ClassVar[str] = "bm25-2"

    def __init__(
        self,
        variant: str = "lucene",
        *,
        k1: float | None = None,
        b: float = 0.75,
        delta: float | None = None,
        epsilon: float = 0.25,
    ) -> None:
        self._variant = as_variant(variant)
        k1 = self._variant.k1 if k1 is None else k1
        if not 0.0 <= k1 < np.inf:
            raise InvalidInputError(f"k1={k1!r} must be a finite number of at least 0")
        if not 0.0 <= b <= 1.0:
            raise InvalidInputError(f"b={b!r} must be from 0 to 1")
        if delta is not None and not 0.0 <= delta < np.inf:
            raise InvalidInputError(f"delta={delta!r} must be a finite number of at least 0")
        self._k1, self._b, self._epsilon = float(k1), float(b), float(epsilon)
        self._delta = self._variant.delta if delta is None else float(delta)
        self._vocabulary = Vocabulary()
        self._postings = Postings()
        self._forget_statistics()

    def _forget_statistics(self) -> None:
        self._known_weights: NDArray[np.float64] | None = None
        self._known_variant: NDArray[np.float64] | None = None

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
        rows, scores = self.search_many((tokens,), k, allowed=allowed)
        return rows[0], scores[0]

    @staticmethod
    def prepare(queries: Sequence[Sequence[str]]) -> PreparedQueries:
        """Queries that are asked more than once: their tokens are looked up the first time only.

        Which takes as long as a fourth of the search, in a small collection. They stay right whatever
        becomes of the index.
        """
        return PreparedQueries(queries)

    def search_many(
        self, queries: Sequence[Sequence[str]], k: int, *, allowed: Mask | None = None
    ) -> tuple[Rows, Scores]:
        """As :meth:`search`, for many queries in one call.

        Parameters
        ----------
        queries
            Tokens of each; or what :meth:`prepare` made of them, when they are asked repeatedly.

        Returns
        -------
        rows, scores : int64, float32, shape (queries, k)
        """
        if k < 1:
            raise InvalidInputError(f"k={k!r} must be at least 1")
        if allowed is not None:
            allowed = np.ascontiguousarray(allowed, dtype=np.bool_)
        if isinstance(queries, PreparedQueries):
            numbers, starts = queries.numbers(self._vocabulary)
        else:
            numbers, starts = number(queries, self._vocabulary)
        shape = len(queries), k
        rows, scores = np.empty(shape, _INT64), np.empty(shape, _FLOAT32)
        postings, variant = self._postings, self._variant_values()
        postings.expect(len(queries))
        weights = self._weights()
        done = postings.search(numbers, starts, weights, variant, allowed, rows, scores)
        while done < len(queries):
            self._search_all(queries[done], k, allowed, rows[done], scores[done])
            done += 1
            done += postings.search(
                numbers, starts[done:], weights, variant, allowed, rows[done:], scores[done:]
            )
        return rows, scores

    def _variant_values(self) -> NDArray[np.float64]:
        """What :func:`~llamaindex_vecx.text.queries.answer` asks of a variant."""
        if self._known_variant is None:
            variant = self._variant
            floor = self._floor() if variant.floored else np.nan
            everywhere = self._delta if variant.everywhere else 0.0
            self._known_variant = np.array([variant.number, floor, everywhere])
        return self._known_variant

    def _search_all(
        self,
        tokens: Sequence[str],
        k: int,
        allowed: Mask | None,
        rows: Rows,
        scores: NDArray[np.float32],
    ) -> None:
        """One query by way of all scores: bounds need terms of positive worth."""
        found, values = self.scores(tokens)
        if allowed is not None:
            keep = found < len(allowed)
            keep[keep] = allowed[found[keep]]
            found, values = found[keep], values[keep]
        size = min(k, len(found))
        rows[:size], rows[size:] = found[:size], -1
        scores[:size], scores[size:] = values[:size], -np.inf

    def scores(self, tokens: Sequence[str]) -> tuple[Rows, NDArray[np.float64]]:
        """All documents that have one of the tokens, best first, with scores in full precision.

        Returns
        -------
        rows, scores : int64, float64, shape (matches,)
        """
        numbers, _ = number((tokens,), self._vocabulary)
        kind, floor, everywhere = self._variant_values().tolist()
        kind, postings, size = int(kind), self._postings, len(numbers)
        terms, worths = np.empty(size, dtype=np.int64), np.empty(size)
        seen = np.zeros(len(postings.df), dtype=np.int32)
        count = weigh_terms(numbers, postings.df, seen, kind, len(self), floor, terms, worths)
        total = np.zeros(postings.slots)
        matched = np.zeros(postings.slots, dtype=np.bool_)
        # In the order of worth, as a search adds them up, so that both have the same ties.
        for term, worth in zip(terms[:count].tolist(), worths[:count].tolist(), strict=True):
            slots, codes = postings.postings_of(term)
            total[slots] += worth * self._weights()[codes]
            matched[slots] = True
        rows, alive = postings.rows_of(np.flatnonzero(matched))
        rows, scores = rows[alive], total[matched][alive]
        order = np.lexsort((rows, -scores))
        return rows[order], scores[order] + everywhere * sum(worths[:count].tolist())

    def _floor(self) -> float:
        """``epsilon`` times the mean idf over the live vocabulary; terms of one df share a logarithm."""
        terms_with = np.bincount(self._postings.df, minlength=1)
        terms_with[0] = 0
        df = np.flatnonzero(terms_with)
        if not len(df):
            return 0.0
        values = [idf(self._variant.number, n, len(self)) for n in df.tolist()]
        return self._epsilon * float(np.average(values, weights=terms_with[df]))

    def _weights(self) -> NDArray[np.float64]:
        if self._known_weights is None or len(self._known_weights) < len(self._postings.pairs):
            pairs = self._postings.pairs
            average = self._postings.total_length / len(self) if len(self) else 1.0
            weights = np.zeros(len(pairs))
            weights[1:] = self._variant.weight(
                pairs.tfs[1:], pairs.lengths[1:], average or 1.0, self._k1, self._b, self._delta
            )
            self._known_weights = weights
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
