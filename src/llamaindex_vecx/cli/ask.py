"""``vecx ask``: a question to a collection."""

from __future__ import annotations

import re
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from llama_index.core.base.embeddings.base import BaseEmbedding
from rich.text import Text

from llamaindex_vecx.cli import models
from llamaindex_vecx.cli.answers import ask_store
from llamaindex_vecx.cli.console import err, out, print_json, print_note
from llamaindex_vecx.cli.filters import parse_filters
from llamaindex_vecx.cli.models import NOTE_KEY, ModelNote, choose_model
from llamaindex_vecx.cli.opening import open_store
from llamaindex_vecx.cli.passages import render_answer
from llamaindex_vecx.errors import EmptyQueryError, InvalidInputError
from llamaindex_vecx.stores.local import LocalVectorStore

__all__ = ["ask", "is_korean", "model_of"]


class Mode(str, Enum):
    """How to search."""

    hybrid = "hybrid"
    default = "default"
    text_search = "text_search"


def ask(
    question: Annotated[str, typer.Argument(help="In any language the collection is in.")],
    source: Annotated[Path, typer.Option("--from", metavar="DIR", help="The collection.")],
    top_k: Annotated[int, typer.Option(min=1, help="Passages to show.")] = 5,
    mode: Annotated[
        Mode, typer.Option(help="Both sides fused; the vectors alone; BM25 alone (no model).")
    ] = Mode.hybrid,
    conditions: Annotated[
        list[str] | None,
        typer.Option("--filter", metavar="KEY=VALUE", help="On metadata; may be repeated."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME_OR_FOLDER", help="Only where the collection records none."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Show the passages that answer a question, and where each side of the search ranked them."""
    filters = parse_filters(conditions or [])
    if not question.strip():
        raise EmptyQueryError("the question is empty; write one in quotes")
    with open_store(source, read_only=True) as store:
        embed_model = None if mode is Mode.text_search else model_of(store, model, question)
        answer = ask_store(
            store,
            question,
            mode=mode.value,
            top_k=top_k,
            embed_model=embed_model,
            filters=filters,
        )
    if as_json:
        print_json(answer.to_json())
    else:
        out.print(render_answer(answer))


def model_of(store: LocalVectorStore, asked: str | None, question: str = "") -> BaseEmbedding:
    """Load the model that embedded the collection.

    Raises
    ------
    InvalidInputError
        The collection records none and none is named, or it can't be loaded.
    SettingsConflictError
        Another one is named than is recorded.
    """
    recorded = store.client.note(NOTE_KEY)
    if recorded is None and asked is None:
        raise InvalidInputError(
            f"{store.path} records no embedding model; name it with --model, "
            "or search without one: --mode text_search"
        )
    note = None if recorded is None else ModelNote.from_json(recorded)
    chosen = choose_model(asked, note, str(store.path))
    if is_korean(question) and not chosen.knows_korean:
        print_note(
            f"{chosen.name} knows no Korean, and its blind guesses push right passages down; "
            "--mode text_search answers better"
        )
    with err.status(Text(f"Loading {chosen.name} …")):
        return models.load_embed_model(chosen)


def is_korean(text: str) -> bool:
    """Whether Hangul stands in it."""
    return re.search("[\uac00-\ud7a3]", text) is not None
