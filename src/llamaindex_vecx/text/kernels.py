"""Kernels that build the inverted index.

A *slot* numbers a document in the index, in order of arrival. A posting is (slot, code), where the code
stands for a distinct pair of term frequency and document length; what a pair is worth under the current
average length is looked up in one small table, so a search neither divides nor fetches lengths. Code 0 is
worth nothing: it is what a removed document's postings get.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.jit import inline, kernel

__all__ = [
    "bury",
    "chain_document_terms",
    "count_postings",
    "encode_pairs",
    "invert",
    "map_common",
]


@kernel
def chain_document_terms(
    ids: NDArray[np.int32],
    starts: NDArray[np.int64],
    slot: int,
    origin: int,
    size: int,
    head: NDArray[np.int64],
    df: NDArray[np.int64],
    before: NDArray[np.int64],
    terms: NDArray[np.int32],
    tfs: NDArray[np.int32],
    slots: NDArray[np.int32],
    ends: NDArray[np.int64],
) -> int:
    """Append documents to the tail: count their terms and chain each posting to the term's last.

    Parameters
    ----------
    ids, starts : int32 (tokens,), int64 (documents + 1,)
        Document ``i`` has the terms ``ids[starts[i]:starts[i + 1]]``, with repeats.
    slot : int
        Of the first document.
    origin, size : int
        Absolute position of the tail's first posting, and how many there are. ``head`` holds absolute
        positions, so that what an earlier tail left in it lies below ``origin`` and ends a chain.
    head, df : int64 (vocabulary,)
        Latest posting and document frequency of each term; updated.
    before, terms, tfs, slots : (capacity,)
        The tail's postings, by position less ``origin``; appended to.
    ends : int64 (documents,)
        Filled with the end of each document's postings.

    Returns
    -------
    int
        The new ``size``.
    """
    for document in range(len(starts) - 1):
        first = size
        for token in range(starts[document], starts[document + 1]):
            term = ids[token]
            last = head[term] - origin
            if last >= first:
                tfs[last] += 1
            else:
                before[size] = head[term]
                head[term] = origin + size
                terms[size] = term
                slots[size] = slot + document
                tfs[size] = 1
                df[term] += 1
                size += 1
        ends[document] = size
    return size


@inline
def _probe(keys: NDArray[np.int64], key: np.int64) -> np.int64:
    """Where ``key`` is, or the free place where it belongs (open addressing, power-of-two table)."""
    mask = np.uint64(len(keys) - 1)
    mixed = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    place = (mixed ^ (mixed >> np.uint64(32))) & mask
    while keys[place] != key and keys[place] != -1:
        place = (place + np.uint64(1)) & mask
    return np.int64(place)


@kernel
def encode_pairs(
    tfs: NDArray[np.int32],
    lengths: NDArray[np.int32],
    slots: NDArray[np.int32],
    keys: NDArray[np.int64],
    values: NDArray[np.uint32],
    pairs: NDArray[np.int64],
    used: int,
    codes: NDArray[np.uint32],
) -> tuple[int, int]:
    """Number each posting's pair of term frequency and document length.

    Parameters
    ----------
    tfs, slots : int32, shape (n,)
    lengths : int32, by slot
    keys, values : shape (capacity,), a power of two
        Hash table from ``length << 32 | tf`` to code; -1 is free.
    pairs : int64, shape (capacity // 2,)
        The keys by code; ``used`` of them count.
    codes : uint32, shape (n,)
        Filled.

    Returns
    -------
    done, used : int
        How many postings were encoded, fewer than ``n`` when the table is half full and must grow.
    """
    for posting in range(len(tfs)):
        key = (np.int64(lengths[slots[posting]]) << 32) | np.int64(tfs[posting])
        place = _probe(keys, key)
        if keys[place] == -1:
            if used == len(pairs):
                return posting, used
            keys[place] = key
            values[place] = used
            pairs[used] = key
            used += 1
        codes[posting] = values[place]
    return len(tfs), used


@kernel
def count_postings(
    offsets: NDArray[np.int64],
    terms: NDArray[np.int32],
    alive: NDArray[np.bool_],
    counts: NDArray[np.int64],
) -> None:
    """In how many live documents each term occurs.

    Parameters
    ----------
    offsets, terms : int64 (documents + 1,), int32 (n,)
        Terms of document ``i`` at ``offsets[i]:offsets[i + 1]``.
    alive : bool, shape (documents,)
    counts : int64, shape (vocabulary,), zeros
        Filled.
    """
    for document in range(len(offsets) - 1):
        if alive[document]:
            for entry in range(offsets[document], offsets[document + 1]):
                counts[terms[entry]] += 1


@kernel
def invert(
    offsets: NDArray[np.int64],
    terms: NDArray[np.int32],
    codes: NDArray[np.uint16],
    alive: NDArray[np.bool_],
    pairs: NDArray[np.int64],
    indptr: NDArray[np.int64],
    data: NDArray[np.uint16],
    most: NDArray[np.int32],
    shortest: NDArray[np.int32],
) -> None:
    """Documents to postings by one counting sort; the dead are left out.

    Parameters
    ----------
    offsets, terms, codes
        As in :func:`count_postings`; a code for each term.
    pairs : int64
        ``length << 32 | tf`` by code.
    indptr, data
        See :class:`~llamaindex_vecx.text.segments.Segment`; places and codes of ``data`` are filled.
    most, shortest : int32, shape (vocabulary,), zeros and the largest
        Filled with each term's highest frequency and shortest document.
    """
    cursor = indptr[:-1] + 2
    for document in range(len(offsets) - 1):
        if alive[document]:
            for entry in range(offsets[document], offsets[document + 1]):
                term = terms[entry]
                place = cursor[term]
                cursor[term] = place + 1
                count = (indptr[term + 1] - indptr[term] - 2) >> 1
                data[place] = document
                data[place + count] = codes[entry]
                pair = pairs[codes[entry]]
                most[term] = max(most[term], np.int32(pair & 0xFFFFFFFF))
                shortest[term] = min(shortest[term], np.int32(pair >> 32))


@kernel
def map_common(
    common: NDArray[np.int64],
    indptr: NDArray[np.int64],
    data: NDArray[np.uint16],
    bitmaps: NDArray[np.uint64],
    ranks: NDArray[np.uint32],
) -> None:
    """For each common term, which documents have it, and how many do before each word of 64.

    Parameters
    ----------
    common : int64, shape (m,)
        Terms.
    bitmaps : uint64, shape (m, words), zeros
    ranks : uint32, shape (m, words)
        Both filled.
    """
    for i in range(len(common)):
        start = indptr[common[i]] + 2
        count = (indptr[common[i] + 1] - start) >> 1
        posting = 0
        for word in range(bitmaps.shape[1]):
            ranks[i, word] = posting
            while posting < count and data[start + posting] >> 6 == word:
                bit = np.uint64(data[start + posting] & 63)
                bitmaps[i, word] |= np.uint64(1) << bit
                posting += 1


@kernel
def bury(
    terms: NDArray[np.int32],
    place: int,
    indptr: NDArray[np.int64],
    data: NDArray[np.uint16],
) -> None:
    """Make a removed document's postings worth nothing: they get the code 0.

    Parameters
    ----------
    terms : int32, shape (n,)
        The document's terms.
    place : int
        The document's, in its segment.
    indptr, data
        See :class:`~llamaindex_vecx.text.segments.Segment`; changed.
    """
    for term in terms:
        start = indptr[term] + 2
        count = (indptr[term + 1] - start) >> 1
        low, high = 0, count
        while low < high:
            middle = (low + high) >> 1
            if data[start + middle] < place:
                low = middle + 1
            else:
                high = middle
        if low < count and data[start + low] == place:
            data[start + count + low] = 0
