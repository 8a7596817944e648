"""The pytest plugin as a stranger's tests use it, and what importing it costs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SRC = Path(__file__).resolve().parents[2] / "src"
TESTS = """
import urllib.request

def test_one(pinecone_local):
    body = b'{"name": "x", "dimension": 2, "spec": {"serverless": {"cloud": "aws", "region": "r"}}}'
    urllib.request.urlopen(pinecone_local.url + "/indexes", body)
    pinecone_local.faults.fail_rate = 1.0
    assert "indexes x" in repr(pinecone_local)

def test_two(pinecone_local):
    assert pinecone_local.faults.fail_rate == 0
    assert "indexes none" in repr(pinecone_local)
"""


def python(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(SRC), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True
    )


def test_each_test_finds_an_empty_server(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    plugin = "llamaindex_vecx.pinecone_local.pytest_plugin"
    done = python("-m", "pytest", "-q", "-p", plugin, "-p", "no:cacheprovider", cwd=tmp_path)
    assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_pytest_pays_next_to_nothing_for_it(tmp_path: Path) -> None:
    code = (
        "import sys, llamaindex_vecx.pinecone_local.pytest_plugin;"
        "print({'llama_index', 'numpy', 'starlette', 'uvicorn'} & set(sys.modules))"
    )
    assert python("-c", code, cwd=tmp_path).stdout.strip() == "set()"


def test_without_the_extra_the_pip_line_is_named(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['starlette'] = None\n"
        "from llamaindex_vecx.pinecone_local import PineconeLocal; PineconeLocal()"
    )
    done = python("-c", code, cwd=tmp_path)
    assert "pip install 'llamaindex-vecx[server]'" in done.stderr
