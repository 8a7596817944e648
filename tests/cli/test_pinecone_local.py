from __future__ import annotations

import socket
from pathlib import Path

from tests.cli.conftest import Vecx


def test_what_can_not_be_served_is_one_line(vecx: Vecx, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert str(port) in vecx("pinecone-local", "--port", port, code=1).output
    assert "NAME=MODEL" in vecx("pinecone-local", "--port", 0, "--embed", "x", code=1).output
    assert "'flat' or 'hnsw'" in vecx("pinecone-local", "--port", 0, "--index", "x", code=1).output
    assert "fail_rate=2.0" in vecx("pinecone-local", "--fail-rate", 2, code=1).output
    (tmp_path / "file").write_text("mine")
    assert "something else" in vecx("pinecone-local", "--port", 0, "--dir", tmp_path, code=1).output
