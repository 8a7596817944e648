"""Spans and events of LlamaIndex's dispatcher, put together to one tree of steps a query.

There is one recorder for all handlers. It works in the threads of the queries, so it copies what may change
and leaves everything else to whoever takes the tree.
"""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, Protocol

from llama_index.core.base.response.schema import AsyncStreamingResponse
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.instrumentation.span import BaseSpan, active_span_id
from llama_index.core.instrumentation.span_handlers import BaseSpanHandler

from llamaindex_vecx.observe.reading import LLM_ENDS, LLM_STARTS, READERS, STREAMS, note_nodes
from llamaindex_vecx.observe.steps import Step

__all__ = ["Taker", "Trees", "attach", "detach", "trees"]

_UUID = 37  # of a span's id, with the hyphen before it
_MOST_HELD = 100
"""Trees that wait for their answer to be read."""

_NAMES = {
    "aquery": "query",
    "aretrieve": "retrieve",
    "asynthesize": "synthesize",
    "aget_response": "get_response",
    **dict.fromkeys(("predict", "apredict", "stream", "astream", "complete", "acomplete"), "llm"),
    **dict.fromkeys(("chat", "achat", "stream_complete", "astream_complete"), "llm"),
    **dict.fromkeys(("stream_chat", "astream_chat"), "llm"),
    **dict.fromkeys(("structured_predict", "astructured_predict"), "llm"),
    **dict.fromkeys(("get_query_embedding", "aget_query_embedding"), "embed"),
    **dict.fromkeys(("get_text_embedding", "aget_text_embedding"), "embed"),
    **dict.fromkeys(("get_text_embedding_batch", "aget_text_embedding_batch"), "embed"),
    **dict.fromkeys(("get_agg_embedding_from_queries", "aget_agg_embedding_from_queries"), "embed"),
}
_WITHIN = frozenset(("get_response", "split_text", "split_texts"))
"""Spans that say nothing beside what is around them and within them."""


class Taker(Protocol):
    """Whoever takes finished trees. ``take`` is called in the query's thread."""

    wants_texts: bool

    def chooses(self) -> bool:
        """Whether the query that begins now is one to record."""

    def take(self, trace: Step) -> None:
        """A tree that is finished."""


class _Open:
    """A step under way, and whose it is."""

    __slots__ = (
        "after",
        "began",
        "calls",
        "owner",
        "parent",
        "retrieved",
        "root",
        "step",
        "takers",
    )

    def __init__(self, step: Step, parent: _Open | None, takers: list[Taker], owner: str) -> None:
        self.step = step
        self.parent = parent
        self.root: _Open = self if parent is None else parent.root
        self.takers = takers
        self.owner = owner
        self.began = time.perf_counter()
        self.after = ""  # of a query engine: names of its postprocessors
        self.retrieved = 0.0  # and when its retriever was done
        self.calls: set[str] = set()  # of a root: spans of LLM calls without an answer yet


_SKIPPED = _Open(Step("", "", 0.0), None, [], "")
"""Stands for every span of a query that nobody chose."""


class Trees:
    """The trees under way. Dictionaries and lists change in one step each, so threads need no lock."""

    def __init__(self) -> None:
        self.takers: list[Taker] = []
        self._open: dict[str, _Open] = {}
        self._calls: dict[str, _Open] = {}
        self._held: dict[str, _Open] = {}
        self._reranks: dict[str, Step] = {}

    def step_of(self, span_id: str | None) -> Step | None:
        """The step that a span belongs to, if it is recorded."""
        opened = self._open.get(span_id or "")
        return None if opened is None or opened is _SKIPPED else opened.step

    def enter(
        self, id_: str, bound_args: inspect.BoundArguments, instance: Any, parent_id: str | None
    ) -> None:
        """Begin a step, or go on with the one around where the span says nothing of its own."""
        parent = self._open.get(parent_id or "")
        if parent is _SKIPPED:
            self._open[id_] = parent
            return
        component, _, method = id_[:-_UUID].rpartition(".")
        name = _NAMES.get(method, method)
        if parent is None:
            takers = [taker for taker in self.takers if taker.chooses()]
            if not takers:
                self._open[id_] = _SKIPPED
                return
            plain = method.lstrip("_")
            name = _NAMES.get(plain, plain)
        elif (
            method.startswith("_")
            or name in _WITHIN
            or (name == parent.step.name and component == parent.step.component)
        ):
            self._open[id_] = parent
            return
        else:
            takers = parent.takers
        step = Step(name, component, time.time())
        begun = _Open(step, parent, takers, id_)
        if name == "query":
            processors = getattr(instance, "_node_postprocessors", None)
            if processors:
                begun.after = "+".join(type(one).__name__ for one in processors)
        elif name == "synthesize":
            note_nodes(step, bound_args.arguments.get("nodes") or (), _with_text(takers))
            if parent is not None and parent.after:
                _note_postprocessors(parent, begun)
        if parent is not None:
            parent.step.children.append(step)
        self._open[id_] = begun

    def leave(self, id_: str, result: Any = None, error: BaseException | None = None) -> None:
        """End a step; hand the tree on if it was the outermost."""
        opened = self._open.pop(id_, None)
        if opened is None or opened is _SKIPPED:
            return
        step, parent = opened.step, opened.parent
        if error is not None and step.error is None:
            step.error = f"{type(error).__name__}: {error}"
        if opened.owner != id_:
            return
        now = time.perf_counter()
        step.seconds = now - opened.began
        if parent is not None:
            if step.name == "retrieve" and parent.after:
                parent.retrieved = now
        elif isinstance(result, STREAMS):
            self._hold(opened, result)
        else:
            self._hand_on(opened)

    def _hold(self, root: _Open, response: Any) -> None:
        """Keep a tree until its answer was read, and note the answer on the way."""
        self._open[root.owner] = root  # the LLM may be called only when somebody reads
        self._held[root.owner] = root
        watch = self._awatched if isinstance(response, AsyncStreamingResponse) else self._watched
        response.response_gen = watch(root, response.response_gen)
        while len(self._held) > _MOST_HELD:
            self._hand_on(self._held[next(iter(self._held))])

    def _watched(self, root: _Open, tokens: Iterator[str]) -> Iterator[str]:
        said: list[str] = []
        try:
            while True:
                inside = active_span_id.set(root.owner)
                try:
                    token = next(tokens, None)
                finally:
                    active_span_id.reset(inside)
                if token is None:
                    return
                said.append(token)
                yield token
        except Exception as error:
            root.step.error = f"{type(error).__name__}: {error}"
            raise
        finally:
            self._read(root, said)

    async def _awatched(self, root: _Open, tokens: AsyncIterator[str]) -> AsyncIterator[str]:
        said: list[str] = []
        try:
            while True:
                inside = active_span_id.set(root.owner)
                try:
                    token = await anext(tokens, None)
                finally:
                    active_span_id.reset(inside)
                if token is None:
                    return
                said.append(token)
                yield token
        except Exception as error:
            root.step.error = f"{type(error).__name__}: {error}"
            raise
        finally:
            self._read(root, said)

    def _read(self, root: _Open, said: list[str]) -> None:
        if root.owner in self._held:
            root.step.answer = "".join(said)
            self._hand_on(root)

    def _hand_on(self, root: _Open) -> None:
        if self._held.pop(root.owner, None) is not None:
            self._open.pop(root.owner, None)
        for span in root.calls:
            self._calls.pop(span, None)
        for taker in root.takers:
            taker.take(root.step)

    def release(self) -> None:
        """Give up waiting for answers that are still streamed."""
        for root in list(self._held.values()):
            self._hand_on(root)

    def forget(self) -> None:
        """Drop what is under way."""
        self._open.clear()
        self._calls.clear()
        self._reranks.clear()

    def hear(self, event: BaseEvent) -> None:
        """Note what an event says on the step that it belongs to."""
        kind = type(event)
        read = READERS.get(kind)
        span = event.span_id or ""
        if kind in LLM_ENDS and span in self._calls:
            self._answered(span, event)
            return
        opened = self._open.get(span)
        if opened is None or opened is _SKIPPED:
            return
        if kind is ReRankStartEvent or kind is ReRankEndEvent:
            self._rerank(opened, span, event)
        elif read is not None:
            read(opened.step, event, _with_text(opened.takers))
            if kind in LLM_STARTS:
                self._calls[span] = opened
                opened.root.calls.add(span)

    def _answered(self, span: str, event: BaseEvent) -> None:
        """An LLM is done, perhaps long after its span has ended: it streamed."""
        opened = self._calls.pop(span)
        opened.root.calls.discard(span)
        opened.step.seconds = time.perf_counter() - opened.began
        READERS[type(event)](opened.step, event, False)

    def _rerank(self, opened: _Open, span: str, event: Any) -> None:
        """LlamaIndex's LLM rerankers: a pair of events, no span."""
        if isinstance(event, ReRankStartEvent):
            step = Step("rerank", opened.after, time.time())
            step.parameters.update(model=event.model_name, top_n=event.top_n)
            opened.step.children.append(step)
            self._reranks[span] = step
            return
        begun = self._reranks.pop(span, None)
        if begun is not None:
            begun.seconds = time.time() - begun.started
            note_nodes(begun, event.nodes, _with_text(opened.takers))


trees: Trees = Trees()
"""The one for all handlers."""


class _Spans(BaseSpanHandler[BaseSpan]):
    """Passes spans on. State is kept elsewhere: a pydantic model takes a microsecond to look up its own."""

    @classmethod
    def class_name(cls) -> str:
        return "VecxSpans"

    def span_enter(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,
        instance: Any | None = None,
        parent_id: str | None = None,
        tags: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        trees.enter(id_, bound_args, instance, parent_id)

    def span_exit(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,
        instance: Any | None = None,
        result: Any | None = None,
        **kwargs: Any,
    ) -> None:
        trees.leave(id_, result=result)

    def span_drop(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,
        instance: Any | None = None,
        err: BaseException | None = None,
        **kwargs: Any,
    ) -> None:
        trees.leave(id_, error=err)

    def new_span(self, *args: Any, **kwargs: Any) -> None:
        """Asked for by the base class; steps are no spans of LlamaIndex's."""

    def prepare_to_exit_span(self, *args: Any, **kwargs: Any) -> None:
        """See :meth:`new_span`."""

    def prepare_to_drop_span(self, *args: Any, **kwargs: Any) -> None:
        """See :meth:`new_span`."""


class _Events(BaseEventHandler):
    """Passes events on."""

    @classmethod
    def class_name(cls) -> str:
        return "VecxEvents"

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:
        trees.hear(event)


def _with_text(takers: list[Taker]) -> bool:
    return any(taker.wants_texts for taker in takers)


def _note_postprocessors(query: _Open, synthesis: _Open) -> None:
    """What happened to the nodes between retrieval and synthesis, where nothing else says so.

    LlamaIndex gives no span or event to node postprocessors, rerankers among them.
    """
    told = any(child.name == "rerank" for child in query.step.children)
    if told or not query.retrieved:
        return
    seconds = synthesis.began - query.retrieved
    step = Step("postprocess", query.after, synthesis.step.started - seconds, seconds)
    step.ids, step.scores = list(synthesis.step.ids), list(synthesis.step.scores)
    step.counts["nodes"] = len(step.ids)
    query.step.children.append(step)


_spans, _events = _Spans(), _Events()
_lock = threading.Lock()


def attach(taker: Taker) -> None:
    """Give ``taker`` every tree from now on. Twice is as once."""
    root = get_dispatcher()
    with _lock:
        # New lists: a query in another thread may be walking the old ones.
        if not any(one is taker for one in trees.takers):
            trees.takers = [*trees.takers, taker]
        if not any(one is _spans for one in root.span_handlers):
            root.span_handlers = [*root.span_handlers, _spans]
        if not any(one is _events for one in root.event_handlers):
            root.event_handlers = [*root.event_handlers, _events]


def detach(taker: Taker) -> None:
    """Give ``taker`` no more trees. With the last one gone, nobody listens."""
    root = get_dispatcher()
    with _lock:
        trees.release()
        trees.takers = [one for one in trees.takers if one is not taker]
        if not trees.takers:
            root.span_handlers = [one for one in root.span_handlers if one is not _spans]
            root.event_handlers = [one for one in root.event_handlers if one is not _events]
            trees.forget()
