"""Asking several retrievers at the same time."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import NamedTuple, TypeAlias

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle

from llamaindex_vecx.errors import SourceError
from llamaindex_vecx.retrievers.grouped import aask_groups, ask_groups

__all__ = ["Answer", "Asked", "agather", "gather", "without_failures"]

Answer: TypeAlias = list[NodeWithScore] | Exception
"""What a source returned, or what it raised."""


class Asked(NamedTuple):
    """One question to one source."""

    source: BaseRetriever
    bundle: QueryBundle
    group_by: str | None = None
    weight: float = 1.0


def gather(questions: Mapping[str, Asked]) -> dict[str, Answer]:
    """Ask each question, each in a thread, all but the last, which takes the caller's.

    Each thread has a copy of the caller's context variables, in which LlamaIndex keeps the span that it
    is in. Threads end with the call: a pool that stays would be dead in a forked child.
    """
    if not questions:
        return {}
    *others, (last, asked) = questions.items()
    with ThreadPoolExecutor(max_workers=max(len(others), 1)) as pool:
        futures = {
            name: pool.submit(copy_context().run, _ask, question) for name, question in others
        }
        mine = copy_context().run(_ask, asked)
        return {name: future.result() for name, future in futures.items()} | {last: mine}


def _ask(asked: Asked) -> Answer:
    try:
        if asked.group_by is not None:
            return ask_groups(asked.source, asked.bundle, asked.group_by)
        return asked.source.retrieve(asked.bundle)
    except Exception as error:
        return error


async def agather(questions: Mapping[str, Asked]) -> dict[str, Answer]:
    """As :func:`gather`, on the running event loop."""
    answers = await asyncio.gather(*map(_aask, questions.values()))
    return dict(zip(questions, answers, strict=True))


async def _aask(asked: Asked) -> Answer:
    # LlamaIndex's default runs _retrieve on the loop, and all other sources would wait for it.
    if type(asked.source)._aretrieve is BaseRetriever._aretrieve:
        return await asyncio.to_thread(_ask, asked)
    try:
        if asked.group_by is not None:
            return await aask_groups(asked.source, asked.bundle, asked.group_by)
        return await asked.source.aretrieve(asked.bundle)
    except Exception as error:
        return error


def without_failures(
    questions: Mapping[str, Asked], answers: Mapping[str, Answer], on_error: str
) -> dict[str, list[NodeWithScore]]:
    """What was found; a failure raises, or is left out with a warning.

    Raises
    ------
    SourceError
        A source failed and ``on_error`` is ``"raise"``, or no source is left.
    """
    found: dict[str, list[NodeWithScore]] = {}
    failed: dict[str, Exception] = {}
    for name in questions:
        answer = answers[name]
        if isinstance(answer, Exception):
            failed[name] = answer
        else:
            found[name] = answer
    for name, error in failed.items():
        message = f"source {name!r} failed: {type(error).__name__}: {error}"
        if on_error == "raise" or not found:
            raise SourceError(name, message) from error
        warnings.warn(f"{message}. It was left out of this query", RuntimeWarning, stacklevel=2)
    return found
