"""The Node client against the server. ``make pinecone-node`` installs it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from llamaindex_vecx.pinecone_local import PineconeLocal

REPO = Path(__file__).resolve().parents[2]
MODULES = Path(os.environ.get("VECX_NODE_MODULES", REPO / ".node" / "node_modules"))


def test_the_node_client(pinecone_local: PineconeLocal) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    if not (MODULES / "@pinecone-database" / "pinecone").exists():
        pytest.skip(f"no @pinecone-database/pinecone in {MODULES}: make pinecone-node")
    script = Path(__file__).with_name("node") / "client.mjs"
    done = subprocess.run(
        [node, str(script), pinecone_local.url, str(MODULES)],
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert done.stdout.strip() == "ok", done.stderr
