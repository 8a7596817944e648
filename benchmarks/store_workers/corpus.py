"""The nodes of the benchmark: real vectors, made-up text and metadata, the same in every process."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

QUERIES = 1000
BATCH = 2000
WORDS = 60
FILTERS: dict[str, tuple[str, Any] | None] = {
    "plain": None,
    "0.1 %": ("shelf", 7),
    "20 %": ("language", "ko"),
    "50 %": ("public", "yes"),
}
"""What is asked for, by the share of nodes that match."""

LANGUAGES = np.array(["en", "de", "ko", "fr", "ja"])
SYLLABLES = [a + b for a in "bdfgklmnprstvw" for b in ("a", "e", "i", "o", "u", "an", "er", "is")]


@dataclass
class Corpus:
    """Vectors and the columns of the metadata, by row."""

    vectors: NDArray[np.float16]
    queries: NDArray[np.float32]
    columns: dict[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.vectors)

    def matching(self, kind: str) -> NDArray[np.bool_]:
        """The rows that match the filter of that name."""
        wanted = FILTERS[kind]
        if wanted is None:
            return np.ones(len(self), dtype=np.bool_)
        return self.columns[wanted[0]] == wanted[1]

    def metadata(self, row: int) -> dict[str, Any]:
        """Five keys, three of them to filter by."""
        return {
            "title": f"Note {row}",
            "page": row % 300,
            "shelf": int(self.columns["shelf"][row]),
            "language": str(self.columns["language"][row]),
            "public": str(self.columns["public"][row]),
        }


def read_corpus(file: Path, size: int) -> Corpus:
    """The first thousand rows are the queries, the next ``size`` the nodes."""
    every = np.load(file, mmap_mode="r")
    if len(every) < QUERIES + size:
        raise SystemExit(f"{file} has {len(every)} rows, {QUERIES + size} are needed")
    order = np.random.default_rng(0).permutation(size)
    shuffled = np.random.default_rng(1).permutation(size)
    return Corpus(
        every[QUERIES : QUERIES + size],
        every[:QUERIES].astype(np.float32),
        {
            "shelf": order % 1000,
            "language": LANGUAGES[shuffled % 5],
            "public": np.where(np.random.default_rng(2).permutation(size) % 2, "yes", "no"),
        },
    )


def batches(size: int) -> Iterator[range]:
    """The rows of each add."""
    for first in range(0, size, BATCH):
        yield range(first, min(first + BATCH, size))


def texts(rows: range) -> list[str]:
    """A text of 60 words, some 330 characters, for each row; word frequencies fall as Zipf's."""
    random = np.random.default_rng(rows.start + 1000)
    drawn = random.zipf(1.3, size=(len(rows), WORDS)) % 20_000
    return [" ".join(map(_word, line)) for line in drawn.tolist()]


def _word(number: int) -> str:
    base, word = len(SYLLABLES), ""
    number += base  # two syllables at least
    while True:
        number, digit = divmod(number, base)
        word += SYLLABLES[digit]
        if not number:
            return word


def id_of(row: int) -> str:
    """A UUID, because Qdrant takes nothing else."""
    return str(uuid.UUID(int=row))


def row_of(id_: str) -> int:
    """The row behind :func:`id_of`."""
    return uuid.UUID(id_).int
