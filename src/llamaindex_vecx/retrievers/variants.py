"""Query variants written by an LLM: other wordings of the question, or an answer to look for."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from llama_index.core import Settings
from llama_index.core.llms import LLM
from llama_index.core.schema import QueryBundle

from llamaindex_vecx.checks import check_count
from llamaindex_vecx.errors import InvalidInputError

__all__ = ["HyDE", "MultiQuery", "QueryVariants"]

MULTI_QUERY_PROMPT = """\
Write {count} other search queries for the question below. Each asks for the same thing in other words, in \
the language of the question. One query a line, nothing else.

Question: {question}
"""

HYDE_PROMPT = """\
Write a short passage that answers the question below, in the language of the question and in the style of a \
reference text. Nothing else.

Question: {question}
"""

_BULLET = re.compile(r"^\s*(?:[-*•]|\(?\d{1,2}[.):])\s*")
_QUOTES = "\"'`“”‘’"


@runtime_checkable
class QueryVariants(Protocol):
    """Makes the queries that are asked instead of one."""

    def expand(self, bundle: QueryBundle) -> list[QueryBundle]:
        """At least one bundle; the first is asked under the sources' own names."""

    async def aexpand(self, bundle: QueryBundle) -> list[QueryBundle]:
        """As ``expand``, without blocking the event loop."""


@dataclass(frozen=True)
class MultiQuery:
    """The question and other wordings of it: each source is asked all of them.

    Parameters
    ----------
    llm : LLM, optional
        None is ``Settings.llm``.
    count : int
        How many wordings beside the question.
    prompt : str
        With ``{question}`` and ``{count}``.

    Notes
    -----
    Numbers, bullets and quotation marks are taken off the lines of the answer, empty and repeated ones
    dropped. An answer without any line leaves the question alone.
    """

    llm: LLM | None = None
    count: int = 3
    prompt: str = MULTI_QUERY_PROMPT

    def __post_init__(self) -> None:
        check_count(self.count, "count")
        _check_prompt(self.prompt, "{question}", "{count}")

    def expand(self, bundle: QueryBundle) -> list[QueryBundle]:
        """The question first."""
        return self._bundles(bundle, _llm(self.llm).complete(self._asked(bundle)).text)

    async def aexpand(self, bundle: QueryBundle) -> list[QueryBundle]:
        """The question first."""
        answer = await _llm(self.llm).acomplete(self._asked(bundle))
        return self._bundles(bundle, answer.text)

    def _asked(self, bundle: QueryBundle) -> str:
        return self.prompt.replace("{count}", str(self.count)).replace(
            "{question}", bundle.query_str
        )

    def _bundles(self, bundle: QueryBundle, answer: str) -> list[QueryBundle]:
        lines = (
            _BULLET.sub("", line).strip().strip(_QUOTES).strip() for line in answer.splitlines()
        )
        wordings = dict.fromkeys(line for line in lines if line and line != bundle.query_str)
        return [bundle, *(QueryBundle(wording) for wording in list(wordings)[: self.count])]


@dataclass(frozen=True)
class HyDE:
    """A made-up answer beside the question for those who search by vector (Gao et al., arXiv 2212.10496).

    The query's vector becomes the mean of the answer's and the question's; keywords are those of the
    question alone, since an LLM's guess holds words that the truth may not.

    Parameters
    ----------
    llm : LLM, optional
        None is ``Settings.llm``.
    prompt : str
        With ``{question}``.
    """

    llm: LLM | None = None
    prompt: str = HYDE_PROMPT

    def __post_init__(self) -> None:
        _check_prompt(self.prompt, "{question}")

    def expand(self, bundle: QueryBundle) -> list[QueryBundle]:
        """One bundle."""
        return self._bundles(bundle, _llm(self.llm).complete(self._asked(bundle)).text)

    async def aexpand(self, bundle: QueryBundle) -> list[QueryBundle]:
        """One bundle."""
        return self._bundles(bundle, (await _llm(self.llm).acomplete(self._asked(bundle))).text)

    def _asked(self, bundle: QueryBundle) -> str:
        return self.prompt.replace("{question}", bundle.query_str)

    def _bundles(self, bundle: QueryBundle, answer: str) -> list[QueryBundle]:
        if not answer.strip():
            return [bundle]
        texts = [answer.strip(), *bundle.embedding_strs]
        return [replace(bundle, custom_embedding_strs=texts, embedding=None)]


def _llm(llm: LLM | None) -> LLM:
    return Settings.llm if llm is None else llm


def _check_prompt(prompt: str, *fields: str) -> None:
    missing = [field for field in fields if field not in prompt]
    if missing:
        raise InvalidInputError(f"prompt={prompt!r} lacks {', '.join(missing)}")
