"""Where postings lie: immutable segments, and a small tail that takes new documents.

Both keep a *forward* part (each document's terms), which a delete needs to lower document frequencies
and a merge to build postings anew; a segment adds the inverted part, a tail the chains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.text.growable import Growable
from llamaindex_vecx.text.kernels import chain_document_terms, invert
from llamaindex_vecx.text.pairs import Pairs

__all__ = ["Segment", "Tail", "merge"]

_FIELDS = ("offsets", "terms", "codes", "indptr", "posting_slots", "posting_codes")


@dataclass(frozen=True)
class Segment:
    """Documents in a run of slots, both ways round.

    Attributes
    ----------
    first : int
        Slot of the first document.
    offsets : int64, shape (documents + 1,)
        Document ``i`` holds ``terms`` and ``codes`` at ``offsets[i]:offsets[i + 1]``.
    terms, codes : int32, uint32, shape (n,)
    indptr : int64, shape (vocabulary at build time + 1,)
        Term ``t`` has the postings ``indptr[t]:indptr[t + 1]``.
    posting_slots, posting_codes : int32, uint32, shape (postings,)
        Slots count from ``first`` and ascend within a term.
    """

    first: int
    offsets: NDArray[np.int64]
    terms: NDArray[np.int32]
    codes: NDArray[np.uint32]
    indptr: NDArray[np.int64]
    posting_slots: NDArray[np.int32]
    posting_codes: NDArray[np.uint32]

    @classmethod
    def build(
        cls,
        first: int,
        offsets: NDArray[np.int64],
        terms: NDArray[np.int32],
        codes: NDArray[np.uint32],
        alive: NDArray[np.bool_],
        vocabulary: int,
    ) -> Segment:
        """Invert documents. ``alive`` (by slot, from ``first``) says which get postings."""
        indptr = np.zeros(vocabulary + 1, dtype=np.int64)
        slots = np.empty(len(terms), dtype=np.int32)
        posting_codes = np.empty(len(terms), dtype=np.uint32)
        total = invert(offsets, terms, codes, alive, indptr, slots, posting_codes)
        if total < len(terms):  # the dead left room that a view would keep
            slots, posting_codes = slots[:total].copy(), posting_codes[:total].copy()
        return cls(first, offsets, terms, codes, indptr, slots, posting_codes)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def terms_of(self, slot: int) -> NDArray[np.int32]:
        """The distinct terms of a document."""
        place = slot - self.first
        return self.terms[self.offsets[place] : self.offsets[place + 1]]

    def arrays(self, prefix: str) -> dict[str, NDArray[Any]]:
        """For a snapshot."""
        return {prefix + field: getattr(self, field) for field in _FIELDS}

    @classmethod
    def from_arrays(cls, prefix: str, first: int, arrays: Mapping[str, NDArray[Any]]) -> Segment:
        """What :meth:`arrays` gave."""
        return cls(first, *(np.asarray(arrays[prefix + field]) for field in _FIELDS))


def merge(segments: Sequence[Segment], alive: NDArray[np.bool_], vocabulary: int) -> Segment:
    """One segment for adjacent ones, without the dead documents' postings.

    Parameters
    ----------
    alive : bool, by slot, of the whole index
    """
    first = segments[0].first
    sizes = np.concatenate([np.diff(segment.offsets) for segment in segments])
    offsets = np.zeros(len(sizes) + 1, dtype=np.int64)
    np.cumsum(sizes, out=offsets[1:])
    return Segment.build(
        first,
        offsets,
        np.concatenate([segment.terms for segment in segments]),
        np.concatenate([segment.codes for segment in segments]),
        alive[first : first + len(sizes)],
        vocabulary,
    )


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
        self.before = Growable(np.int64)
        self.terms = Growable(np.int32)
        self.codes = Growable(np.uint32)
        self.slots = Growable(np.int32)
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

    def seal(self, alive: NDArray[np.bool_], vocabulary: int) -> Segment:
        """The tail as a segment. ``alive`` is by slot, of the whole index."""
        offsets = np.zeros(len(self) + 1, dtype=np.int64)
        offsets[1:] = self._ends.view
        return Segment.build(
            self.first,
            offsets,
            self.terms.view.copy(),
            self.codes.view.copy(),
            alive[self.first : self.first + len(self)],
            vocabulary,
        )
