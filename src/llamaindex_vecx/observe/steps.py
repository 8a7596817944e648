"""One query as a tree of steps: what every handler is given, whatever the events came from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Step"]

_ASKING = frozenset(("query", "retrieve", "search", "synthesize", "llm", "chat", "stream_chat"))
_RANKING = frozenset(("retrieve", "search", "fuse", "rerank", "postprocess", "synthesize"))


@dataclass(slots=True)
class Step:
    """A step of a query or of a write, and the steps within it.

    Attributes
    ----------
    name : str
        ``"query"``, ``"retrieve"``, ``"embed"``, ``"search"`` (in a store or keyword index), ``"fuse"``,
        ``"rerank"``, ``"synthesize"``, ``"llm"``, ``"add"``, ``"delete"``, …
    component : str
        Name of the class that did it.
    started : float
        Unix time in seconds.
    seconds : float
        Wall-clock time.
    parameters, counts : dict
        As in :class:`~llamaindex_vecx.observe.StageEvent`.
    ids, scores : list
        Of the nodes that came out, best first; the place in the list is the rank. A score may be None.
    texts : list of str
        Of these nodes, where a handler asked for them.
    question, prompt, answer : str, optional
    tokens : dict
        ``"prompt"`` and ``"completion"``, as the LLM said; with ``"counted": 1`` where it said nothing
        and they were counted here.
    error : str, optional
        Type and message of what was raised.
    children : list of Step
        In the order in which they began.
    """

    name: str
    component: str
    started: float
    seconds: float = 0.0
    parameters: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    ids: list[str] = field(default_factory=list)
    scores: list[float | None] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    question: str | None = None
    prompt: str | None = None
    answer: str | None = None
    tokens: dict[str, int] = field(default_factory=dict)
    error: str | None = None
    children: list[Step] = field(default_factory=list)

    def walk(self) -> Iterator[Step]:
        """This step and all within it, outer before inner."""
        yield self
        for child in self.children:
            yield from child.walk()

    @property
    def top_score(self) -> float | None:
        """The score of the best node that came out, where there is one with a score."""
        scores = self.results().scores
        return scores[0] if scores else None

    def inputs(self) -> dict[str, Any]:
        """What went in: parameters, question and prompt, as far as there are any."""
        inputs = dict(self.parameters)
        if self.question is not None:
            inputs["query"] = self.question
        if self.prompt is not None:
            inputs["prompt"] = self.prompt
        return inputs

    @property
    def is_query(self) -> bool:
        """Whether something was asked, and not written."""
        return self.question is not None or self.name in _ASKING

    def first_error(self) -> str | None:
        """This step's error, else the first of a step within."""
        return next((step.error for step in self.walk() if step.error), None)

    def seconds_by_stage(self) -> dict[str, float]:
        """Seconds of all steps within, by name; one within another of its name counts once."""
        total: dict[str, float] = {}
        for child in self.children:
            child._add_seconds(total, frozenset())
        return total

    def _add_seconds(self, total: dict[str, float], around: frozenset[str]) -> None:
        if self.name not in around:
            total[self.name] = total.get(self.name, 0.0) + self.seconds
        for child in self.children:
            child._add_seconds(total, around | {self.name})

    def results(self) -> Step:
        """The step whose nodes are what came out: this one, or the last within that has any."""
        if self.ids:
            return self
        ranked = [child for child in self.children if child.ids and child.name in _RANKING]
        return ranked[-1] if ranked else self

    def total_tokens(self) -> dict[str, int]:
        """Tokens of this step and all within it."""
        total: dict[str, int] = {}
        for step in self.walk():
            for kind, number in step.tokens.items():
                if kind != "counted":
                    total[kind] = total.get(kind, 0) + number
        return total
