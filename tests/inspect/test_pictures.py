"""Recall, the map, the chips, and the two pictures."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import numpy as np
import pytest
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores.types import MetadataFilter, MetadataFilters

from llamaindex_vecx import FlatVectorStore, HNSWVectorStore
from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.inspect import Exact, Plane, chosen_filters, find_facets, run_stages
from llamaindex_vecx.inspect.drawing import body_of, draw_lists, draw_map, title_of
from llamaindex_vecx.inspect.words import LANGUAGES, WORDS


def cloud(store, n=300, dim=16, seed=0):
    """``n`` random vectors, a third of them deleted again: row numbers have holes."""
    vectors = np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)
    store.add(
        [
            TextNode(id_=str(i), text=f"t{i}", embedding=v.tolist(), metadata={"even": i % 2 == 0})
            for i, v in enumerate(vectors)
        ]
    )
    store.delete_nodes([str(i) for i in range(0, n, 3)])
    return vectors


def test_exact_search_is_exact_and_recall_counts():
    with HNSWVectorStore() as store, FlatVectorStore() as flat:
        vectors = cloud(store)
        cloud(flat)
        exact = Exact(store.client)
        query = vectors[1] + 0.1
        truth = [n.node_id for n in _nearest(flat, query, 8)]
        assert exact.nearest(query, 8) == truth
        assert exact.recall(truth, query) == 1.0
        assert exact.recall([*truth[:6], "0", "3"], query) == 6 / 8
        even = MetadataFilters(filters=[MetadataFilter(key="even", value=1)])
        assert exact.nearest(query, 8, even) == [n.node_id for n in _nearest(flat, query, 8, even)]
        assert exact.recall([], query, even) == 0.0


def _nearest(flat, query, k, filters=None):
    from llama_index.core.vector_stores.types import VectorStoreQuery

    asked = VectorStoreQuery(query_embedding=query.tolist(), similarity_top_k=k, filters=filters)
    return flat.query(asked).nodes


def test_an_empty_collection_has_nothing_to_show():
    with HNSWVectorStore() as store:
        with pytest.raises(InvalidInputError, match="no vectors"):
            Exact(store.client)
        with pytest.raises(InvalidInputError, match="empty"):
            Plane(store.client)
        assert find_facets(store.client) == []


def test_the_plane_shows_the_widest_directions():
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(200, 2)) * [10, 5]
    vectors = np.hstack([wide, rng.normal(size=(200, 6)) * 0.1]).astype(np.float32)
    with FlatVectorStore(metric="l2") as store:
        store.add(
            [
                TextNode(id_=str(i), text="x", embedding=vector.tolist())
                for i, vector in enumerate(vectors)
            ]
        )
        plane = Plane(store.client, sample=50)
        assert len(plane.points) == 50
        assert plane.share > 0.99
        placed = plane.place(vectors)
        distances = np.linalg.norm(placed[:, None] - placed[None], axis=-1)
        true = np.linalg.norm(vectors[:, None] - vectors[None], axis=-1)
        assert np.corrcoef(distances.ravel(), true.ravel())[0, 1] > 0.999
        with pytest.raises(InvalidInputError, match=r"shape \(n, 8\)"):
            plane.place([[1.0, 2.0]])


def test_one_passage_is_a_point():
    with HNSWVectorStore() as store:
        store.add([TextNode(id_="a", text="x", embedding=[1.0, 0.0])])
        plane = Plane(store.client)
        picture = draw_map(plane.points, [], None, label="map", asked="q")
        assert picture.count("<circle") == 1
        assert "nan" not in picture


def test_chips_and_what_they_select(store):
    facets = find_facets(store.client)
    labels = {facet.label: facet for facet in facets}
    assert {"file_name: ops.md", "tags: all", "tags: off"} <= set(labels)
    assert labels["tags: all"].count == 6
    assert chosen_filters([]) is None

    def found(*names):
        chosen = chosen_filters([labels[name] for name in names])
        return {node.node_id for node in store.get_nodes(filters=chosen)}

    assert found("file_name: ops.md") == {"backup", "restore", "keys"}
    assert len(found("file_name: ops.md", "file_name: office.md")) == 6  # either
    assert found("file_name: ops.md", "tags: off") == set()  # both
    assert found("tags: off") == {"tea", "leave", "meals"}


def test_chips_of_flags_and_numbers():
    with FlatVectorStore() as flat:
        cloud(flat, n=30)
        facets = {facet.label: facet for facet in find_facets(flat.client)}
        assert set(facets) == {"even: 0", "even: 1"}
        chosen = chosen_filters([facets["even: 1"]])
        assert all(node.metadata["even"] for node in flat.get_nodes(filters=chosen))


def test_a_line_for_each_step_of_a_passage(store, model):
    question = "When does the night shift run a backup?"
    run = run_stages(store, question, model.get_query_embedding(question), top_k=5)
    html = draw_lists(run, {"bm25": "Keywords"})
    steps = sum(
        sum(hit.id == id_ for stage in run.stages for hit in stage.shown) - 1 for id_ in run.nodes
    )
    assert html.count("<path ") == steps
    assert html.count("<ol ") == 3
    assert "Keywords · " in html
    items = re.findall(r'<li tabindex="0" data-passage="(\w+)"', html)
    assert items == [hit.id for stage in run.stages for hit in stage.shown]


def test_what_passages_say_is_escaped():
    evil = TextNode(
        id_='"><script>x</script>',
        text="<img src=x onerror=alert(1)>",
        metadata={"file_name": "<b>.md"},
        embedding=[1.0, 0.0],
    )
    with FlatVectorStore() as flat:
        flat.add([evil])
        run = run_stages(flat, "img", [1.0, 0.0])
        html = draw_lists(run, {})
        plane = Plane(flat.client)
        html += draw_map(
            plane.points, [(1, evil.text, plane.points[0])], None, label="<i>", asked="<u>"
        )
    assert run.nodes
    for bad in ("<script", "<img", "<b>.md", "<i>", "<u>"):
        assert bad not in html


def test_titles_and_bodies():
    assert title_of(TextNode(text="# One\n\ntext", metadata={"heading": "A › B"})) == "B"
    assert title_of(TextNode(text="# One\n\ntext")) == "One"
    assert title_of(TextNode(text="", metadata={"file_name": "f.md"})) == "f.md"
    assert title_of(TextNode(text=""), "(none)") == "(none)"
    assert body_of(TextNode(text="# One\n\ntext")) == "text"
    assert body_of(TextNode(text="# One")) == "# One"
    assert body_of(TextNode(text="text\nmore")) == "text\nmore"


def test_both_languages_say_everything():
    assert set(LANGUAGES) == set(WORDS)
    assert set(WORDS["en"]) == set(WORDS["ko"])

    def holes(text: str) -> set[str]:
        return {name for _, name, _, _ in Formatter().parse(text) if name}

    for key, text in WORDS["en"].items():
        assert holes(text) == holes(WORDS["ko"][key]), key
    page = Path(__file__).parents[2] / "src/llamaindex_vecx/inspect/page.py"
    used = set(re.findall(r'words\["(\w+)"\]', page.read_text("utf-8")))
    assert used <= set(WORDS["en"])
