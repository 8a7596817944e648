"""From a factory string, or a ready index, to an empty faiss index; and why one can't be made."""

from __future__ import annotations

import base64
import math
import re
from typing import Any

import numpy as np

from llamaindex_vecx.errors import DimensionError, InvalidInputError
from llamaindex_vecx.index.faiss.runtime import library
from llamaindex_vecx.metrics import METRICS, Metric, MetricName

__all__ = ["as_template", "from_template", "make", "metric_of", "some_dim"]

_WIKI = "https://github.com/facebookresearch/faiss/wiki/The-index-factory"
_IDMAP = re.compile(r"^IDMap2?,|,IDMap2?$")
_SPLIT = re.compile(r"(?P<opq>O?)PQR?(?P<parts>\d+)(?:_(?P<out>\d+))?")
_USUAL = (64, 96, 128, 256, 384, 512, 768, 1024, 1536, 3072, 4096)


def make(factory: str, dim: int, metric: Metric) -> Any:
    """An empty index, as ``faiss.index_factory`` makes it, without an IDMap: rows are ours.

    Raises
    ------
    DimensionError
        The string cuts vectors into a number of parts that does not divide ``dim``.
    InvalidInputError
        FAISS doesn't know the string, or not for this metric.
    """
    faiss = library()
    if not isinstance(factory, str) or not factory.strip():
        raise InvalidInputError(
            f"factory={factory!r} must be a FAISS factory string such as 'HNSW32' or 'IVF256,Flat' ({_WIKI})"
        )
    kind = faiss.METRIC_L2 if metric.name == "l2" else faiss.METRIC_INNER_PRODUCT
    _check_split(factory, dim)
    try:
        index = faiss.index_factory(dim, _IDMAP.sub("", factory.replace(" ", "")), kind)
    except RuntimeError as error:
        raise InvalidInputError(
            f"factory={factory!r} makes no index in FAISS {faiss.__version__} for {dim} dimensions and "
            f"metric {metric.name!r} ({_reason(error)}); take another, e.g. 'HNSW32' or "
            f"'IVF256,Flat': {_WIKI}"
        ) from error
    return index


def some_dim(factory: Any = "HNSW32", template: str | None = None, **_: Any) -> int:
    """A dimension that the string can take, to try the other settings before the first vector comes."""
    if template is not None:
        return int(from_template(template).d)
    if not isinstance(factory, str):
        return 2  # refused anyway
    least = math.lcm(*(int(match["parts"]) or 1 for match in _SPLIT.finditer(factory)))
    for dim in (least, 4 * least, 32 * least, *_USUAL):
        try:
            make(factory, dim, Metric("l2"))
        except InvalidInputError:
            continue
        return dim
    return 768


def metric_of(index: Any, metric: str | None) -> MetricName:
    """The metric of a ready index, or the one asked for where both mean the same order.

    Raises
    ------
    InvalidInputError
        They don't.
    """
    faiss = library()
    if metric is not None and metric not in METRICS:
        raise InvalidInputError(f"metric={metric!r} is unknown; choose one of {', '.join(METRICS)}")
    if index.metric_type == faiss.METRIC_L2:
        if metric not in (None, "l2"):
            raise InvalidInputError(
                f"metric={metric!r} does not fit faiss_index, which compares by METRIC_L2; leave metric out, "
                "or make the index with faiss.METRIC_INNER_PRODUCT"
            )
        return "l2"
    if index.metric_type != faiss.METRIC_INNER_PRODUCT:
        raise InvalidInputError(
            f"faiss_index has metric_type {index.metric_type}; only METRIC_L2 and METRIC_INNER_PRODUCT "
            "are supported"
        )
    if metric == "l2":
        raise InvalidInputError(
            "metric='l2' does not fit faiss_index, which compares by METRIC_INNER_PRODUCT; "
            "take 'ip' or 'cosine', or make the index with faiss.METRIC_L2"
        )
    return "cosine" if metric == "cosine" else "ip"


def as_template(index: Any, dim: int | None) -> str:
    """An empty ready index, trained or not, as text that a collection can keep.

    Raises
    ------
    InvalidInputError
        It is no float index, or holds vectors already.
    DimensionError
        It has another dimension than ``dim``.
    """
    faiss = library()
    if not isinstance(index, faiss.Index):
        raise InvalidInputError(
            f"faiss_index must be a faiss.Index, not {type(index).__name__}; "
            "give a factory string as factory=…"
        )
    if index.ntotal:
        raise InvalidInputError(
            f"faiss_index holds {index.ntotal} vectors whose nodes are not known; give an empty one, or "
            "bring it with its nodes: FaissVectorStore.from_faiss(file, nodes)"
        )
    if dim is not None and index.d != dim:
        raise DimensionError(f"faiss_index has dimension {index.d}, and dim={dim} was given")
    while isinstance(index, faiss.IndexIDMap):
        index = faiss.downcast_index(index.index)
    return base64.b64encode(faiss.serialize_index(index).tobytes()).decode()


def from_template(template: str) -> Any:
    """The empty index that :func:`as_template` wrote down.

    Raises
    ------
    InvalidInputError
    """
    faiss = library()
    try:
        return faiss.deserialize_index(
            np.frombuffer(base64.b64decode(template, validate=True), np.uint8)
        )
    except (RuntimeError, ValueError, TypeError) as error:
        raise InvalidInputError(f"template is no serialised FAISS index: {error}") from error


def _check_split(factory: str, dim: int) -> None:
    reduced = re.search(r"(?:PCA[WR]*|RR|Pad|ITQ)(\d+)", factory)
    now = int(reduced[1]) if reduced else dim
    for match in _SPLIT.finditer(factory):
        parts = int(match["parts"])
        now = int(match["out"]) if match["opq"] and match["out"] else now
        if parts and now % parts:
            divisors = [n for n in range(now, 0, -1) if now % n == 0 and n <= 2 * parts][:3]
            raise DimensionError(
                f"factory={factory!r} cuts vectors into {parts} equal parts, and {now} dimensions can't be; "
                f"take a number of parts that divides {now}, e.g. {', '.join(map(str, divisors))}"
            )


def _reason(error: Exception) -> str:
    """The end of faiss' message, which begins with a C++ signature."""
    return " ".join(str(error).rpartition("Error: ")[2].split()) or "no reason given"
