"""Asking several retrievers at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeAlias

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle

__all__ = ["Answer", "agather", "gather"]

Answer: TypeAlias = list[NodeWithScore] | Exception
"""What a source returned, or what it raised."""


def gather(
    sources: Mapping[str, BaseRetriever], bundles: Mapping[str, QueryBundle]
) -> dict[str, Answer]:
    """Ask each source its bundle, each in a thread, all but the last, which takes the caller's.

    Each thread has a copy of the caller's context variables, in which LlamaIndex keeps the span that it
    is in. Threads end with the call: a pool that stays would be dead in a forked child.
    """
    if not sources:
        return {}
    *others, (last, source) = sources.items()
    with ThreadPoolExecutor(max_workers=max(len(others), 1)) as pool:
        futures = {
            name: pool.submit(copy_context().run, _ask, other, bundles[name])
            for name, other in others
        }
        mine = copy_context().run(_ask, source, bundles[last])
        return {name: future.result() for name, future in futures.items()} | {last: mine}


def _ask(source: BaseRetriever, bundle: QueryBundle) -> Answer:
    try:
        return source.retrieve(bundle)
    except Exception as error:
        return error


async def agather(
    sources: Mapping[str, BaseRetriever], bundles: Mapping[str, QueryBundle]
) -> dict[str, Answer]:
    """As :func:`gather`, on the running event loop."""
    answers = await asyncio.gather(
        *(_aask(source, bundles[name]) for name, source in sources.items())
    )
    return dict(zip(sources, answers, strict=True))


async def _aask(source: BaseRetriever, bundle: QueryBundle) -> Answer:
    try:
        # LlamaIndex's default runs _retrieve on the loop, and all other sources would wait for it.
        if type(source)._aretrieve is BaseRetriever._aretrieve:
            return await asyncio.to_thread(source.retrieve, bundle)
        return await source.aretrieve(bundle)
    except Exception as error:
        return error
