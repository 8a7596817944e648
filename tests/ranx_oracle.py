"""ranx, asked in a process of its own without numba's compiler, which would take it a minute."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def ask_ranx(*, runs=(), fusions=(), evaluate=None):
    """Fused runs by (method, norm, params), or values by measure and query; skips without ranx."""
    if importlib.util.find_spec("ranx") is None:
        pytest.skip("ranx, the oracle, is not installed: pip install 'llamaindex-vecx[dev]'")
    asked = json.dumps({"runs": list(runs), "fusions": list(fusions), "evaluate": evaluate})
    answer = subprocess.run(
        # as a module: beside a script of tests/, tests/inspect would stand for the standard library's
        [sys.executable, "-W", "ignore", "-m", "tests.ranx_oracle"],
        cwd=Path(__file__).resolve().parents[1],
        input=asked,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


def _answer(asked):
    import ranx

    if asked["evaluate"] is not None:
        run = ranx.Run(asked["evaluate"]["run"])
        ranx.evaluate(ranx.Qrels(asked["evaluate"]["qrels"]), run, asked["evaluate"]["measures"])
        return {
            measure: {query: float(value) for query, value in values.items()}
            for measure, values in run.scores.items()
        }
    fused = []
    for method, norm, params in asked["fusions"]:
        runs = [ranx.Run({q: dict(hits) for q, hits in run.items()}) for run in asked["runs"]]
        result = ranx.fuse(runs, norm=norm, method=method, params=params)
        fused.append({query: dict(scores) for query, scores in result.run.items()})
    return fused


if __name__ == "__main__":
    json.dump(_answer(json.load(sys.stdin)), sys.stdout)
