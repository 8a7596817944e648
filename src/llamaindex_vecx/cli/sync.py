"""Bring a collection up to date with files: add what is new, replace what changed, leave the rest.

A document goes in whole, in one transaction, and the nodes of its former version go out only after
that. So whenever the process is killed, each document is there in its old or its new version, and the
next run finds by the hashes what is left to do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.schema import MetadataMode, TextNode

from llamaindex_vecx.cli.files import SourceFile, UnreadableError, read_sections
from llamaindex_vecx.cli.models import NOTE_KEY, ModelNote
from llamaindex_vecx.cli.split import HASH_KEY, Splitter
from llamaindex_vecx.stores.local import LocalVectorStore

__all__ = ["Summary", "Sync"]

BATCH = 64
"""Nodes embedded and added at a time, or all of one document where it has more."""

_SCAN = 4096

Versions = dict[str, dict[str, list[str]]]
"""Document id → fingerprint → node ids."""


@dataclass
class Summary:
    """What a run did, in documents (``nodes``: in nodes)."""

    added: int = 0
    replaced: int = 0
    unchanged: int = 0
    removed: int = 0
    empty: int = 0
    gone: int = 0
    nodes: int = 0
    seconds: float = 0.0
    interrupted: bool = False
    unreadable: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class _Pending:
    file: SourceFile
    nodes: list[TextNode]
    stale: list[str]
    known: bool


class Sync:
    """One run over a set of files.

    Parameters
    ----------
    store : LocalVectorStore
        Open for writing.
    splitter : Splitter
    model : ModelNote
        Recorded in the collection with its dimension before the first node goes in.
    load : callable
        Loads that model; called only if something has to be embedded.
    encoding : str
        Of text files.
    on_progress : callable
        Told ``(files done, nodes added)`` as these grow.
    """

    def __init__(
        self,
        store: LocalVectorStore,
        splitter: Splitter,
        model: ModelNote,
        load: Callable[[ModelNote], BaseEmbedding],
        *,
        encoding: str = "utf-8",
        on_progress: Callable[[int, int], None] = lambda files, nodes: None,
    ) -> None:
        self.summary: Summary = Summary()
        self._store = store
        self._splitter = splitter
        self._model = model
        self._load = load
        self._encoding = encoding
        self._on_progress = on_progress
        self._embed_model: BaseEmbedding | None = None
        self._pending: list[_Pending] = []
        self._files_done = 0

    def run(
        self, files: Sequence[SourceFile], roots: Sequence[Path] = (), *, prune: bool = False
    ) -> Summary:
        """Ingest the files; with ``prune`` remove documents under ``roots`` whose file is gone.

        Ctrl-C ends the run early: the summary says so, and what it counts is stored.
        """
        start = perf_counter()
        try:
            stored = self._stored()
            for file in files:
                self._take(file, stored.get(file.doc_id, {}))
                if sum(len(pending.nodes) for pending in self._pending) >= BATCH:
                    self._write()
            self._write()
            self._prune(stored, roots, prune)
        except KeyboardInterrupt:
            self.summary.interrupted = True
        self.summary.seconds = perf_counter() - start
        return self.summary

    def _stored(self) -> Versions:
        stored: Versions = defaultdict(lambda: defaultdict(list))
        collection = self._store.client
        rows = list(collection.all_rows())
        for begin in range(0, len(rows), _SCAN):
            for record in collection.records(rows[begin : begin + _SCAN]):
                if record is None or record.ref_doc_id is None:
                    continue
                fingerprint = record.metadata.get(HASH_KEY)
                if isinstance(fingerprint, str):  # else it was not ingested by us: leave it alone
                    stored[record.ref_doc_id][fingerprint].append(record.id)
        return stored

    def _take(self, file: SourceFile, versions: dict[str, list[str]]) -> None:
        try:
            content = file.path.read_bytes()
            fingerprint = self._splitter.fingerprint(content)
            stale = [id_ for other, ids in versions.items() if other != fingerprint for id_ in ids]
            if fingerprint in versions:
                if stale:  # an earlier run was killed between the new version and the old
                    self._store.delete_nodes(stale)
                self.summary.unchanged += 1
                self._done(1)
                return
            sections = read_sections(file, content, self._encoding)
        except UnreadableError as error:
            self.summary.unreadable.append((file.shown, str(error)))
            self._done(1)
            return
        except OSError as error:
            self.summary.unreadable.append((file.shown, error.strerror or str(error)))
            self._done(1)
            return
        nodes = self._splitter.nodes(file, fingerprint, sections)
        self._pending.append(_Pending(file, nodes, stale, bool(versions)))

    def _write(self) -> None:
        """Embed and add the pending documents, then drop the versions they replace."""
        nodes = [node for pending in self._pending for node in pending.nodes]
        if nodes:
            for part in self._embedded(nodes):
                self._on_progress(self._files_done, self.summary.nodes + part)
            self._store.add(nodes)
        stale = [id_ for pending in self._pending for id_ in pending.stale]
        if stale:
            self._store.delete_nodes(stale)
        for pending in self._pending:
            if pending.known:
                self.summary.replaced += 1
            elif pending.nodes:
                self.summary.added += 1
            else:
                self.summary.empty += 1
        self.summary.nodes += len(nodes)
        self._done(len(self._pending))
        self._pending = []

    def _embedded(self, nodes: list[TextNode]) -> Iterator[int]:
        """Give the nodes their embeddings; yields how many have one."""
        if self._embed_model is None:
            self._embed_model = self._load(self._model)
        for begin in range(0, len(nodes), BATCH):
            part = nodes[begin : begin + BATCH]
            texts = [node.get_content(MetadataMode.EMBED) for node in part]
            for node, vector in zip(
                part, self._embed_model.get_text_embedding_batch(texts), strict=True
            ):
                node.embedding = vector
            yield begin + len(part)
        if self._model.dimension is None:
            first = nodes[0].embedding
            assert first is not None
            self._model = ModelNote(**{**self._model.to_json(), "dimension": len(first)})
            self._store.client.set_note(NOTE_KEY, self._model.to_json())

    def _prune(self, stored: Versions, roots: Sequence[Path], prune: bool) -> None:
        folders = [root.resolve() for root in roots if root.is_dir()]
        for doc_id, versions in stored.items():
            path = Path(doc_id)
            if path.exists() or not any(folder in path.parents for folder in folders):
                continue
            if prune:
                self._store.delete_nodes([id_ for ids in versions.values() for id_ in ids])
                self.summary.removed += 1
            else:
                self.summary.gone += 1

    def _done(self, files: int) -> None:
        self._files_done += files
        self._on_progress(self._files_done, self.summary.nodes)
