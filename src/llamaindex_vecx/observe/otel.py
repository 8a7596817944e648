"""Traces as OpenTelemetry spans, through the standard API: any exporter the app has set up gets them."""

from __future__ import annotations

import json
from importlib import metadata
from typing import Any

from llamaindex_vecx.observe.extras import import_extra
from llamaindex_vecx.observe.handler import TraceHandler
from llamaindex_vecx.observe.steps import Step

__all__ = ["OpenTelemetryHandler"]


class OpenTelemetryHandler(TraceHandler):
    """Sends each step as a span, with the times it had, below the span that the app was in.

    Attributes have the names of OpenTelemetry's conventions for generative AI where there are any
    (``gen_ai.usage.input_tokens``, ``gen_ai.request.model``, ``error.type``), else they begin with ``vecx.``.

    Parameters
    ----------
    tracer_provider : TracerProvider, optional
        None is the global one. With the API alone, no SDK, spans go nowhere, as always in OpenTelemetry.
    **options
        Of :class:`~llamaindex_vecx.observe.TraceHandler`.

    Raises
    ------
    MissingExtraError
        Without the extra ``opentelemetry``.
    InvalidInputError
    """

    def __init__(self, tracer_provider: Any | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._api = import_extra("opentelemetry.trace", "opentelemetry")
        self._context = import_extra("opentelemetry.context", "opentelemetry")
        self._tracer = self._api.get_tracer(
            "llamaindex_vecx",
            metadata.version("llamaindex-vecx"),
            tracer_provider=tracer_provider,
        )

    def surroundings(self) -> Any:
        """The app's current span, under which the trace belongs."""
        return self._context.get_current()

    def deliver(self, traces: list[tuple[Step, Any]]) -> None:
        """Make the spans; the SDK's own processor exports them."""
        for trace, context in traces:
            self._span(trace, context)

    def _span(self, step: Step, context: Any) -> None:
        start = int(step.started * 1e9)
        span = self._tracer.start_span(
            f"{step.name} {step.component}".strip(),
            context=context,
            start_time=start,
            attributes=_attributes(step),
        )
        within = self._api.set_span_in_context(span, context)
        for child in step.children:
            self._span(child, within)
        if step.error is not None:
            status = self._api.Status(self._api.StatusCode.ERROR, step.error)
            span.set_status(status)
        span.end(end_time=start + int(step.seconds * 1e9))


def _attributes(step: Step) -> dict[str, Any]:
    # Lists in attributes hold one type; a score may be None, so they go as JSON.
    attributes: dict[str, Any] = {
        "vecx.stage": step.name,
        "vecx.component": step.component,
        "vecx.ids": step.ids,
        "vecx.scores": json.dumps(step.scores) if step.scores else None,
        "vecx.texts": step.texts,
        "vecx.query": step.question,
        "vecx.prompt": step.prompt,
        "vecx.answer": step.answer,
        "vecx.parameters": json.dumps(step.parameters, ensure_ascii=False)
        if step.parameters
        else None,
        "gen_ai.usage.input_tokens": step.tokens.get("prompt"),
        "gen_ai.usage.output_tokens": step.tokens.get("completion"),
        "gen_ai.request.model": step.parameters.get("model"),
        "error.type": None if step.error is None else step.error.partition(":")[0],
        **{f"vecx.count.{name}": number for name, number in step.counts.items()},
    }
    return {name: value for name, value in attributes.items() if value not in (None, [], "")}
