"""A trace as W&B shows it: a trace tree, and the row of a table."""

from __future__ import annotations

import json
from datetime import datetime, timezone
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
    module = import_wandb("wandb.sdk.data_types.trace_tree")
    return module.WBTraceTree(_span(module, trace))


def _span(module: Any, step: Step) -> Any:
    started = step.started * 1e3
    span = module.Span(
        name=step.name,
        span_kind=module.SpanKind(_KINDS.get(step.name, "CHAIN")),
        status_code=module.StatusCode.ERROR if step.error else module.StatusCode.SUCCESS,
        status_message=step.error,
        start_time_ms=round(started),
        end_time_ms=round(started + step.seconds * 1e3),
        attributes={"component": step.component, "latency_ms": step.seconds * 1e3},
    )
    span.add_named_result(inputs=step.inputs(), outputs=_outputs(step))
    for child in step.children:
        span.add_child_span(_span(module, child))
    return span


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
