from __future__ import annotations

from pathlib import Path

from llama_index.core.schema import MetadataMode

from llamaindex_vecx.cli.files import Section, SourceFile
from llamaindex_vecx.cli.split import Splitter, count_units

FILE = SourceFile(Path("/kb/food.md"), "food.md", "markdown")
TEXT = "# Food\n\n## Bread\n\nYeast.\n\n```\n# no heading\n```\n\n### Sour\n\nSlow.\n\n## Tea\n\nLeaves.\n"


def test_markdown_is_cut_at_headings_with_the_path_above() -> None:
    nodes = Splitter().nodes(FILE, "f", [Section(TEXT)])
    assert [node.metadata["heading"] for node in nodes] == [
        "Food › Bread",
        "Food › Bread › Sour",
        "Food › Tea",
    ]
    assert "# no heading" in nodes[0].text


def test_headings_alone_are_kept_where_there_is_nothing_else() -> None:
    nodes = Splitter().nodes(FILE, "f", [Section("# Only\n\n## Headings\n")])
    assert [node.metadata["heading"] for node in nodes] == ["Only", "Only › Headings"]


def test_nothing_gives_no_nodes() -> None:
    assert Splitter().nodes(FILE, "f", [Section(" \n")]) == []
    text = SourceFile(Path("/kb/a.txt"), "a.txt", "text")
    assert Splitter().nodes(text, "f", [Section("\n\n")]) == []


def test_long_text_is_cut_to_the_chunk_size_and_nothing_is_lost() -> None:
    sentences = [f"Sentence number {number} says little." for number in range(200)]
    text = SourceFile(Path("/kb/a.txt"), "a.txt", "text")
    nodes = Splitter(40, 8).nodes(text, "f", [Section(" ".join(sentences))])
    assert max(len(count_units(node.text)) for node in nodes) <= 40
    together = " ".join(node.text for node in nodes)
    assert all(sentence in together for sentence in sentences)


def test_units_are_words_signs_and_east_asian_characters() -> None:
    assert count_units("DNA의 이중 helix.") == ["DNA", "의", "이", "중", "helix", "."]


def test_ids_are_the_same_in_every_run_and_differ_by_content_and_settings() -> None:
    def ids(content: str, splitter: Splitter) -> list[str]:
        fingerprint = splitter.fingerprint(content.encode())
        return [node.node_id for node in splitter.nodes(FILE, fingerprint, [Section(content)])]

    assert ids(TEXT, Splitter()) == ids(TEXT, Splitter())
    assert not set(ids(TEXT, Splitter())) & set(ids(TEXT + " ", Splitter()))
    assert not set(ids(TEXT, Splitter())) & set(ids(TEXT, Splitter(100, 10)))


def test_the_model_sees_the_heading_and_neither_hash_nor_path() -> None:
    node = Splitter().nodes(FILE, "f0f0f0", [Section(TEXT)])[0]
    seen = node.get_content(MetadataMode.EMBED)
    assert "Food › Bread" in seen
    assert "f0f0f0" not in seen
    assert "food.md" not in seen
    assert "f0f0f0" not in node.get_content(MetadataMode.LLM)
    assert node.ref_doc_id == FILE.doc_id


def test_pages_are_kept() -> None:
    pdf = SourceFile(Path("/kb/a.pdf"), "a.pdf", "reader")
    nodes = Splitter().nodes(pdf, "f", [Section("One.", "1"), Section("Two.", "2")])
    assert [node.metadata["page"] for node in nodes] == ["1", "2"]
