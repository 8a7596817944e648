"""A small query engine, and what listens to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core import VectorStoreIndex
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    CompletionResponseGen,
    LLMMetadata,
)
from llama_index.core.llms import CustomLLM
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.postprocessor import SimilarityPostprocessor
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores import SimpleVectorStore

from llamaindex_vecx import FlatVectorStore, hybrid_query_engine
from llamaindex_vecx.observe.handler import Installed
from llamaindex_vecx.observe.steps import Step

from ..words import WordHashEmbedding

TEXTS = {
    "whale": "The whale hunted the captain across the sea",
    "bread": "Recipes for bread, butter and soup",
    "kimchi": "김치와 된장을 담그는 법",
    "stars": "Stars, planets and the telescope",
}
USAGE = {"prompt_tokens": 11, "completion_tokens": 4}
QUESTION = "who hunted the captain"


class TellingLLM(CustomLLM):
    """Answers by one sentence and says how many tokens that took; streams it word by word."""

    answer: str = "The whale did."

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="teller")

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text=self.answer, raw={"usage": USAGE})

    @llm_completion_callback()
    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        def words() -> CompletionResponseGen:
            said = ""
            for word in self.answer.split(" "):
                delta = f" {word}" if said else word
                said += delta
                yield CompletionResponse(text=said, delta=delta, raw={"usage": USAGE})

        return words()


class ChattingLLM(TellingLLM):
    """The same as a chat model, as most services are."""

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="chatter", is_chat_model=True)

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        message = ChatMessage(role="assistant", content=self.answer)
        return ChatResponse(message=message, raw={"usage": USAGE})


class Keeper(Installed):
    """Keeps traces."""

    def __init__(self, wants_texts: bool = False) -> None:
        self.traces: list[Step] = []
        self.wants_texts = wants_texts

    def chooses(self) -> bool:
        return True

    def take(self, trace: Step) -> None:
        self.traces.append(trace)

    @property
    def trace(self) -> Step:
        (trace,) = self.traces
        return trace


def index_over(store: Any) -> VectorStoreIndex:
    embed_model = WordHashEmbedding()
    if isinstance(store, SimpleVectorStore):
        nodes = [TextNode(id_=id_, text=text) for id_, text in TEXTS.items()]
        return VectorStoreIndex(nodes, embed_model=embed_model)
    index = VectorStoreIndex.from_vector_store(store, embed_model=embed_model)
    index.insert_nodes([TextNode(id_=id_, text=text) for id_, text in TEXTS.items()])
    return index


def engine(**options: Any) -> RetrieverQueryEngine:
    """Ours: hybrid retrieval, a postprocessor, an LLM that answers."""
    options.setdefault("node_postprocessors", [SimilarityPostprocessor(similarity_cutoff=0.5)])
    options.setdefault("llm", TellingLLM())
    return hybrid_query_engine(index_over(FlatVectorStore()), similarity_top_k=3, **options)


def theirs(**options: Any) -> RetrieverQueryEngine:
    """LlamaIndex's own store, retriever and engine."""
    options.setdefault("llm", TellingLLM())
    return index_over(SimpleVectorStore()).as_query_engine(similarity_top_k=3, **options)


def step(trace: Step, name: str) -> Step:
    return next(one for one in trace.walk() if one.name == name)


def names(trace: Step) -> list[str]:
    return [one.name for one in trace.walk()]
