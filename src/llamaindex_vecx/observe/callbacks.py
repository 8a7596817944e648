"""The legacy way in: LlamaIndex's ``CallbackManager``, for apps that still use it."""

from __future__ import annotations

import time
from typing import Any

from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.callbacks.schema import CBEventType, EventPayload
from llama_index.core.instrumentation.span import active_span_id

from llamaindex_vecx.observe.reading import STREAMS, note_nodes, said, usage
from llamaindex_vecx.observe.recorder import Taker, trees
from llamaindex_vecx.observe.steps import Step

__all__ = ["StepCallbacks"]

_NAMES = {
    CBEventType.EMBEDDING: "embed",
    CBEventType.RERANKING: "rerank",
    CBEventType.NODE_PARSING: "parse",
    CBEventType.CHUNKING: "chunk",
}
_SPANS_TELL = frozenset(
    (
        CBEventType.QUERY,
        CBEventType.RETRIEVE,
        CBEventType.EMBEDDING,
        CBEventType.SYNTHESIZE,
        CBEventType.LLM,
        CBEventType.TEMPLATING,
        CBEventType.CHUNKING,
        CBEventType.EXCEPTION,
    )
)
_SKIPPED = Step("", "", 0.0)
_MOST = 10_000


class StepCallbacks(BaseCallbackHandler):
    """Makes steps of callback events.

    Parameters
    ----------
    taker : Taker
        Given a tree when its outermost event has ended.
    """

    def __init__(self, taker: Taker) -> None:
        super().__init__(event_starts_to_ignore=[], event_ends_to_ignore=[])
        self._taker = taker
        self._open: dict[str, tuple[Step, bool, float]] = {}

    def on_event_start(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        parent_id: str = "",
        **kwargs: Any,
    ) -> str:
        """Begin a step."""
        around = trees.step_of(active_span_id.get())
        if around is not None and event_type in _SPANS_TELL:
            return event_id
        parent = self._open.get(parent_id)
        if event_type is CBEventType.EXCEPTION:  # begins and never ends
            self._note(_SKIPPED if parent is None else parent[0], payload or {})
            return event_id
        outermost = parent is None and around is None
        step = self._step(event_type, payload or {})
        if outermost and not self._taker.chooses():
            step = _SKIPPED
        if parent is not None:
            if parent[0] is _SKIPPED:
                step = _SKIPPED
            else:
                parent[0].children.append(step)
        elif around is not None:
            around.children.append(step)
        if len(self._open) < _MOST:
            self._open[event_id] = (step, outermost, time.perf_counter())
        return event_id

    def on_event_end(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        **kwargs: Any,
    ) -> None:
        """End a step; hand the tree on if it was the outermost."""
        step, outermost, began = self._open.pop(event_id, (_SKIPPED, False, 0.0))
        if step is _SKIPPED:
            return
        step.seconds = time.perf_counter() - began
        self._note(step, payload or {})
        if outermost:
            self._taker.take(step)

    def start_trace(self, trace_id: str | None = None) -> None:
        """Nothing to do: a tree begins with its first event."""

    def end_trace(
        self, trace_id: str | None = None, trace_map: dict[str, list[str]] | None = None
    ) -> None:
        """Nothing to do: a tree ends with its first event."""

    def _step(self, event_type: CBEventType, payload: dict[str, Any]) -> Step:
        name = _NAMES.get(event_type, event_type.value)
        serialized = payload.get(EventPayload.SERIALIZED) or {}
        step = Step(name, str(serialized.get("class_name", "")), time.time())
        model = payload.get(EventPayload.MODEL_NAME) or serialized.get("model_name")
        if model or serialized.get("model"):
            step.parameters["model"] = str(model or serialized["model"])
        if payload.get(EventPayload.TOP_K) is not None:
            step.parameters["top_k"] = payload[EventPayload.TOP_K]
        if payload.get(EventPayload.QUERY_STR) is not None:
            step.question = said(payload[EventPayload.QUERY_STR])
        if payload.get(EventPayload.MESSAGES):
            step.prompt = "\n".join(map(str, payload[EventPayload.MESSAGES]))
        elif payload.get(EventPayload.PROMPT) is not None:
            step.prompt = str(payload[EventPayload.PROMPT])
        self._note(step, payload)
        return step

    def _note(self, step: Step, payload: dict[str, Any]) -> None:
        if step is _SKIPPED:
            return
        error = payload.get(EventPayload.EXCEPTION)
        if error is not None:
            step.error = f"{type(error).__name__}: {error}"
        nodes = payload.get(EventPayload.NODES)
        if nodes and hasattr(nodes[0], "score"):
            note_nodes(step, nodes, self._taker.wants_texts)
        chunks = payload.get(EventPayload.CHUNKS)
        if chunks is not None:
            step.counts["texts"] = len(chunks)
        response = payload.get(EventPayload.RESPONSE)
        if response is None:
            response = payload.get(EventPayload.COMPLETION)
        if response is not None and not isinstance(response, STREAMS):
            step.answer = str(response)
            step.tokens = usage(response)
