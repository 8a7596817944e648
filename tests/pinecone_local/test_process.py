from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SRC = Path(__file__).resolve().parents[2] / "src"
CODE = """
import resource
from llamaindex_vecx.pinecone_local.process import prepare
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
prepare()
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 256, hard > 256)
"""


def test_a_low_limit_of_open_files_is_raised() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**os.environ, "PYTHONPATH": str(SRC)},
        capture_output=True,
        text=True,
    )
    raised, possible = done.stdout.split()
    assert raised == possible, done.stderr
