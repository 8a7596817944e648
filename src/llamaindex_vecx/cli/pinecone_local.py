"""``vecx pinecone-local``: a local server that speaks Pinecone's API."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from llamaindex_vecx.cli.console import err
from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.pinecone_local import Faults, PineconeLocal
from llamaindex_vecx.pinecone_local.process import prepare

__all__ = ["pinecone_local"]


def pinecone_local(
    port: Annotated[int, typer.Option(help="On 127.0.0.1; 0 takes a free one.")] = 5080,
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Keep indexes here. Without it they are in memory.")
    ] = None,
    index: Annotated[
        str, typer.Option(help="'flat' searches exactly, 'hnsw' by a graph, for large indexes.")
    ] = "flat",
    api_key: Annotated[
        str | None,
        typer.Option(envvar="PINECONE_LOCAL_API_KEY", help="Refuse requests with another key."),
    ] = None,
    embed: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=MODEL", help="An embedding model by a name of your choice."),
    ] = None,
    rerank: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=MODEL", help="A reranking model by a name of your choice."),
    ] = None,
    collection: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A collection of ours, which POST /search then asks."),
    ] = None,
    latency: Annotated[float, typer.Option(help="Seconds that each answer waits.")] = 0.0,
    fail_rate: Annotated[float, typer.Option(help="Share of requests that get a 503.")] = 0.0,
    reset_rate: Annotated[
        float, typer.Option(help="Share of requests whose connection is cut.")
    ] = 0.0,
    throttle: Annotated[
        float, typer.Option(help="Requests a second; more get a 429. 0: no limit.")
    ] = 0.0,
    retry_after: Annotated[float, typer.Option(help="Seconds in a 429's Retry-After.")] = 1.0,
    consistency: Annotated[
        float, typer.Option(help="Seconds until a write becomes visible.")
    ] = 0.0,
    seed: Annotated[int | None, typer.Option(help="Repeat the same faults.")] = None,
) -> None:
    """Serve Pinecone's API on this machine, for development and tests."""
    faults = Faults(
        latency=latency,
        fail_rate=fail_rate,
        reset_rate=reset_rate,
        throttle=throttle,
        retry_after=retry_after,
        consistency=consistency,
        seed=seed,
    )
    server = PineconeLocal(
        port,
        directory,
        api_key=api_key,
        index=index,
        embed_models=_pairs("--embed", embed),
        rerank_models=_pairs("--rerank", rerank),
        collection=collection,
        faults=faults,
    )
    prepare()
    where = "in memory" if directory is None else f"in {directory}"
    err.print(f"pinecone-local listens on {server.url}, indexes {where}. Ctrl-C ends it.")
    server.serve()


def _pairs(option: str, given: list[str] | None) -> dict[str, str]:
    pairs = {}
    for pair in given or []:
        name, equals, model = pair.partition("=")
        if not (name and equals and model):
            raise InvalidInputError(f"{option} {pair}: write NAME=MODEL")
        pairs[name] = model
    return pairs
