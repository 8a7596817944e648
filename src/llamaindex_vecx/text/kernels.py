"""Kernels of the inverted index.

A *slot* numbers a document in the index, in order of arrival. A posting is (slot, code), where the code
stands for a distinct pair of term frequency and document length; what a pair is worth under the current
average length is looked up in one small table, so the loops below neither divide nor fetch lengths.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.jit import inline, kernel

__all__ = [
    "chain_document_terms",
    "encode_pairs",
    "invert",
    "score_segment",
    "score_tail",
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
def invert(
    offsets: NDArray[np.int64],
    terms: NDArray[np.int32],
    codes: NDArray[np.uint32],
    alive: NDArray[np.bool_],
    indptr: NDArray[np.int64],
    out_slots: NDArray[np.int32],
    out_codes: NDArray[np.uint32],
) -> int:
    """Documents to postings by one counting sort; the dead are left out.

    Parameters
    ----------
    offsets, terms, codes : int64 (documents + 1,), int32 (n,), uint32 (n,)
        Terms and codes of document ``i`` at ``offsets[i]:offsets[i + 1]``.
    alive : bool, shape (documents,)
    indptr : int64, shape (vocabulary + 1,), zeros
        Filled: postings of term ``t`` lie at ``indptr[t]:indptr[t + 1]``, slots ascending.
    out_slots, out_codes : shape (n,)
        Filled; slots count from 0 here.

    Returns
    -------
    int
        Number of postings written.
    """
    for document in range(len(offsets) - 1):
        if alive[document]:
            for entry in range(offsets[document], offsets[document + 1]):
                indptr[terms[entry] + 1] += 1
    for term in range(len(indptr) - 1):
        indptr[term + 1] += indptr[term]
    total = int(indptr[-1])
    cursor = indptr[:-1].copy()
    for document in range(len(offsets) - 1):
        if alive[document]:
            for entry in range(offsets[document], offsets[document + 1]):
                place = cursor[terms[entry]]
                cursor[terms[entry]] = place + 1
                out_slots[place] = document
                out_codes[place] = codes[entry]
    return total


@inline
def _credit(
    slot: int, gain: float, scores: NDArray[np.float64], touched: NDArray[np.int32], count: int
) -> int:
    """Add ``gain`` to a slot's score and note the slot when it is new, without a branch."""
    old = scores[slot]
    new = old == -np.inf
    touched[count] = slot
    scores[slot] = gain if new else old + gain
    return count + int(new)


@kernel
def score_segment(
    query: NDArray[np.int64],
    idf: NDArray[np.float64],
    weights: NDArray[np.float64],
    first: int,
    indptr: NDArray[np.int64],
    slots: NDArray[np.int32],
    codes: NDArray[np.uint32],
    scores: NDArray[np.float64],
    touched: NDArray[np.int32],
    count: int,
) -> int:
    """Add a segment's share to the scores, term at a time.

    Parameters
    ----------
    query, idf : shape (terms,)
        Distinct terms and what each is worth.
    weights : float64, by code
    first : int
        Slot of the segment's first document.
    scores : float64, by slot
        -inf where no term has matched yet; updated.
    touched : int32, one place more than there are slots
        Slots that have matched, ``count`` of them; appended to.

    Returns
    -------
    int
        The new ``count``.
    """
    for position in range(len(query)):
        term = query[position]
        if term + 1 < len(indptr):
            for posting in range(indptr[term], indptr[term + 1]):
                gain = idf[position] * weights[codes[posting]]
                count = _credit(first + slots[posting], gain, scores, touched, count)
    return count


@kernel
def score_tail(
    query: NDArray[np.int64],
    idf: NDArray[np.float64],
    weights: NDArray[np.float64],
    origin: int,
    head: NDArray[np.int64],
    before: NDArray[np.int64],
    slots: NDArray[np.int32],
    codes: NDArray[np.uint32],
    scores: NDArray[np.float64],
    touched: NDArray[np.int32],
    count: int,
) -> int:
    """Add the tail's share to the scores by walking each term's chain. As :func:`score_segment`."""
    for position in range(len(query)):
        posting = head[query[position]] - origin
        while posting >= 0:
            gain = idf[position] * weights[codes[posting]]
            count = _credit(slots[posting], gain, scores, touched, count)
            posting = before[posting] - origin
    return count
