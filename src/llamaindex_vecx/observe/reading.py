"""What LlamaIndex's events say, noted on a step.

This runs in the thread of the query. A reranker may later overwrite the scores of the very nodes that a
retriever returned, so ids and scores are copied at once; everything else is left for later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from llama_index.core.base.response.schema import AsyncStreamingResponse, StreamingResponse
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.events.embedding import EmbeddingEndEvent, EmbeddingStartEvent
from llama_index.core.instrumentation.events.exception import ExceptionEvent
from llama_index.core.instrumentation.events.llm import (
    LLMChatEndEvent,
    LLMChatStartEvent,
    LLMCompletionEndEvent,
    LLMCompletionStartEvent,
)
from llama_index.core.instrumentation.events.query import QueryEndEvent, QueryStartEvent
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent
from llama_index.core.instrumentation.events.retrieval import RetrievalEndEvent, RetrievalStartEvent
from llama_index.core.instrumentation.events.synthesis import (
    SynthesizeEndEvent,
    SynthesizeStartEvent,
)
from llama_index.core.schema import NodeWithScore

from llamaindex_vecx.observe.events import StageEvent
from llamaindex_vecx.observe.steps import Step

__all__ = ["LLM_ENDS", "LLM_STARTS", "READERS", "STREAMS", "note_nodes", "said", "usage"]

LLM_STARTS = frozenset((LLMChatStartEvent, LLMCompletionStartEvent))
LLM_ENDS = frozenset((LLMChatEndEvent, LLMCompletionEndEvent))
STREAMS = (StreamingResponse, AsyncStreamingResponse)


def note_nodes(step: Step, nodes: Iterable[NodeWithScore], with_text: bool) -> None:
    """Copy ids and scores, and texts where they are wanted."""
    nodes = list(nodes)
    step.ids = [hit.node.node_id for hit in nodes]
    step.scores = [None if hit.score is None else float(hit.score) for hit in nodes]
    step.counts["nodes"] = len(nodes)
    if with_text:
        step.texts = [hit.node.get_content() for hit in nodes]


def said(query: Any) -> str:
    """The text of a query, which is a string or a bundle."""
    return query if isinstance(query, str) else str(getattr(query, "query_str", query))


def _stage(step: Step, event: Any, with_text: bool) -> None:
    # A query engine's step is "query" already; that of a store or keyword index goes by another name.
    step.name = "search" if event.stage == "query" else event.stage
    step.parameters.update(event.parameters)
    step.counts.update(event.counts)
    step.ids, step.scores = event.ids, list(event.scores)
    step.error = event.error


def _question(step: Step, event: Any, with_text: bool) -> None:
    step.question = said(event.query)


def _retrieval_question(step: Step, event: Any, with_text: bool) -> None:
    step.question = said(event.str_or_query_bundle)


def _nodes(step: Step, event: Any, with_text: bool) -> None:
    note_nodes(step, event.nodes, with_text)


def _answer(step: Step, event: Any, with_text: bool) -> None:
    if isinstance(event.response, STREAMS):
        return
    text = getattr(event.response, "response", event.response)
    if text is None or isinstance(text, str):
        step.answer = text
    elif hasattr(text, "model_dump_json"):
        step.answer = text.model_dump_json()


def _model(step: Step, event: Any, with_text: bool) -> None:
    name = event.model_dict.get("model_name") or event.model_dict.get("model")
    if name:
        step.parameters["model"] = str(name)


def _embedded(step: Step, event: Any, with_text: bool) -> None:
    step.counts["texts"] = step.counts.get("texts", 0) + len(event.chunks)
    if event.embeddings:
        step.counts["dimensions"] = len(event.embeddings[0])


def _completion_asked(step: Step, event: Any, with_text: bool) -> None:
    _model(step, event, with_text)
    step.prompt = event.prompt


def _chat_asked(step: Step, event: Any, with_text: bool) -> None:
    _model(step, event, with_text)
    step.prompt = "\n".join(str(message) for message in event.messages)


def _completed(step: Step, event: Any, with_text: bool) -> None:
    if event.response is not None:
        step.answer = event.response.text
        step.tokens = usage(event.response) or step.tokens


def _chatted(step: Step, event: Any, with_text: bool) -> None:
    if event.response is not None:
        step.answer = event.response.message.content
        step.tokens = usage(event.response) or step.tokens


def _failed(step: Step, event: Any, with_text: bool) -> None:
    step.error = f"{type(event.exception).__name__}: {event.exception}"


def usage(response: Any) -> dict[str, int]:
    """Tokens as the LLM counted them, under the names that services give them; empty where they aren't told.

    OpenAI and most others: ``prompt_tokens``, ``completion_tokens``; Anthropic: ``input_tokens``,
    ``output_tokens``; Gemini: ``prompt_token_count``, ``candidates_token_count``.
    """
    raw = getattr(response, "raw", None)
    told = [_get(raw, "usage"), _get(raw, "usage_metadata"), raw]
    told.append(getattr(response, "additional_kwargs", None))
    for source in told:
        prompt = _first(source, ("prompt_tokens", "input_tokens", "prompt_token_count"))
        completion = _first(
            source, ("completion_tokens", "output_tokens", "candidates_token_count")
        )
        if prompt is not None or completion is not None:
            return {"prompt": prompt or 0, "completion": completion or 0}
    return {}


def _get(source: Any, name: str) -> Any:
    return source.get(name) if isinstance(source, dict) else getattr(source, name, None)


def _first(source: Any, names: tuple[str, ...]) -> int | None:
    for name in names:
        value = _get(source, name)
        if isinstance(value, int):
            return value
    return None


READERS: dict[type[BaseEvent], Callable[[Step, Any, bool], None]] = {
    StageEvent: _stage,
    QueryStartEvent: _question,
    QueryEndEvent: _answer,
    RetrievalStartEvent: _retrieval_question,
    RetrievalEndEvent: _nodes,
    ReRankEndEvent: _nodes,
    SynthesizeStartEvent: _question,
    SynthesizeEndEvent: _answer,
    EmbeddingStartEvent: _model,
    EmbeddingEndEvent: _embedded,
    LLMCompletionStartEvent: _completion_asked,
    LLMCompletionEndEvent: _completed,
    LLMChatStartEvent: _chat_asked,
    LLMChatEndEvent: _chatted,
    ExceptionEvent: _failed,
}
"""How each event is noted: ``reader(step, event, with_text)``."""
