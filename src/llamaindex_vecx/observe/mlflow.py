"""Traces and metrics in MLflow."""

from __future__ import annotations

from typing import Any

from llamaindex_vecx.observe.extras import import_extra
from llamaindex_vecx.observe.handler import TraceHandler
from llamaindex_vecx.observe.steps import Step

__all__ = ["MLflowHandler"]

_KINDS = {
    "query": "CHAIN",
    "retrieve": "RETRIEVER",
    "search": "RETRIEVER",
    "rerank": "RERANKER",
    "postprocess": "RERANKER",
    "embed": "EMBEDDING",
    "llm": "LLM",
}


class MLflowHandler(TraceHandler):
    """Sends each query as an MLflow trace.

    Where they go is MLflow's to say: ``MLFLOW_TRACKING_URI``, or ``tracking_uri``.

    Parameters
    ----------
    experiment : str, optional
        Made where it is missing; None is MLflow's current one.
    tracking_uri : str, optional
        Set for the whole process, as MLflow does.
    **options
        Of :class:`~llamaindex_vecx.observe.TraceHandler`.

    Raises
    ------
    MissingExtraError
        Without the extra ``mlflow``.
    InvalidInputError
    """

    def __init__(
        self, experiment: str | None = None, *, tracking_uri: str | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self._mlflow = import_extra("mlflow", "mlflow")
        if tracking_uri is not None:
            self._mlflow.set_tracking_uri(tracking_uri)
        self._experiment = experiment
        self._experiment_id: str | None = None

    def deliver(self, traces: list[tuple[Step, Any]]) -> None:
        """Log traces; MLflow exports each when its outermost span ends."""
        if self._experiment is not None and self._experiment_id is None:
            self._experiment_id = self._mlflow.set_experiment(self._experiment).experiment_id
        for trace, _ in traces:
            self._span(trace, None)

    def _span(self, step: Step, parent: Any | None) -> None:
        start = int(step.started * 1e9)
        options = {"experiment_id": self._experiment_id} if parent is None else {}
        span = self._mlflow.start_span_no_context(
            step.name,
            span_type=_KINDS.get(step.name, "UNKNOWN"),
            parent_span=parent,
            inputs=step.inputs(),
            attributes={"component": step.component, **step.counts, **_usage(step)},
            start_time_ns=start,
            **options,
        )
        for child in step.children:
            self._span(child, span)
        if step.error is not None:
            span.set_status("ERROR")
            span.set_attribute("error", step.error)
        span.end(outputs=_outputs(step), end_time_ns=start + int(step.seconds * 1e9))

    def flush(self, timeout: float | None = None) -> bool:
        """Deliver what was recorded until now, and have MLflow write it."""
        done = super().flush(timeout)
        self._mlflow.flush_trace_async_logging()
        return done

    def close(self) -> None:
        """Uninstall, and deliver what is left."""
        super().close()
        self._mlflow.flush_trace_async_logging()


def _outputs(step: Step) -> dict[str, Any]:
    nodes = [
        {"id": id_, "rank": rank, "score": score}
        for rank, (id_, score) in enumerate(
            zip(step.ids, [*step.scores, *[None] * len(step.ids)], strict=False), start=1
        )
    ]
    outputs: dict[str, Any] = {"answer": step.answer, "nodes": nodes, "texts": step.texts}
    return {name: value for name, value in outputs.items() if value}


def _usage(step: Step) -> dict[str, Any]:
    if not step.tokens:
        return {}
    prompt, completion = step.tokens.get("prompt", 0), step.tokens.get("completion", 0)
    # MLflow sums these up by itself, under this name.
    return {
        "mlflow.chat.tokenUsage": {
            "input_tokens": prompt,
            "output_tokens": completion,
            "total_tokens": prompt + completion,
        }
    }
