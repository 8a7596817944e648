"""A data set's own corpus, put into a collection so that its judgements can be tried."""

from __future__ import annotations

import itertools
from pathlib import Path

from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from llamaindex_vecx.cli import models
from llamaindex_vecx.cli.console import err
from llamaindex_vecx.cli.models import NOTE_KEY, ModelNote, choose_model
from llamaindex_vecx.cli.opening import open_store
from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.evaluation.labelled import LabelledQueries, Passage

__all__ = ["ingest_corpus"]

_BATCH = 256


def ingest_corpus(
    labelled: LabelledQueries, folder: Path, *, model: str | None, tokenizer: str | None
) -> int:
    """Embed and store the corpus under its own ids; what is there already is left alone.

    Each passage is one node, whose document has the same id. Stopped, it goes on where it was.

    Returns
    -------
    int
        Passages that were new.

    Raises
    ------
    InvalidInputError
        The data brings no corpus.
    SettingsConflictError
        The collection was embedded with another model.
    """
    if labelled.read_corpus is None:
        raise InvalidInputError(
            f"{labelled.name} brings no corpus; fill the collection with vecx ingest, and leave "
            "--ingest out"
        )
    passages = list(labelled.read_corpus())
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with (
        open_store(folder, tokenizer=tokenizer) as store,
        Progress(*columns, console=err, transient=True) as progress,
    ):
        collection = store.client
        recorded = collection.note(NOTE_KEY) if len(store) else None
        note = choose_model(
            model, None if recorded is None else ModelNote.from_json(recorded), str(folder)
        )
        rows = collection.rows_of([passage.id for passage in passages])
        new = [passage for passage, row in zip(passages, rows, strict=True) if row is None]
        task = progress.add_task(
            "Embedding", total=len(passages), completed=len(passages) - len(new)
        )
        embed_model = models.load_embed_model(note) if new else None
        for at in range(0, len(new), _BATCH):
            assert embed_model is not None, "it is loaded where anything is new"
            nodes = [_node(passage) for passage in itertools.islice(new, at, at + _BATCH)]
            vectors = embed_model.get_text_embedding_batch([node.get_content() for node in nodes])
            for node, vector in zip(nodes, vectors, strict=True):
                node.embedding = vector
            if not at and recorded is None:
                known = {**note.to_json(), "dimension": len(vectors[0])}
                collection.set_note(NOTE_KEY, known)
            store.add(nodes)
            progress.advance(task, len(nodes))
        progress.update(task, description="Indexing")
        collection.wait()
    return len(new)


def _node(passage: Passage) -> TextNode:
    text = f"{passage.title} {passage.text}".strip()  # as BEIR's own models read it
    source = RelatedNodeInfo(node_id=passage.id)
    return TextNode(id_=passage.id, text=text, relationships={NodeRelationship.SOURCE: source})
