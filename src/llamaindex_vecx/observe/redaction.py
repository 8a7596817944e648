"""A step as it may leave the process: without secrets, and without text that nobody wants recorded."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.observe.secrets import MARK, SecretFinder, is_secret_name
from llamaindex_vecx.observe.steps import Step

__all__ = ["DEFAULT_TEXTS", "TEXTS", "Redactor"]

TEXTS = ("questions", "answers", "errors", "prompts", "nodes")
"""Kinds of text that a step may carry."""

DEFAULT_TEXTS = ("questions", "answers", "errors")
"""Those that are recorded unless others are asked for."""

_LONGEST = 4_000
_MOST = 100
_DEEPEST = 6


class Redactor:
    """Makes copies of steps that are safe to write.

    Parameters
    ----------
    texts : collection of str
        Which of :data:`TEXTS` are kept. Of an error without ``"errors"`` its type is left.
    redact : callable, optional
        Also run over every text that is kept, after secrets are struck out.
    secrets : iterable of str
        Values that are to go wherever they stand.

    Raises
    ------
    InvalidInputError
        An unknown kind of text.
    """

    def __init__(
        self,
        texts: Collection[str] = DEFAULT_TEXTS,
        redact: Callable[[str], str] | None = None,
        secrets: Iterable[str] = (),
    ) -> None:
        given = (texts,) if isinstance(texts, str) else tuple(texts)
        unknown = [kind for kind in given if kind not in TEXTS]
        if unknown:
            raise InvalidInputError(f"texts={unknown[0]!r} must be among {', '.join(TEXTS)}")
        if redact is not None and not callable(redact):
            raise InvalidInputError(f"redact must be a function of a string, not {redact!r}")
        if isinstance(secrets, str):
            raise InvalidInputError("secrets must be a list of strings; write [secret] for one")
        self.texts: frozenset[str] = frozenset(given)
        self._redact = redact
        self._finder = SecretFinder(secrets)

    def step(self, step: Step) -> Step:
        """A copy of ``step`` and of all within it."""
        return replace(
            step,
            parameters=self.plain(step.parameters),
            counts=dict(step.counts),
            ids=[self._finder.strike(str(id_)) for id_ in step.ids],
            scores=list(step.scores),
            texts=[self.text(text) for text in step.texts] if "nodes" in self.texts else [],
            question=self._kept("questions", step.question),
            prompt=self._kept("prompts", step.prompt) if "prompts" in self.texts else None,
            answer=self._kept("answers", step.answer),
            tokens=dict(step.tokens),
            error=self._error(step.error),
            children=[self.step(child) for child in list(step.children)],
        )

    def text(self, text: str) -> str:
        """``text`` without secrets, and cut."""
        # A secret that the first cut goes through lies where the second takes it away.
        clean = self._finder.strike(text[: 2 * _LONGEST])
        if self._redact is not None:
            try:
                clean = str(self._redact(clean))
            except Exception as error:  # another's function; what it could not clean must not pass
                clean = f"[redact raised {type(error).__name__}]"
        if len(clean) > _LONGEST or len(text) > 2 * _LONGEST:
            return f"{clean[:_LONGEST]}… (of {len(text):,} characters)"
        return clean

    def plain(self, value: Any, depth: int = 0) -> Any:
        """``value`` as plain JSON, without secrets: what bears a secret's name goes, whatever it is."""
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, str):
            return self.text(value)
        if depth >= _DEEPEST:
            return f"<{type(value).__name__}>"
        if hasattr(value, "model_dump"):
            value = value.model_dump()
        if isinstance(value, Mapping):
            return {
                self.text(str(name)): MARK
                if is_secret_name(str(name)) and one is not None
                else self.plain(one, depth + 1)
                for name, one in list(value.items())[:_MOST]
            }
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self.plain(one, depth + 1) for one in list(value)[:_MOST]]
        if hasattr(value, "item") and getattr(value, "size", 0) == 1:  # a number of numpy's
            return self.plain(value.item(), depth + 1)
        return self.text(str(value))

    def _kept(self, kind: str, text: str | None) -> str | None:
        if text is None:
            return None
        return self.text(text) if kind in self.texts else f"[{len(text):,} characters]"

    def _error(self, error: str | None) -> str | None:
        if error is None:
            return None
        return self.text(error) if "errors" in self.texts else error.partition(":")[0]
