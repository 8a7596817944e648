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

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.errors import InvalidInputError

__all__ = ["VARIANTS", "Variant", "as_variant"]

Floats: TypeAlias = NDArray[np.float64]
Idf: TypeAlias = Callable[[Floats, int], Floats]
Weight: TypeAlias = Callable[[Floats, Floats, float, float, float], Floats]


def _idf_lucene(df: Floats, n: int) -> Floats:
    return np.log(1.0 + (n - df + 0.5) / (df + 0.5))


def _idf_robertson(df: Floats, n: int) -> Floats:
    return np.log(np.maximum((n - df + 0.5) / (df + 0.5), 1.0))


def _idf_okapi(df: Floats, n: int) -> Floats:
    return np.log(n - df + 0.5) - np.log(df + 0.5)


def _idf_atire(df: Floats, n: int) -> Floats:
    return np.log(n / df)


def _idf_l(df: Floats, n: int) -> Floats:
    return np.asarray(np.log(n + 1.0) - np.log(df + 0.5))


def _idf_plus(df: Floats, n: int) -> Floats:
    return np.log((n + 1.0) / df)


def _norm(relative: Floats, k1: float, b: float) -> Floats:
    return np.asarray(k1 * (1.0 - b + b * relative))


def _weight_robertson(tf: Floats, relative: Floats, k1: float, b: float, _: float) -> Floats:
    return tf / (tf + _norm(relative, k1, b))


def _weight_okapi(tf: Floats, relative: Floats, k1: float, b: float, _: float) -> Floats:
    return tf * (k1 + 1.0) / (tf + _norm(relative, k1, b))


def _weight_l(tf: Floats, relative: Floats, k1: float, b: float, delta: float) -> Floats:
    # rank-bm25 multiplies by tf once more than the paper does; its scores are the reference here.
    shifted = tf / (1.0 - b + b * relative) + delta
    return tf * (k1 + 1.0) * shifted / (k1 + shifted)


@dataclass(frozen=True)
class Variant:
    """One way to score.

    Attributes
    ----------
    idf : (df float64 (n,), number of documents) -> float64 (n,)
    weight : (tf, length / average length, k1, b, delta) -> float64 (n,)
    delta : float
        Default of the parameter ``delta``.
    floored : bool
        Negative idf is replaced by ``epsilon`` times the average idf (rank-bm25's BM25Okapi).
    everywhere : bool
        ``idf × delta`` counts for documents without the term too (BM25+).
    """

    name: str
    idf: Idf
    weight: Weight
    delta: float = 0.0
    floored: bool = False
    everywhere: bool = False


VARIANTS = {
    variant.name: variant
    for variant in (
        Variant("lucene", _idf_lucene, _weight_robertson),
        Variant("robertson", _idf_robertson, _weight_robertson),
        Variant("atire", _idf_atire, _weight_okapi),
        Variant("okapi", _idf_okapi, _weight_okapi, floored=True),
        Variant("l", _idf_l, _weight_l, delta=0.5),
        Variant("plus", _idf_plus, _weight_okapi, delta=1.0, everywhere=True),
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
