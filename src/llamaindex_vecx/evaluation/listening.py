"""What a query does inside: the time of its stages and what it embeds, heard on LlamaIndex's dispatcher."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events.embedding import (
    EmbeddingEndEvent,
    EmbeddingStartEvent,
)
from llama_index.core.utils import get_tokenizer

from llamaindex_vecx.observe import StageEvent

__all__ = ["Heard", "listening"]

_STAGES = {"default": "dense", "mmr": "dense", "text_search": "bm25", "sparse": "bm25"}


class Heard(BaseEventHandler):
    """Notes stages of one query."""

    seconds: dict[str, float] = Field(default_factory=dict)
    embedded: list[str] = Field(default_factory=list)
    _embedding_since: float = PrivateAttr(default=0.0)

    def handle(self, event: Any, **kwargs: Any) -> None:
        """Take a stage's time or an embedding's text; other events are somebody else's."""
        if isinstance(event, StageEvent):
            name = event.stage
            if name == "query":
                mode = str(event.parameters.get("mode"))
                name = _STAGES.get(mode, mode)
            self._add(name, event.seconds)
        elif isinstance(event, EmbeddingStartEvent):
            self._embedding_since = time.perf_counter()
        elif isinstance(event, EmbeddingEndEvent):
            self._add("embed", time.perf_counter() - self._embedding_since)
            self.embedded += event.chunks

    def _add(self, name: str, seconds: float) -> None:
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def count_tokens(self) -> int:
        """Tokens of what was embedded, by LlamaIndex's tokenizer."""
        if not self.embedded:
            return 0
        tokenize = get_tokenizer()
        return sum(len(tokenize(text)) for text in self.embedded)


@contextmanager
def listening() -> Iterator[Heard]:
    """Hear every event of this process meanwhile."""
    root, heard = get_dispatcher(), Heard()
    root.add_event_handler(heard)
    try:
        yield heard
    finally:
        root.event_handlers.remove(heard)
