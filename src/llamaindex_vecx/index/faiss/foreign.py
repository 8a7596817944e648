"""Read a FAISS file that somebody else has written.

It carries no checksum, and what faiss does with a damaged one ranges from an exception to a dead process. So
a process of its own reads it, and hands back plain arrays.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.errors import FormatError, NonFiniteError
from llamaindex_vecx.index.faiss.anatomy import Anatomy, parts
from llamaindex_vecx.index.faiss.factory import as_template, metric_of
from llamaindex_vecx.index.faiss.runtime import library

__all__ = ["Foreign", "read_foreign"]

_ROOM = 8 << 30  # bytes of address space for libraries and threads, beside some for the file
_CHUNK = 65_536


@dataclass(frozen=True)
class Foreign:
    """What a FAISS file holds.

    Attributes
    ----------
    labels : int64, shape (n,)
        Positions, or the ids of an IDMap or IVF index.
    vectors : float32, shape (n, dim)
    lossy : bool
        Whether the file holds codes, so that the vectors are what is left of the original ones.
    metric : {"l2", "ip"}
    template : str
        The index without its vectors, see :func:`~llamaindex_vecx.index.faiss.factory.as_template`.
    name : str
        Its class, e.g. ``"IndexIVFFlat"``.
    """

    labels: NDArray[np.int64]
    vectors: NDArray[np.float32]
    lossy: bool
    metric: str
    template: str
    name: str


def read_foreign(file: Path) -> Foreign:
    """Read a FAISS index file in a process of its own.

    Raises
    ------
    FormatError
        Missing, damaged, or no index of float vectors.
    NonFiniteError
        A vector holds NaN or infinity.
    MissingExtraError
    """
    library()
    if not file.is_file():
        raise FormatError(f"{file} is no file; give the path that faiss.write_index wrote")
    with TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", __name__, str(file), folder],
            capture_output=True,
            text=True,
            errors="replace",
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        if done.returncode:
            said = done.stderr.strip().splitlines()
            reason = (
                said[-1][-300:] if said and done.returncode > 0 else "reading it kills a process"
            )
            raise FormatError(
                f"{file} can't be read as a FAISS index: {reason}. It is damaged or something else; "
                "restore it from a backup, or embed the nodes again"
            )
        out = Path(folder)
        about = json.loads((out / "about.json").read_text("utf-8"))
        labels = np.load(out / "labels.npy", allow_pickle=False)
        vectors = np.load(out / "vectors.npy", allow_pickle=False)
    wrong = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(wrong):
        raise NonFiniteError(
            f"{file} holds NaN or infinity in {len(wrong)} of {len(vectors)} vectors, the first under "
            f"label {labels[wrong[0]]}; it is damaged, or these nodes must be embedded again"
        )
    return Foreign(labels, vectors, **about)


def _main(file: str, folder: str) -> None:
    """The other process."""
    _limit_memory(os.path.getsize(file))
    faiss = library()
    faiss.omp_set_num_threads(1)
    index = faiss.read_index(file)
    metric = metric_of(index, None)
    anatomy = Anatomy(_unwrapped(index))
    labels, vectors = _content(index, anatomy)
    inner = _unwrapped(index)
    inner.reset()
    about = {
        "lossy": anatomy.lossy,
        "metric": metric,
        "template": as_template(inner, None),
        "name": type(anatomy.inner).__name__,
    }
    out = Path(folder)
    np.save(out / "labels.npy", labels, allow_pickle=False)
    np.save(out / "vectors.npy", vectors, allow_pickle=False)
    (out / "about.json").write_text(json.dumps(about), "utf-8")


def _unwrapped(index: Any) -> Any:
    faiss = library()
    index = faiss.downcast_index(index)
    while isinstance(index, faiss.IndexIDMap):
        index = faiss.downcast_index(index.index)
    return index


def _content(index: Any, anatomy: Anatomy) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Labels and vectors, all of them. For an IVF index both come list by list."""
    faiss = library()
    mapped = faiss.downcast_index(index)
    inner = _unwrapped(index)
    count = int(inner.ntotal)
    own = _list_ids(anatomy.inner) if anatomy.numbers_rows else np.arange(count)
    vectors = np.empty((count, int(index.d)), np.float32)
    if anatomy.numbers_rows:
        for part in parts(inner):
            if isinstance(part, faiss.IndexIVF):
                part.set_direct_map_type(faiss.DirectMap.Hashtable)
        for at in range(0, count, _CHUNK):
            vectors[at : at + _CHUNK] = inner.reconstruct_batch(own[at : at + _CHUNK])
        for part in parts(inner):
            if isinstance(part, faiss.IndexIVF):
                part.set_direct_map_type(faiss.DirectMap.NoMap)
    else:
        if anatomy.nlist:
            anatomy.inner.make_direct_map()
        for at in range(0, count, _CHUNK):
            some = min(_CHUNK, count - at)
            vectors[at : at + some] = inner.reconstruct_n(at, some)
    if isinstance(mapped, faiss.IndexIDMap):
        ids = faiss.vector_to_array(mapped.id_map)
        if len(ids) != count or (len(own) and (own.min() < 0 or own.max() >= count)):
            raise RuntimeError(f"{len(ids)} ids for {count} vectors")
        own = ids[own]
    return own.astype(np.int64), vectors


def _list_ids(ivf: Any) -> NDArray[np.int64]:
    faiss = library()
    lists = ivf.invlists
    ids = [
        faiss.rev_swig_ptr(lists.get_ids(number), lists.list_size(number)).copy()
        for number in range(ivf.nlist)
        if lists.list_size(number)
    ]
    return np.sort(np.concatenate(ids)) if ids else np.zeros(0, np.int64)


def _limit_memory(size: int) -> None:
    """A damaged length must not take the machine's memory."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    most = _ROOM + 16 * size
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard == resource.RLIM_INFINITY or hard > most:
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))


def _run() -> None:
    try:
        _main(*sys.argv[1:])
    except Exception as error:
        sys.exit(f"{type(error).__name__}: {' '.join(str(error).split())}")


if __name__ == "__main__":
    _run()
