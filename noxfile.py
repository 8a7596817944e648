"""Checks for a release, and the tests under every Python that is here: ``nox -l`` lists them."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

import nox

ROOT = Path(__file__).parent
PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
PYTHONS = ("3.10", "3.11", "3.12", "3.13")

# pyenv's Pythons are found as any others; one that is missing is skipped, not an error.
os.environ["PATH"] = os.pathsep.join([os.environ["PATH"], *map(str, PYENV.glob("3.*/bin"))])
nox.options.error_on_missing_interpreters = False
nox.options.default_venv_backend = "venv"
nox.options.sessions = ["package", "types"]


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The suite without torch. ``nox -s tests-3.13 -- tests/stores`` runs a part."""
    extras = "dev,korean,readers,learners,faiss,pinecone,server,eval,ui"
    session.install("-e", f".[{extras},wandb,prometheus,opentelemetry,mlflow]")
    chosen = session.posargs or ["tests"]
    session.run("python", "-m", "pytest", "-m", "not slow and not model", *chosen)


@nox.session
def package(session: nox.Session) -> None:
    """Build wheel and sdist, check both, install the wheel alone and run the quickstart with it."""
    session.install("build", "twine")
    built = Path(session.create_tmp()).resolve() / "dist"
    shutil.rmtree(built, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(built), str(ROOT))
    files = sorted(map(str, built.iterdir()))
    session.run("twine", "check", "--strict", *files)
    (wheel,) = built.glob("*.whl")
    quickstart(session, wheel)


def quickstart(session: nox.Session, wheel: Path) -> None:
    """The site's quickstart, in an environment that has the wheel and nothing else of ours."""
    # Not below .nox: LlamaIndex's SimpleDirectoryReader passes over everything in a hidden folder.
    place = Path(tempfile.mkdtemp(prefix="vecx-reader-"))
    (place / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "stores.md", place / "docs")
    session.run("python", "-m", "venv", str(place / "venv"))
    python = str(place / "venv" / "bin" / "python")
    # A CPU build where there is one for this Python; else whatever pip finds.
    session.run(python, "-m", "pip", "install", "--quiet", "torch==2.13.0", external=True)
    session.run(python, "-m", "pip", "install", "--quiet", f"{wheel}[demo]", external=True)
    page = (ROOT / "docs" / "quickstart.md").read_text("utf-8")
    code = "\n".join(re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE))
    (place / "pasted.py").write_text(code, "utf-8")
    vecx = str(place / "venv" / "bin" / "vecx")
    with session.chdir(place):
        session.run(python, "pasted.py", external=True)
        session.run(vecx, "ingest", "docs", "--to", "kb", external=True)
        session.run(vecx, "ask", "What survives a kill?", "--from", "kb", external=True)
    shutil.rmtree(place)


@nox.session
def types(session: nox.Session) -> None:
    """How much of the public interface has types: at least 99 %, by pyright."""
    session.install("pyright", "-e", ".[faiss,pinecone,server,korean,learners]")
    report = session.run(
        "pyright", "--ignoreexternal", "--verifytypes", "llamaindex_vecx", "--outputjson",
        silent=True, success_codes=[0, 1],
    )  # fmt: skip
    share = float(re.findall(r'"completenessScore":\s*([\d.]+)', str(report))[-1])
    session.log(f"types complete: {share:.2%}")
    if share < 0.99:
        session.error(f"{share:.2%} of the public interface has types, less than 99 %")
