"""The event model: one :class:`StageEvent` for each thing that a store or retriever does.

A stage is a span of LlamaIndex's dispatcher, and its event is sent from within: any ``BaseEventHandler`` or
``BaseSpanHandler`` on the root dispatcher gets both, and what a stage calls lies under it. Building an event
costs tens of microseconds, a query may take no more: nothing is built where nobody listens.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from contextvars import Token
from inspect import BoundArguments, Parameter, Signature
from time import perf_counter
from types import TracebackType
from typing import Any
from uuid import uuid4

from llama_index.core.bridge.pydantic import Field
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]
from llama_index.core.instrumentation.event_handlers import NullEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.span import active_span_id
from llama_index.core.instrumentation.span_handlers import NullSpanHandler

__all__ = ["StageEvent", "stage"]

_dispatcher = get_dispatcher(__name__)
_PARAMETERS = Signature([Parameter("parameters", Parameter.VAR_KEYWORD)])


class StageEvent(BaseEvent):
    """One stage of a write or of a query has ended, well or with an error."""

    stage: str = Field(description="What was done: add, delete, query, fuse, …")
    component: str = Field(description="Name of the class that did it.")
    seconds: float = Field(description="Wall-clock time of the stage.")
    parameters: dict[str, Any] = Field(default_factory=dict, description="As asked for.")
    counts: dict[str, int] = Field(default_factory=dict, description="Nodes in, nodes out, …")
    ids: list[str] = Field(default_factory=list, description="Node ids of the result, best first.")
    scores: list[float] = Field(default_factory=list, description="Their scores.")
    error: str | None = Field(default=None, description="Type and message of what was raised.")

    @classmethod
    def class_name(cls) -> str:
        """The name that LlamaIndex's serialised events carry."""
        return "VecxStageEvent"


def _somebody_listens() -> bool:
    dispatcher = _dispatcher
    while True:
        for event_handler in dispatcher.event_handlers:
            if not isinstance(event_handler, NullEventHandler):
                return True
        for span_handler in dispatcher.span_handlers:
            if not isinstance(span_handler, NullSpanHandler):
                return True
        if not dispatcher.propagate or not dispatcher.parent_name:
            return False
        dispatcher = dispatcher.parent


class stage:  # noqa: N801 - used like a function: ``with stage("query", self) as done:``
    """Time a block and emit its :class:`StageEvent`, also when it raises.

    >>> with stage("query", store, mode="default", top_k=5) as done:
    ...     nodes, scores = ...
    ...     done(ids=[node.node_id for node in nodes], scores=scores)

    What is given to ``done`` lands in the event; ``counts`` are keyword integers of its own.
    """

    __slots__ = (
        "_component",
        "_counts",
        "_ids",
        "_name",
        "_parameters",
        "_scores",
        "_span",
        "_start",
        "_token",
    )

    def __init__(self, name: str, component: object, **parameters: Any) -> None:
        self._name = name
        self._component = component
        self._parameters = parameters
        self._ids: Sequence[str] = ()
        self._scores: Sequence[float] = ()
        self._counts: dict[str, int] = {}
        self._span: str | None = None
        self._token: Token[str | None]

    def __enter__(self) -> stage:
        if _somebody_listens():
            self._open()
        self._start = perf_counter()
        return self

    def __call__(
        self, *, ids: Sequence[str] = (), scores: Sequence[float] = (), **counts: int
    ) -> None:
        """Note the outcome, for the event."""
        self._ids, self._scores, self._counts = ids, scores, counts

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._span is not None:
            self._close(perf_counter() - self._start, error)

    def _open(self) -> None:
        self._span = f"{type(self._component).__name__}.{self._name}-{uuid4()}"
        parent = active_span_id.get()
        self._token = active_span_id.set(self._span)
        _dispatcher.span_enter(
            id_=self._span,
            bound_args=self._arguments(),
            instance=self._component,
            parent_id=parent,
        )

    def _close(self, seconds: float, error: BaseException | None) -> None:
        assert self._span is not None
        event = StageEvent(
            stage=self._name,
            component=type(self._component).__name__,
            seconds=seconds,
            parameters=self._parameters,
            counts=self._counts,
            ids=list(self._ids),
            scores=[float(score) for score in self._scores],
            error=None if error is None else f"{type(error).__name__}: {error}",
            span_id=self._span,
        )
        _dispatcher.event(event)
        bound = self._arguments()
        if error is None:
            _dispatcher.span_exit(
                id_=self._span, bound_args=bound, instance=self._component, result=event
            )
        else:
            _dispatcher.span_drop(
                id_=self._span, bound_args=bound, instance=self._component, err=error
            )
        with suppress(ValueError):  # a coroutine that is thrown away is closed in another context
            active_span_id.reset(self._token)

    def _arguments(self) -> BoundArguments:
        return BoundArguments(_PARAMETERS, OrderedDict(parameters=self._parameters))
