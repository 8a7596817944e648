"""``make conformance-peers``: every fault that we list of a peer is still one, and none of ours.

Runs, in each peer's environment, exactly the cases that its module lists, by the peer (which must fail for
the reason given) and by ours (which must pass). ``python -m tests.conformance.peers [NAME …]``.
"""

from __future__ import annotations

import os
import subprocess
import sys

from .environments import ROOT, environment

PEERS = ("faiss", "hnswlib", "qdrant", "chroma", "lancedb", "pinecone")


def run(name: str) -> bool:
    """Whether the peer fails what it should, and ours nothing."""
    print(f"\n== {name}", flush=True)
    arguments = ["-rx", "-W", "ignore", "-p", "no:cacheprovider", "-p", "no:xdist"]
    done = subprocess.run(
        [environment(name), "-m", "pytest", "tests/conformance", *arguments],
        cwd=ROOT,
        env={**os.environ, "VECX_PEER": name, "PYTHONPATH": str(ROOT / "src"), "COLUMNS": "200"},
        check=False,
    )
    return done.returncode == 0


if __name__ == "__main__":
    results = {name: run(name) for name in sys.argv[1:] or PEERS}
    wrong = [name for name, right in results.items() if not right]
    sys.exit(f"\nnot as listed: {', '.join(wrong)}" if wrong else 0)
