"""The indexes that ``ann.py`` compares, each behind the same three methods.

M or half the degree is 16 and ef_construction or the window 200 for all of them. What isn't installed is
left out, except ours, hnswlib and faiss.
"""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import tempfile
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

from llamaindex_vecx.index import HNSW

__all__ = ["Engine", "Hnswlib", "Ours", "OursAvx2", "OursOnDisk", "OursPortable", "engines"]

M, EF_CONSTRUCTION, K = 16, 200, 10


class Engine(Protocol):
    """An index that a benchmark can build and ask."""

    name: str
    package: str

    def build(self, base: np.ndarray, metric: str) -> None: ...
    def search(self, queries: np.ndarray, ef: int, threads: int = 1) -> np.ndarray: ...


class Ours:
    name, package = "llamaindex-vecx", "llamaindex_vecx"

    def build(self, base: np.ndarray, metric: str, threads: int = 1) -> None:
        self.index = HNSW(base.shape[1], metric, M=M, ef_construction=EF_CONSTRUCTION)
        self.index.add(np.arange(len(base)), base, threads=threads)

    def search(self, queries: np.ndarray, ef: int, threads: int = 1) -> np.ndarray:
        return self.index.search(queries, K, ef_search=ef, threads=threads)[0]

    def filtered(self, queries: np.ndarray, ef: int, allowed: np.ndarray) -> np.ndarray:
        return self.index.search(queries, K, ef_search=ef, allowed=allowed)[0]

    def machine_code(self) -> str:
        """Assembly of a search. What comes from a cache can't be seen: this process must have compiled it."""
        from llamaindex_vecx.index.hnsw.answer import answer

        code = "".join(answer.inspect_asm().values())
        if len(code) < 10_000:
            raise RuntimeError("the kernels of a search came from a cache")
        return code


class OursAvx2(Ours):
    """In a process whose environment is :attr:`environment`: LLVM then writes for a CPU without AVX-512."""

    name = "llamaindex-vecx, AVX2"
    environment: ClassVar = {
        "LLAMAINDEX_VECX_PORTABLE": "avx2",
        "NUMBA_CPU_NAME": "haswell",
        "NUMBA_CPU_FEATURES": "",
    }


class OursPortable(Ours):
    """Like :class:`OursAvx2`, with the portable kernels."""

    name = "llamaindex-vecx, portable"
    environment: ClassVar = {**OursAvx2.environment, "LLAMAINDEX_VECX_PORTABLE": "1"}


class OursOnDisk(Ours):
    name = "llamaindex-vecx, on_disk"

    def build(self, base: np.ndarray, metric: str, threads: int = 1) -> None:
        self.index = HNSW(base.shape[1], metric, M=M, ef_construction=EF_CONSTRUCTION, on_disk=True)
        self.index.add(np.arange(len(base)), base, threads=threads)


class Hnswlib:
    name, package = "hnswlib", "hnswlib"

    def build(self, base: np.ndarray, metric: str, threads: int = 1) -> None:
        import hnswlib

        self.index = hnswlib.Index(metric, base.shape[1])
        self.index.init_index(len(base), M=M, ef_construction=EF_CONSTRUCTION)
        self.index.add_items(base, np.arange(len(base)), num_threads=threads)

    def search(self, queries: np.ndarray, ef: int, threads: int = 1) -> np.ndarray:
        self.index.set_ef(ef)
        return self.index.knn_query(queries, K, num_threads=threads)[0].astype(np.int64)

    def filtered(self, queries: np.ndarray, ef: int, allowed: np.ndarray) -> np.ndarray:
        self.index.set_ef(ef)
        may = allowed.tolist()  # a Python call a node: its only way
        found = np.full((len(queries), K), -1, np.int64)
        for i, query in enumerate(queries):
            try:
                found[i] = self.index.knn_query(query, K, num_threads=1, filter=may.__getitem__)[0]
            except RuntimeError:  # fewer than k: it returns none
                continue
        return found


class Faiss:
    name, package = "faiss", "faiss"

    def build(self, base: np.ndarray, metric: str, threads: int = 1) -> None:
        import faiss

        faiss.omp_set_num_threads(threads)
        self.unit = metric == "cosine"
        kind = faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT
        self.index = faiss.IndexHNSWFlat(base.shape[1], M, kind)
        self.index.hnsw.efConstruction = EF_CONSTRUCTION
        self.index.add(_unit(base) if self.unit else base)

    def search(self, queries: np.ndarray, ef: int, threads: int = 1) -> np.ndarray:
        import faiss

        faiss.omp_set_num_threads(threads)
        self.index.hnsw.efSearch = ef
        return self.index.search(_unit(queries) if self.unit else queries, K)[1]

    def filtered(self, queries: np.ndarray, ef: int, allowed: np.ndarray) -> np.ndarray:
        import faiss

        selector = faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))
        params = faiss.SearchParametersHNSW(sel=selector, efSearch=ef)
        return self.index.search(_unit(queries) if self.unit else queries, K, params=params)[1]


class SymphonyQG:
    name, package = "SymphonyQG", "rabitqlib"

    def build(self, base: np.ndarray, metric: str) -> None:
        import rabitqlib

        self.unit = metric == "cosine"
        kind = "l2" if metric == "l2" else "ip"
        self.index = rabitqlib.SymqgIndex(base.shape[1], 2 * M, kind)
        self.index.build(_unit(base) if self.unit else base, EF_CONSTRUCTION, 1)

    def search(self, queries: np.ndarray, ef: int, threads: int = 1) -> np.ndarray:
        asked = _unit(queries) if self.unit else queries
        return self.index.search(asked, K, ef, threads)[0].astype(np.int64)


class Vamana:
    """SVS with vectors of float16, which runs on every CPU.

    Its compressions end the process on CPUs that they aren't made for, so they are tried in another one.
    """

    name, package = "SVS Vamana float16", "svs"
    delicate = False

    def build(self, base: np.ndarray, metric: str) -> None:
        import svs

        self.unit = metric == "cosine"
        kind = svs.DistanceType.L2 if metric == "l2" else svs.DistanceType.MIP
        settings = svs.VamanaBuildParameters(graph_max_degree=2 * M, window_size=EF_CONSTRUCTION)
        vectors = _unit(base) if self.unit else base
        with tempfile.TemporaryDirectory() as folder:  # a build is what compresses, from a file
            source = self.source(vectors, Path(folder) / "vectors.fvecs")
            self.index = svs.Vamana.build(settings, source, kind, 1)

    def source(self, vectors: np.ndarray, file: Path) -> Any:
        """What a build takes for vectors; ``file`` is there as long as that lasts."""
        return vectors.astype(np.float16)

    def search(self, queries: np.ndarray, ef: int, threads: int = 1) -> np.ndarray:
        self.index.num_threads = threads
        self.index.search_window_size = ef
        asked = _unit(queries) if self.unit else queries
        return self.index.search(asked, K)[0].astype(np.int64)


class VamanaLVQ8(Vamana):
    name, delicate = "SVS Vamana LVQ8", True
    bits = (8, 0)

    def source(self, vectors: np.ndarray, file: Path) -> Any:
        import svs

        return svs.LVQLoader(_saved(vectors, file), *self.bits)


class VamanaLVQ4x4(VamanaLVQ8):
    name = "SVS Vamana LVQ4x4"
    bits = (4, 4)


class VamanaLVQ4x8(VamanaLVQ8):
    name = "SVS Vamana LVQ4x8"
    bits = (4, 8)


class VamanaLeanVec(Vamana):
    """Of its own choice of matrices, a principal component analysis; 8 bits before and after it."""

    name, delicate = "SVS Vamana LeanVec", True

    def source(self, vectors: np.ndarray, file: Path) -> Any:
        import svs

        return svs.LeanVecLoader(_saved(vectors, file), vectors.shape[1] // 2)


class Vsag:
    name, package = "vsag HGraph sq8", "pyvsag"

    def build(self, base: np.ndarray, metric: str) -> None:
        import pyvsag

        settings = {
            "dtype": "float32",
            "metric_type": metric,
            "dim": base.shape[1],
            "index_param": {
                "base_quantization_type": "sq8",
                "max_degree": 2 * M,
                "ef_construction": EF_CONSTRUCTION,
                "build_thread_count": 1,
                "use_reorder": True,
                "precise_quantization_type": "fp32",
            },
        }
        pyvsag.set_logger_off()
        self.index = pyvsag.Index("hgraph", json.dumps(settings))
        self.index.build(
            vectors=base.ravel(),
            ids=np.arange(len(base)),
            num_elements=len(base),
            dim=base.shape[1],
        )

    def search(self, queries: np.ndarray, ef: int, threads: int = 1) -> np.ndarray:
        settings = json.dumps({"hgraph": {"ef_search": ef}})
        return np.stack(
            [self.index.knn_search(vector=q, k=K, parameters=settings)[0] for q in queries]
        )


class Usearch:
    name, package = "usearch", "usearch"

    def build(self, base: np.ndarray, metric: str) -> None:
        from usearch.index import Index

        kind = "l2sq" if metric == "l2" else "cos"
        self.index = Index(
            ndim=base.shape[1], metric=kind, connectivity=M, expansion_add=EF_CONSTRUCTION
        )
        self.index.add(np.arange(len(base)), base, threads=1)

    def search(self, queries: np.ndarray, ef: int, threads: int = 1) -> np.ndarray:
        self.index.expansion_search = ef
        return self.index.search(queries, K, threads=threads).keys.astype(np.int64)


_ALL: tuple[type[Any], ...] = (
    Ours, Hnswlib, Faiss, SymphonyQG, Vamana, VamanaLVQ8, VamanaLVQ4x4, VamanaLVQ4x8, VamanaLeanVec,
    Vsag, Usearch,
)  # fmt: skip


def engines(beside: list[str] | None) -> list[Any]:
    """One of each that is installed and runs; ours, hnswlib, and of the others those named."""
    return [
        kind()
        for kind in _ALL
        if importlib.util.find_spec(kind.package) is not None
        and (beside is None or kind in (Ours, Hnswlib) or kind.name in beside)
        and (not getattr(kind, "delicate", False) or _survives(kind))
    ]


def _survives(kind: type[Any]) -> bool:
    """Whether a process that builds and asks a small index lives to tell."""
    child = multiprocessing.get_context("spawn").Process(target=_try, args=(kind,))
    child.start()
    child.join()
    return child.exitcode == 0


def _try(kind: type[Any]) -> None:
    vectors = np.random.default_rng(0).standard_normal((1000, 64), np.float32)
    engine = kind()
    engine.build(vectors, "cosine")
    engine.search(vectors[:10], K)


def _saved(vectors: np.ndarray, file: Path) -> Any:
    """SVS' loader of vectors that are written to a file."""
    import svs

    svs.write_vecs(vectors, str(file))
    return svs.VectorDataLoader(str(file), svs.DataType.float32, dims=vectors.shape[1])


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-30)
