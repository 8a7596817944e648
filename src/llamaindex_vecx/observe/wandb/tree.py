"""A trace as W&B shows it: a trace tree, and the row of a table."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

from llamaindex_vecx.observe.steps import Step
from llamaindex_vecx.observe.wandb.client import import_wandb

__all__ = ["COLUMNS", "row", "trace_tree"]

COLUMNS = (
    "time",
    "kind",
    "query",
    "answer",
    "error",
    "latency_ms",
    "ids",
    "scores",
    "prompt_tokens",
    "completion_tokens",
    "stages",
)
"""Of the table ``queries``."""

_KINDS = {
    "query": "AGENT",
    "retrieve": "TOOL",
    "search": "TOOL",
    "embed": "TOOL",
    "llm": "LLM",
}


def trace_tree(trace: Step) -> Any:
    """``trace`` as W&B's ``WBTraceTree``."""
    return _tree_class()(trace)


@lru_cache(maxsize=1)
def _tree_class() -> Any:
    """W&B's class, without its way of making JSON of any object: that costs a millisecond a query."""
    base = import_wandb("wandb.sdk.data_types.trace_tree").WBTraceTree

    class PlainTraceTree(base):  # type: ignore[misc, valid-type]
        def __init__(self, trace: Step) -> None:
            super().__init__(root_span=None)
            self._trace = trace

        def to_json(self, run: Any) -> dict[str, Any]:
            dumped = json.dumps(_span(self._trace), ensure_ascii=False)
            return {"_type": self._log_type, "root_span_dumps": dumped}

    return PlainTraceTree


def _span(step: Step) -> dict[str, Any]:
    started = step.started * 1e3
    return {
        "span_id": None,
        "name": step.name,
        "start_time_ms": round(started),
        "end_time_ms": round(started + step.seconds * 1e3),
        "status_code": "ERROR" if step.error else "SUCCESS",
        "status_message": step.error,
        "attributes": {"component": step.component, "latency_ms": step.seconds * 1e3},
        "results": [{"inputs": step.inputs(), "outputs": _outputs(step)}],
        "child_spans": [_span(child) for child in step.children] or None,
        "span_kind": _KINDS.get(step.name, "CHAIN"),
    }


def _outputs(step: Step) -> dict[str, Any]:
    outputs: dict[str, Any] = dict(step.counts)
    if step.answer is not None:
        outputs["answer"] = step.answer
    if step.ids:
        outputs["ids"] = step.ids
        outputs["ranks"] = list(range(1, len(step.ids) + 1))
    if step.scores:
        outputs["scores"] = step.scores
    if step.texts:
        outputs["texts"] = step.texts
    outputs.update({f"{kind}_tokens": number for kind, number in step.tokens.items()})
    return outputs


def row(trace: Step) -> list[Any]:
    """The values of :data:`COLUMNS`. ``stages`` is a JSON list, one entry a step, outer before inner."""
    results, tokens = trace.results(), trace.total_tokens()
    return [
        datetime.fromtimestamp(trace.started, tz=timezone.utc).isoformat(timespec="milliseconds"),
        trace.name,
        trace.question,
        trace.answer,
        trace.first_error(),
        trace.seconds * 1e3,
        results.ids,
        json.dumps(results.scores),
        tokens.get("prompt", 0),
        tokens.get("completion", 0),
        json.dumps([_stage(step) for step in trace.walk()], ensure_ascii=False),
    ]


def _stage(step: Step) -> dict[str, Any]:
    stage = {
        "stage": step.name,
        "component": step.component,
        "latency_ms": round(step.seconds * 1e3, 4),
        "parameters": step.parameters,
        "counts": step.counts,
        "ids": step.ids,
        "ranks": list(range(1, len(step.ids) + 1)),
        "scores": step.scores,
        "tokens": step.tokens,
        "error": step.error,
    }
    return {name: value for name, value in stage.items() if value or name == "latency_ms"}
