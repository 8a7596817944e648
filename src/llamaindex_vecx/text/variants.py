"""BM25's variants: how rare a term is, and what its occurrences in a document are worth.

The index keeps no scores. A score is the sum over the query's terms of ``idf(term) × weight(tf, length)``;
a variant is that pair of functions, and the kernels know nothing of it.

References
----------
Robertson & Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond, 2009.
Trotman, Puurula & Burgess, Improvements to BM25 and Language Models Examined, ADCS 2014 (L, Plus, ATIRE).
Kamphuis, de Vries, Boytsov & Lin, Which BM25 Do You Mean?, ECIR 2020 (Lucene, Robertson, ATIRE).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.jit import exact_kernel

__all__ = ["VARIANTS", "Variant", "as_variant", "idf"]

Floats: TypeAlias = NDArray[np.float64]
Weight: TypeAlias = Callable[[Floats, Floats, float, float, float, float], Floats]


LUCENE, ROBERTSON, ATIRE, OKAPI, L, PLUS = range(6)


@exact_kernel
def idf(kind: int, df: int, n: int) -> float:
    """How rare a term is that ``df`` of ``n`` documents have, for the variant with that number.

    Compiled, since every query asks it, and with the logarithm of :mod:`math`, as rank-bm25.
    """
    if kind == LUCENE:
        return math.log(1.0 + (n - df + 0.5) / (df + 0.5))
    if kind == ROBERTSON:
        return math.log(max((n - df + 0.5) / (df + 0.5), 1.0))
    if kind == ATIRE:
        return math.log(n / df)
    if kind == OKAPI:
        return math.log(n - df + 0.5) - math.log(df + 0.5)
    if kind == L:
        return math.log(n + 1.0) - math.log(df + 0.5)
    return math.log((n + 1.0) / df)


# Operations stand in the order that rank-bm25 has them in, so that rounding is the same.
def _relative(length: Floats, average: float, b: float) -> Floats:
    return np.asarray(1.0 - b + b * length / average)


def _weight_robertson(
    tf: Floats, length: Floats, average: float, k1: float, b: float, _: float
) -> Floats:
    return tf / (tf + k1 * _relative(length, average, b))


def _weight_okapi(
    tf: Floats, length: Floats, average: float, k1: float, b: float, _: float
) -> Floats:
    return tf * (k1 + 1.0) / (tf + k1 * _relative(length, average, b))


def _weight_l(
    tf: Floats, length: Floats, average: float, k1: float, b: float, delta: float
) -> Floats:
    # rank-bm25 multiplies by tf once more than the paper does; its scores are the reference here.
    shifted = tf / _relative(length, average, b) + delta
    return tf * (k1 + 1.0) * shifted / (k1 + shifted)


@dataclass(frozen=True)
class Variant:
    """One way to score.

    Attributes
    ----------
    number : int
        Of :func:`idf`.
    weight : (tf, length, average length, k1, b, delta) -> float64 (n,)
        Positive; rises with the frequency and falls with the length.
    k1, delta : float
        Defaults of the parameters: those of the software whose scores a variant has, Lucene, rank-bm25
        or bm25s.
    floored : bool
        Negative idf is replaced by ``epsilon`` times the average idf (rank-bm25's BM25Okapi).
    everywhere : bool
        ``idf × delta`` counts for documents without the term too (BM25+).
    """

    name: str
    number: int
    weight: Weight
    k1: float = 1.5
    delta: float = 0.0
    floored: bool = False
    everywhere: bool = False


VARIANTS = {
    variant.name: variant
    for variant in (
        Variant("lucene", LUCENE, _weight_robertson, k1=1.2),
        Variant("robertson", ROBERTSON, _weight_robertson),
        Variant("atire", ATIRE, _weight_okapi),
        Variant("okapi", OKAPI, _weight_okapi, floored=True),
        Variant("l", L, _weight_l, delta=0.5),
        Variant("plus", PLUS, _weight_okapi, delta=1.0, everywhere=True),
    )
}
"""``okapi``, ``l`` and ``plus`` score as rank-bm25 does; ``lucene``, ``robertson``, ``atire`` as bm25s."""


def as_variant(name: str) -> Variant:
    """The variant of that name.

    Raises
    ------
    InvalidInputError
        There is none.
    """
    if name not in VARIANTS:
        raise InvalidInputError(f"variant={name!r} is unknown; choose one of {', '.join(VARIANTS)}")
    return VARIANTS[name]
