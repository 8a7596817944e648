"""Where postings lie: immutable segments, and a small tail that takes new documents.

Both keep a *forward* part (each document's terms), which a delete needs to lower document frequencies
and a merge to build postings anew; a segment adds the inverted part, a tail the chains.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from llamaindex_vecx.text.growable import Growable
from llamaindex_vecx.text.kernels import (
    bury,
    chain_document_terms,
    count_postings,
    invert,
    map_common,
)
from llamaindex_vecx.text.pairs import Pairs

__all__ = ["LARGEST", "Segment", "Tail", "code_type", "merge"]

LARGEST = 1 << 16
"""Documents in a segment: places in it are 16 bits wide."""

_FIELDS = ("offsets", "terms", "codes", "indptr", "data", "bitmaps", "ranks")
_COMMON = 16  # a term in more than one of so many documents has a bitmap
_NARROW = 1 << 16
_NO_LENGTH = np.iinfo(np.int32).max


@dataclass(frozen=True)
class Segment:
    """Documents in a run of slots, both ways round.

    Attributes
    ----------
    first : int
        Slot of the first document.
    offsets : int64, shape (documents + 1,)
        Document ``i`` holds ``terms`` and ``codes`` at ``offsets[i]:offsets[i + 1]``.
    terms, codes : int32, uint16 or uint32, shape (n,)
    indptr : int64, shape (vocabulary at build time + 1,)
        Term ``t`` has ``data[indptr[t]:indptr[t + 1]]``, nothing if no document has it.
    data : uint16 or uint32
        For each term: the code of a pair that no posting of it is worth more than; the number from 1 of
        its bitmap, or 0; the places of its documents in the segment, ascending; their codes.
    bitmaps, ranks : uint64, uint32, shape (common terms, documents / 64)
        Which documents have a common term, and how many have it before each word.
    """

    first: int
    offsets: NDArray[np.int64]
    terms: NDArray[np.int32]
    codes: NDArray[Any]
    indptr: NDArray[np.int64]
    data: NDArray[Any]
    bitmaps: NDArray[np.uint64]
    ranks: NDArray[np.uint32]

    @classmethod
    def build(
        cls,
        first: int,
        offsets: NDArray[np.int64],
        terms: NDArray[np.int32],
        codes: NDArray[Any],
        alive: NDArray[np.bool_],
        vocabulary: int,
        pairs: Pairs,
    ) -> Segment:
        """Invert documents. ``alive`` (by slot, from ``first``) says which get postings."""
        documents = len(offsets) - 1
        counts = np.zeros(vocabulary, dtype=np.int64)
        count_postings(offsets, terms, alive, counts)
        present = np.flatnonzero(counts)
        indptr = np.zeros(vocabulary + 1, dtype=np.int64)
        indptr[1:][present] = 2 * counts[present] + 2
        np.cumsum(indptr, out=indptr)
        data = np.zeros(int(indptr[-1]) + 1, dtype=codes.dtype)  # a search reads one beyond
        most = np.zeros(vocabulary, dtype=np.int32)
        shortest = np.full(vocabulary, _NO_LENGTH, dtype=np.int32)
        invert(offsets, terms, codes, alive, pairs.view, indptr, data, most, shortest)
        # Worth rises with the frequency and falls with the length, whatever the average is.
        bounds = pairs.code_of(most[present], shortest[present])
        kind = code_type(len(pairs))
        if kind != data.dtype:
            codes, data = codes.astype(kind), data.astype(kind)
        data[indptr[present]] = bounds
        common = present[counts[present] * _COMMON > documents]
        data[indptr[common] + 1] = np.arange(1, len(common) + 1)
        words = (documents + 63) // 64
        bitmaps = np.zeros((len(common), words), dtype=np.uint64)
        ranks = np.zeros((len(common), words), dtype=np.uint32)
        map_common(common, indptr, data, bitmaps, ranks)
        return cls(first, offsets, terms, codes, indptr, data, bitmaps, ranks)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def terms_of(self, slot: int) -> NDArray[np.int32]:
        """The distinct terms of a document."""
        place = slot - self.first
        return self.terms[self.offsets[place] : self.offsets[place + 1]]

    def bury(self, slot: int) -> None:
        """Make a removed document's postings worth nothing."""
        bury(self.terms_of(slot), slot - self.first, self.indptr, self.data)

    def postings_of(self, term: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """The slots of a term's documents, and their codes."""
        if term + 1 >= len(self.indptr):
            return np.empty(0, dtype=np.int64), self.data[:0]
        start, end = int(self.indptr[term]), int(self.indptr[term + 1])
        middle = start + 2 + (end - start - 2) // 2
        return self.data[start + 2 : middle].astype(np.int64) + self.first, self.data[middle:end]

    def widened(self) -> Segment:
        """The same with codes of 32 bits."""
        return replace(self, codes=self.codes.astype(np.uint32), data=self.data.astype(np.uint32))

    def arrays(self, prefix: str) -> dict[str, NDArray[Any]]:
        """For a snapshot."""
        return {prefix + field: getattr(self, field) for field in _FIELDS}

    @classmethod
    def from_arrays(cls, prefix: str, first: int, arrays: Mapping[str, NDArray[Any]]) -> Segment:
        """What :meth:`arrays` gave."""
        return cls(first, *(np.asarray(arrays[prefix + field]) for field in _FIELDS))


def code_type(pairs: int) -> DTypeLike:
    """What codes are kept in: 16 bits until there are more pairs than that."""
    return np.dtype(np.uint16 if pairs <= _NARROW else np.uint32)


def merge(
    segments: list[Segment], start: int, alive: NDArray[np.bool_], vocabulary: int, pairs: Pairs
) -> None:
    """Make one of the adjacent segments from ``start`` on, without the dead documents' postings.

    Parameters
    ----------
    alive : bool, by slot, of the whole index
    """
    sizes = np.concatenate([np.diff(segment.offsets) for segment in segments[start:]])
    offsets = np.zeros(len(sizes) + 1, dtype=np.int64)
    np.cumsum(sizes, out=offsets[1:])
    first = segments[start].first
    terms, codes = (_adjoin(segments, start, field) for field in ("terms", "codes"))
    here = alive[first : first + len(sizes)]
    segments[start:] = [Segment.build(first, offsets, terms, codes, here, vocabulary, pairs)]


def _adjoin(segments: list[Segment], start: int, field: str) -> NDArray[Any]:
    """One array of what the segments from ``start`` on have in a field, of which theirs become parts.

    So their own arrays go at once, and a merge of the whole index doesn't take its memory twice.
    """
    whole = np.concatenate([getattr(segment, field) for segment in segments[start:]])
    low = 0
    for i in range(start, len(segments)):
        high = low + len(getattr(segments[i], field))
        part: dict[str, Any] = {field: whole[low:high]}
        segments[i] = replace(segments[i], **part)
        low = high
    return whole


class Tail:
    """The newest documents, each posting chained to the one before it of the same term.

    Attributes
    ----------
    origin : int
        Absolute position of the first posting; positions are never used again.
    first : int
        Slot of the first document.
    before, terms, codes, slots : Growable
        By position less ``origin``.
    """

    def __init__(self, origin: int, first: int) -> None:
        self.origin = origin
        self.first = first
        self.before: Growable = Growable(np.int64)
        self.terms: Growable = Growable(np.int32)
        self.codes: Growable = Growable(np.uint32)
        self.slots: Growable = Growable(np.int32)
        self._ends = Growable(np.int64)

    def __len__(self) -> int:
        return len(self._ends)

    @property
    def postings(self) -> int:
        """How many postings there are."""
        return len(self.terms)

    def append(
        self,
        ids: NDArray[np.int32],
        starts: NDArray[np.int64],
        lengths: NDArray[np.int32],
        head: NDArray[np.int64],
        df: NDArray[np.int64],
        pairs: Pairs,
    ) -> None:
        """Take documents.

        Parameters
        ----------
        ids, starts : int32 (tokens,), int64 (documents + 1,)
            Document ``i`` has the terms ``ids[starts[i]:starts[i + 1]]``.
        lengths : int32, by slot, the new documents included
        head, df : int64, by term
            Updated.
        """
        size, documents = len(self.terms), len(self._ends)
        for growable in (self.before, self.terms, self.codes, self.slots):
            growable.reserve(size + len(ids))
        self._ends.reserve(documents + len(starts) - 1)
        # Frequencies are needed only until the pairs have their codes, and lie beside the new postings.
        tfs = np.empty(size + len(ids), dtype=np.int32)
        end = chain_document_terms(
            ids,
            starts,
            self.first + documents,
            self.origin,
            size,
            head,
            df,
            self.before.data,
            self.terms.data,
            tfs,
            self.slots.data,
            self._ends.data[documents:],
        )
        self._ends.size += len(starts) - 1
        self.codes.data[size:end] = pairs.encode(tfs[size:end], lengths, self.slots.data[size:end])
        for growable in (self.before, self.terms, self.codes, self.slots):
            growable.size = end

    def terms_of(self, slot: int) -> NDArray[np.int32]:
        """The distinct terms of a document."""
        place = slot - self.first
        start = self._ends.data[place - 1] if place else 0
        terms: NDArray[np.int32] = self.terms.data[start : self._ends.data[place]]
        return terms

    def postings_of(
        self, term: int, head: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """The slots of a term's documents, and their codes."""
        chain: list[int] = []
        posting = int(head[term]) - self.origin
        while posting >= 0:
            chain.append(posting)
            posting = int(self.before.data[posting]) - self.origin
        places = np.array(chain, dtype=np.int64)
        return self.slots.data[places].astype(np.int64), self.codes.data[places]

    def seal(self, alive: NDArray[np.bool_], vocabulary: int, pairs: Pairs) -> Segment:
        """The tail as a segment. ``alive`` is by slot, of the whole index."""
        offsets = np.zeros(len(self) + 1, dtype=np.int64)
        offsets[1:] = self._ends.view
        return Segment.build(
            self.first,
            offsets,
            self.terms.view.copy(),
            self.codes.view.astype(code_type(len(pairs))),
            alive[self.first : self.first + len(self)],
            vocabulary,
            pairs,
        )
