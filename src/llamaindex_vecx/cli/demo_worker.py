"""The demo's child process: it ingests and answers, and it is killed while the collection is open.

Requests and replies are JSON, one a line, over stdin and stdout; progress goes to stderr.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding

from llamaindex_vecx.cli.answers import Answer, Hit, Passage, ask_store
from llamaindex_vecx.cli.ask import model_of
from llamaindex_vecx.cli.demo_data import Question
from llamaindex_vecx.cli.files import find_files
from llamaindex_vecx.cli.ingest import ingest_into
from llamaindex_vecx.cli.opening import open_store
from llamaindex_vecx.cli.split import HEADING_KEY
from llamaindex_vecx.errors import VecxError
from llamaindex_vecx.stores.local import LocalVectorStore

__all__ = ["Worker"]


class Worker:
    """The parent's end: a process that has one collection open.

    Parameters
    ----------
    to : Path
        Folder of the collection.
    model : str, optional
        As ``--model`` names it.
    """

    def __init__(self, to: Path, model: str | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(to), *([model] if model else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        )

    @property
    def pid(self) -> int:
        """Id of the process."""
        return self._process.pid

    def ingest(self, roots: Sequence[Path]) -> dict[str, Any]:
        """Ingest in the child. Returns the summary, ``nodes`` in all, ``headings`` and ``seconds``."""
        return self._call(do="ingest", roots=[str(root) for root in roots])

    def ask(self, questions: Sequence[Question], top_k: int = 5) -> list[Answer]:
        """Answer in the child."""
        reply = self._call(
            do="ask", questions=[[item.text, item.mode] for item in questions], top_k=top_k
        )
        return [_answer(item) for item in reply["answers"]]

    def kill(self) -> int:
        """End it by SIGKILL: nothing is flushed, nothing is closed. Returns the exit status."""
        self._process.kill()
        return self._process.wait()

    def close(self) -> None:
        """Let it close its collection and end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _call(self, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended: its empty answer says so below
        line = self._process.stdout.readline()
        if not line:
            raise VecxError(f"the demo's process ended early, with status {self._process.wait()}")
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            self.close()
            raise VecxError(reply["error"])
        return reply


def _answer(value: dict[str, Any]) -> Answer:
    passages = [
        Passage(
            **{
                **passage,
                "sources": {name: Hit(**hit) for name, hit in passage["sources"].items()},
            }
        )
        for passage in value["passages"]
    ]
    return Answer(value["question"], value["mode"], passages, value["seconds"])


class _Child:
    def __init__(self, to: Path, model: str | None) -> None:
        self.model = model
        self.store: LocalVectorStore = open_store(to)
        self.embed_model: BaseEmbedding | None = None

    def ingest(self, request: dict[str, Any]) -> dict[str, Any]:
        start = perf_counter()
        roots = [Path(root) for root in request["roots"]]
        summary = ingest_into(self.store, find_files(roots), roots, model=self.model, prune=True)
        collection = self.store.client
        records = collection.records(list(collection.all_rows()))
        headings = [
            str(record.metadata.get(HEADING_KEY) or "").rsplit(" › ", 1)[-1]
            for record in records
            if record is not None
        ]
        seconds = perf_counter() - start
        return {
            "summary": asdict(summary),
            "nodes": len(records),
            "headings": headings,
            "seconds": seconds,
        }

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        answers = []
        for text, mode in request["questions"]:
            if mode != "text_search" and self.embed_model is None:
                self.embed_model = model_of(self.store, self.model)
            answer = ask_store(
                self.store, text, mode=mode, top_k=request["top_k"], embed_model=self.embed_model
            )
            answers.append(answer.to_json())
        return {"answers": answers}


def _serve(to: Path, model: str | None) -> None:
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    sys.stdout = sys.stderr  # whatever a library prints must not mix with the replies
    child: _Child | None = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            child = child or _Child(to, model)
            reply = child.ingest(request) if request["do"] == "ingest" else child.ask(request)
        except VecxError as error:
            reply = {"error": str(error)}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()
    if child is not None:
        child.store.close()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
