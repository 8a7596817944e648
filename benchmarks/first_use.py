"""What a first use costs, and a first answer in a fresh process: also in a read-only install without a home.

Each line is a process of its own over a copy of the package. The compile cache begins empty: the first
process of a place compiles, the second finds what the first could keep. Imports are timed apart. Root may
write where nobody else may, so the capability to do so is dropped before the process begins.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import harness

PROBE = """
import json, sys, time
start = time.perf_counter(), time.process_time()
import numpy as np
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores.types import MetadataFilter, MetadataFilters, VectorStoreQuery
from llamaindex_vecx import HNSWVectorStore, jit
imported = time.perf_counter()
path, nodes, read_only = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "read"
rng = np.random.default_rng(0)
queries = rng.standard_normal((3, 384)).tolist()
begun = time.perf_counter()
store = HNSWVectorStore(path=path, read_only=read_only)
if not read_only:
    vectors = rng.standard_normal((nodes, 384)).tolist()
    begun = time.perf_counter()
    store.add([
        TextNode(id_=f"n{i}", text=f"word{i % 50} of note {i}", metadata={"n": i % 10}, embedding=vector)
        for i, vector in enumerate(vectors)
    ])
store.query(VectorStoreQuery(query_embedding=queries[0], similarity_top_k=10))
answered = time.perf_counter()
some = MetadataFilters(filters=[MetadataFilter(key="n", value=3)])
store.query(VectorStoreQuery(query_embedding=queries[1], similarity_top_k=10, filters=some))
store.query(VectorStoreQuery(query_str="note word7", similarity_top_k=10, mode="text_search"))
everything = time.perf_counter()
if not read_only:
    store.client.wait()
    store.query(VectorStoreQuery(query_embedding=queries[2], similarity_top_k=10))
    everything = time.perf_counter()
    store.close()
print(json.dumps({
    "imports s": imported - start[0],
    "to first answer s": answered - begun,
    "to every kind of answer s": everything - begun,
    "CPU s": time.process_time() - start[1],
    "cache": str(jit.cache_folder()),
}))
"""


def without_override() -> None:
    """Let this process, about to become another, be refused like anybody."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


def run(package: Path, path: Path, nodes: int, mode: str, **environment: str) -> dict[str, Any]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("HOME", "XDG_CACHE_HOME", "LLAMAINDEX_VECX_CACHE_DIR")
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROBE, str(path), str(nodes), mode],
        env={**kept, "PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1", **environment},
        preexec_fn=without_override if os.geteuid() == 0 else None,
        capture_output=True,
        text=True,
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    answer["said"] = done.stderr.strip().splitlines()[0][:60] if done.stderr.strip() else "nothing"
    return answer


def lock(folder: Path) -> None:
    for file in (folder, *folder.rglob("*")):
        file.chmod(file.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))


def unlock(folder: Path) -> None:
    for file in (folder, *folder.rglob("*")):
        if file.is_dir():
            file.chmod(0o755)


def main() -> None:
    asked = harness.arguments(__doc__.splitlines()[0])
    nodes = 300 if asked.quick else 4500  # so many that the graph is walked, not scanned
    harness.console.print(
        harness.describe(f"{nodes:,} nodes x 384, random vectors"), soft_wrap=True
    )
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="vecx-first-use-") as name:
        root = Path(name)
        for place in ("ordinary install", "read-only install, no home"):
            package = root / place.replace(" ", "-").replace(",", "")
            shutil.copytree(
                harness.ROOT / "src" / "llamaindex_vecx",
                package / "llamaindex_vecx",
                ignore=shutil.ignore_patterns("__pycache__"),
            )
            environment = {"HOME": str(root / "home")}
            if place.startswith("read-only"):
                lock(package)
                environment = {"HOME": "/proc/nobody"}
            for turn, mode in (("first use ever", "write"), ("a later process", "read")):
                found = run(package, root / f"kb-{package.name}", nodes, mode, **environment)
                rows.append({"place": place, "process": turn, **found})
            unlock(package)
    for row in rows:
        row["cache"] = "none" if row["cache"] == "None" else "kept"
        for key, value in row.items():
            if isinstance(value, float):
                row[key] = round(value, 2)
    harness.table("first use", rows)
    harness.finish(rows, asked.json)


if __name__ == "__main__":
    main()
