"""What a faiss index is made of: which parameters it takes, what it needs to train, who numbers its rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from llamaindex_vecx.index.faiss.runtime import library

__all__ = ["Anatomy", "Points", "parameters", "parts"]

_LOSSLESS = {
    "IndexFlat",
    "IndexFlatL2",
    "IndexFlatIP",
    "IndexIVFFlat",
    "IndexHNSWFlat",
    "IndexNSGFlat",
}
_COMFORT = 39  # training points a centroid below which faiss warns
_MOST = 256  # and above which it takes a sample
_RANGES = 1000  # vectors that show a scalar quantizer the range of its values


def parts(index: Any) -> Iterator[Any]:
    """The index and what it wraps, from the outside in, each as its own class."""
    faiss = library()
    while True:
        index = faiss.downcast_index(index)
        yield index
        if isinstance(index, faiss.IndexPreTransform):
            index = index.index
        elif isinstance(index, faiss.IndexRefine):
            index = index.base_index
        else:
            return


@dataclass(frozen=True)
class Points:
    """Vectors to train on: fewer than ``least`` are refused, ``enough`` are waited for, ``most`` are used."""

    least: int
    enough: int
    most: int


class Anatomy:
    """What there is to know of an index before it is used.

    Attributes
    ----------
    inner : faiss.Index
        The index under transforms and refinements.
    numbers_rows : bool
        Whether it keeps ids of its own (IVF); else rows are numbered by position.
    nlist : int
        Inverted lists; 0 where there are none.
    graph : bool
        Whether it is an HNSW graph.
    fixed : bool
        Whether it takes vectors only once (NSG, NNDescent).
    packed : bool
        Whether codes of several rows lie packed together (FastScan).
    lossy : bool
        Whether it compares codes and not the vectors.
    tunable : frozenset of str
        Of ``nprobe``, ``efSearch`` and ``k_factor`` those that mean something here.
    """

    def __init__(self, index: Any) -> None:
        faiss = library()
        chain = list(parts(index))
        self.index = index  # owns what ``inner`` points into
        self.inner: Any = chain[-1]
        self.refined: bool = any(isinstance(part, faiss.IndexRefine) for part in chain)
        self.numbers_rows: bool = isinstance(self.inner, faiss.IndexIVF) and not self.refined
        self.nlist: int = int(self.inner.nlist) if isinstance(self.inner, faiss.IndexIVF) else 0
        self.graph: bool = isinstance(self.inner, faiss.IndexHNSW)
        self.fixed: bool = isinstance(self.inner, faiss.IndexNSG | faiss.IndexNNDescent)
        self.packed: bool = "FastScan" in type(self.inner).__name__
        self.lossy: bool = type(self.inner).__name__ not in _LOSSLESS or (
            len(chain) > 1 and not self.refined
        )
        tunable = {"k_factor"}
        if self.nlist:
            tunable.add("nprobe")
        if self.graph or self._coarse_graph() is not None:
            tunable.add("efSearch")
        self.tunable: frozenset[str] = frozenset(tunable)

    def _coarse_graph(self) -> Any:
        """The graph over the centroids of an IVF index, where there is one."""
        if not self.nlist:
            return None
        faiss = library()
        quantizer = faiss.downcast_index(self.inner.quantizer)
        return quantizer if isinstance(quantizer, faiss.IndexHNSW) else None

    def configure(
        self,
        index: Any,
        nprobe: int | None,
        ef_search: int | None,
        ef_construction: int | None,
        k_factor: float | None,
    ) -> None:
        """Set what a search uses that says nothing else."""
        faiss = library()
        if self.nlist and nprobe is not None:
            self.inner.nprobe = min(nprobe, self.nlist)
        for graph in (self.inner if self.graph else None, self._coarse_graph()):
            if graph is not None and ef_search is not None:
                graph.hnsw.efSearch = ef_search
            if graph is not None and ef_construction is not None:
                graph.hnsw.efConstruction = ef_construction
        for part in parts(index):
            if isinstance(part, faiss.IndexRefine) and k_factor is not None:
                part.k_factor = k_factor

    def points(self, index: Any) -> Points:
        """How many vectors it takes to train; zeros where none are needed."""
        faiss = library()
        if index.is_trained:
            return Points(0, 0, 0)
        centroids, least, ranges = 0, 1, 0
        for part in parts(index):
            if isinstance(part, faiss.IndexPreTransform):
                for at in range(part.chain.size()):
                    transform = faiss.downcast_VectorTransform(part.chain.at(at))
                    if isinstance(transform, faiss.OPQMatrix):
                        centroids = max(centroids, 256)
                    least = max(least, 0 if transform.is_trained else int(transform.d_out))
            storage = (
                faiss.downcast_index(part.storage) if isinstance(part, faiss.IndexHNSW) else part
            )
            centroids = max(centroids, _centroids(storage))
            if hasattr(storage, "sq"):
                ranges = _RANGES
        least = max(least, centroids)
        return Points(
            least,
            max(least, _COMFORT * centroids, ranges),
            max(_MOST * centroids, 16 * _RANGES, 16 * least),
        )

    def prepare_training(self, index: Any) -> None:
        """Leave out what nobody asks for: polysemous codes take four fifths of a PQ's training."""
        faiss = library()
        for part in parts(index):
            if isinstance(part, faiss.IndexHNSW):
                part = faiss.downcast_index(part.storage)
            if hasattr(part, "do_polysemous_training"):
                part.do_polysemous_training = False


def _centroids(index: Any) -> int:
    """The most centroids that one k-means of its training looks for."""
    faiss = library()
    found = 0
    if isinstance(index, faiss.IndexIVF):
        quantizer = faiss.downcast_index(index.quantizer)
        if isinstance(quantizer, faiss.MultiIndexQuantizer):
            found = int(quantizer.pq.ksub)
        elif not (quantizer.is_trained and quantizer.ntotal == index.nlist):
            found = int(index.nlist)
    if hasattr(index, "pq"):
        found = max(found, int(index.pq.ksub))
    for name in ("rq", "lsq", "aq"):
        quantizer = getattr(index, name, None)
        if quantizer is not None and quantizer.nbits.size():
            found = max(
                found, *(1 << int(quantizer.nbits.at(i)) for i in range(quantizer.nbits.size()))
            )
    return found


def parameters(
    index: Any,
    selector: Any,
    nprobe: int | None,
    ef_search: int | None,
    k_factor: float | None,
) -> Any:
    """What ``index.search(params=…)`` takes: the selector goes to the innermost index.

    On the outer parameters of a refined index it would be ignored.
    """
    faiss = library()
    index = faiss.downcast_index(index)
    if isinstance(index, faiss.IndexPreTransform):
        inner = parameters(index.index, selector, nprobe, ef_search, k_factor)
        return faiss.SearchParametersPreTransform(index_params=inner)
    if isinstance(index, faiss.IndexRefine):
        return faiss.IndexRefineSearchParameters(
            k_factor=index.k_factor if k_factor is None else float(k_factor),
            base_index_params=parameters(index.base_index, selector, nprobe, ef_search, None),
        )
    given: dict[str, Any] = {} if selector is None else {"sel": selector}
    if isinstance(index, faiss.IndexIVF):
        given["nprobe"] = int(index.nprobe) if nprobe is None else min(nprobe, int(index.nlist))
        quantizer = faiss.downcast_index(index.quantizer)
        if ef_search is not None and isinstance(quantizer, faiss.IndexHNSW):
            given["quantizer_params"] = faiss.SearchParametersHNSW(efSearch=ef_search)
        return faiss.SearchParametersIVF(**given)
    if isinstance(index, faiss.IndexHNSW):
        given["efSearch"] = int(index.hnsw.efSearch) if ef_search is None else ef_search
        return faiss.SearchParametersHNSW(**given)
    return faiss.SearchParameters(**given) if given else None
