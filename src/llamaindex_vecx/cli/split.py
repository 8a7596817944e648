"""Cut a file's text into nodes, and give each an id that is the same in every run."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from llama_index.core.node_parser import MarkdownNodeParser, SentenceSplitter
from llama_index.core.schema import Document, NodeRelationship, RelatedNodeInfo, TextNode

from llamaindex_vecx.cli.files import Section, SourceFile

__all__ = ["CHUNK_OVERLAP", "CHUNK_SIZE", "HASH_KEY", "HEADING_KEY", "Splitter", "count_units"]

CHUNK_SIZE = 200
"""With 200 words and signs a chunk fits into the 256 word pieces that MiniLM reads."""

CHUNK_OVERLAP = 30

HASH_KEY = "content_hash"
HEADING_KEY = "heading"

_SEPARATOR = " › "
_EAST_ASIAN = "\u1100-\u11ff\u3040-\u30ff\u3130-\u318f\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3"
_UNIT = re.compile(rf"[{_EAST_ASIAN}]|[^\W{_EAST_ASIAN}]+|[^\w\s]")
_HEADING_LINE = re.compile(r"#+\s+(.*?)\s*#*\s*$")
_FORMAT = 1


def count_units(text: str) -> list[str]:
    """Words and signs; a Chinese, Japanese or Korean character counts as one of its own."""
    return _UNIT.findall(text)


@dataclass(frozen=True)
class Splitter:
    """How files become nodes.

    Attributes
    ----------
    chunk_size, chunk_overlap : int
        In units of :func:`count_units`.
    """

    chunk_size: int = CHUNK_SIZE
    chunk_overlap: int = CHUNK_OVERLAP

    def fingerprint(self, content: bytes) -> str:
        """Hash of a file and of how it is cut: when this is unchanged, so are its nodes."""
        how = f"{_FORMAT}/{self.chunk_size}/{self.chunk_overlap}/".encode()
        return hashlib.sha256(how + content).hexdigest()[:32]

    def nodes(
        self, file: SourceFile, fingerprint: str, sections: Sequence[Section]
    ) -> list[TextNode]:
        """The nodes of one file, in order, without embeddings."""
        splitter = SentenceSplitter(
            chunk_size=self.chunk_size, chunk_overlap=self.chunk_overlap, tokenizer=count_units
        )
        nodes: list[TextNode] = []
        for section in sections:
            for heading, text in _by_heading(file, section.text):
                for chunk in splitter.split_text(text):
                    node = _node(file, fingerprint, len(nodes), chunk, heading, section.page)
                    nodes.append(node)
        return nodes


def _by_heading(file: SourceFile, text: str) -> Iterator[tuple[str, str]]:
    if file.kind != "markdown":
        if text.strip():
            yield "", text
        return
    parser = MarkdownNodeParser(header_path_separator=_SEPARATOR, include_prev_next_rel=False)
    parts = parser.get_nodes_from_documents([Document(text=text)])
    bare: list[tuple[str, str]] = []
    bodies = 0
    for part in parts:
        content = part.get_content()
        above = part.metadata["header_path"].strip(_SEPARATOR)
        first, _, body = content.partition("\n")
        match = _HEADING_LINE.match(first)
        own = match.group(1) if match else ""
        heading = _SEPARATOR.join(name for name in (above, own) if name)
        if match and not body.strip():
            bare.append((heading, content))  # its words come back in the headings below it
            continue
        bodies += 1
        yield heading, content
    if not bodies:
        yield from bare


def _node(
    file: SourceFile, fingerprint: str, position: int, text: str, heading: str, page: str | None
) -> TextNode:
    metadata = {
        "file_path": file.shown,
        "file_name": file.path.name,
        HEADING_KEY: heading,
        HASH_KEY: fingerprint,
    }
    if page is not None:
        metadata["page"] = page
    unsaid = [key for key in metadata if key != HEADING_KEY or not heading]
    return TextNode(
        id_=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{file.doc_id}\n{fingerprint}\n{position}")),
        text=text,
        metadata=metadata,
        excluded_embed_metadata_keys=unsaid,
        excluded_llm_metadata_keys=[HASH_KEY],
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=file.doc_id)},
    )
