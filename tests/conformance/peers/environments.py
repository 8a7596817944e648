"""A virtual environment for each peer, because no two of them agree on what to install.

``python -m tests.conformance.peers.environments [NAME …]`` makes those that are missing or out of date in
``.venv-peers/`` (or ``VECX_PEER_ENVS``). Each sees the packages of the environment that makes it, so that
only the peer's own are installed; whatever it needs in another version goes into its own and shadows.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

__all__ = ["PACKAGES", "ROOT", "environment", "python_of"]

ROOT = Path(__file__).resolve().parents[3]
ENVIRONMENTS = Path(os.environ.get("VECX_PEER_ENVS", ROOT / ".venv-peers"))

PACKAGES: dict[str, tuple[str, ...]] = {
    "faiss": ("llama-index-vector-stores-faiss", "faiss-cpu"),
    "hnswlib": ("llama-index-vector-stores-hnswlib",),
    "qdrant": ("llama-index-vector-stores-qdrant",),
    "chroma": ("llama-index-vector-stores-chroma",),
    # The store imports pandas and does not say so.
    "lancedb": ("llama-index-vector-stores-lancedb", "pandas"),
    "pinecone": ("pinecone==9.1.*", "llama-index-vector-stores-pinecone"),
    "turbovec": ("turbovec[llama-index]",),
    "bm25": ("llama-index-retrievers-bm25",),
    "zvec": ("zvec",),
}
"""What each environment holds. The last three are for the benchmarks alone."""


def python_of(name: str) -> Path:
    """The interpreter of a peer's environment, whether it is there or not."""
    return ENVIRONMENTS / name / "bin" / "python"


def environment(name: str) -> Path:
    """The interpreter of a peer's environment, made where it is missing or out of date."""
    python = python_of(name)
    folder = python.parent.parent
    wanted = "\n".join([*PACKAGES[name], sys.prefix])
    stamp = folder / "installed"
    if stamp.exists() and stamp.read_text("utf-8") == wanted:
        return python
    venv.create(folder, clear=True, symlinks=True)
    ours = sysconfig.get_path("purelib")
    site = next((folder / "lib").glob("python*/site-packages"))
    (site / "shared.pth").write_text(f"import site; site.addsitedir({ours!r})\n", "utf-8")
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", *PACKAGES[name]],
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        check=True,
    )
    stamp.write_text(wanted, "utf-8")
    return python


if __name__ == "__main__":
    for asked in sys.argv[1:] or PACKAGES:
        print(f"{asked}: {environment(asked)}", flush=True)
