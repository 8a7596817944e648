"""The page, as Streamlit runs it for ``vecx inspect DIR``. It shows what the other modules work out."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any

import streamlit as st
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.vector_stores.types import MetadataFilters

from llamaindex_vecx import CrossEncoderRerank
from llamaindex_vecx.cli.ask import is_korean
from llamaindex_vecx.cli.models import NOTE_KEY, ModelNote, choose_model, load_embed_model
from llamaindex_vecx.cli.opening import open_store
from llamaindex_vecx.collection import Collection
from llamaindex_vecx.errors import InvalidInputError, VecxError
from llamaindex_vecx.fusion import METHODS
from llamaindex_vecx.inspect.drawing import SHOW, body_of, draw_lists, draw_map, title_of
from llamaindex_vecx.inspect.facets import Facet, chosen_filters, find_facets
from llamaindex_vecx.inspect.judgements import Judgements
from llamaindex_vecx.inspect.plane import Plane
from llamaindex_vecx.inspect.recall import Exact
from llamaindex_vecx.inspect.stages import Run, run_stages
from llamaindex_vecx.inspect.words import LANGUAGES, WORDS
from llamaindex_vecx.stores.local import LocalVectorStore

__all__ = ["show"]

_TEXT = 700
_FEW_CHIPS = 12
_LONGEST = 30
_NAMES = ("dense", "bm25", "fused", "reranked")


@st.cache_resource(show_spinner=False)
def _store(folder: str) -> LocalVectorStore:
    return open_store(Path(folder), read_only=True)


@st.cache_resource(show_spinner=False)
def _embed_model(name: str) -> BaseEmbedding:
    return load_embed_model(ModelNote.of(name))


@st.cache_resource(show_spinner=False, max_entries=2)
def _reranker(model: str) -> BaseNodePostprocessor:
    return CrossEncoderRerank(model=model, top_n=_LONGEST)  # one model, whatever length is chosen


@st.cache_resource(show_spinner=False, max_entries=1)
def _plane(_store: LocalVectorStore, folder: str, seq: int) -> Plane:
    return Plane(_store.client)


@st.cache_resource(show_spinner=False, max_entries=1)
def _exact(_store: LocalVectorStore, folder: str, seq: int) -> Exact:
    return Exact(_store.client)


def show(options: argparse.Namespace) -> None:
    """Draw the whole page once, as Streamlit does after every action."""
    st.set_page_config(page_title="vecx inspect", page_icon="🔎", layout="wide")
    language = _language(options.language)
    words = WORDS[language]
    try:
        _page(options, words)
    except VecxError as error:
        st.error(str(error))


def _page(options: argparse.Namespace, words: dict[str, str]) -> None:
    store = _store(options.collection)
    collection = store.client
    name = Path(options.collection).resolve().name
    st.title(f"{words['title']}: {name}")
    st.caption(
        words["collection"].format(
            passages=len(store), dim=store.dim, metric=store.metric, index=store.index_kind
        )
    )
    judged = Judgements(options.judged)
    model, name_of_model, why = _model_of(store, options.model)
    settings = _settings(store, words, options, has_model=model is not None)
    with st.form("ask", border=False):
        question = st.text_input(
            words["question"], key="question", placeholder=words["question_hint"]
        )
        st.form_submit_button(words["ask"], type="primary")
    chosen = _chips(collection, words)
    if why:
        st.info(words["no_model"].format(why=why))
    if not question.strip():
        st.info(words["start"])
        _footer(judged, options, words)
        return
    if is_korean(question) and name_of_model is not None and not name_of_model.knows_korean:
        st.warning(words["blind"].format(name=name_of_model.name))
    filters = chosen_filters(chosen)
    seconds: dict[str, float] = {}
    embedding = None
    if model is not None:
        start = perf_counter()
        embedding = model.get_query_embedding(question)
        seconds["embed"] = perf_counter() - start
    run = run_stages(store, question, embedding, filters=filters, **settings)
    seconds.update({stage.name: stage.seconds for stage in run.stages})
    if not run.nodes:
        st.warning(words["nothing"])
        return
    _figures(seconds, words)
    _recall(store, options.collection, run, embedding, filters, words)
    left, right = st.columns([3, 2], gap="large")
    names = {name: words[name] for name in _NAMES}
    with left:
        st.subheader(words["lists"])
        st.caption(words["lists_hint"])
        _picture(draw_lists(run, names, words["untitled"]), "lists")
    with right:
        _map(store, options.collection, run, embedding, words)
    st.subheader(words["passages"])
    passages = run.passages()
    for pair in zip(
        passages[::2], [*passages[1::2], None], strict=False
    ):  # in order on a phone too
        for column, node_id in zip(st.columns(2), pair, strict=True):
            if node_id is not None:
                with column:
                    _passage(run, node_id, judged, names, words)
    _footer(judged, options, words)


def _chips(collection: Collection, words: dict[str, str]) -> list[Facet]:
    facets = find_facets(collection)
    if not facets:
        return []
    with st.expander(words["filters"], expanded=len(facets) <= _FEW_CHIPS):
        chosen: list[Facet] = st.pills(
            words["filters"],
            facets,
            selection_mode="multi",
            format_func=lambda facet: facet.label,
            label_visibility="collapsed",
            key="filters",
        )
    return chosen


def _picture(html: str, key: str) -> None:
    mount = st.components.v2.component(
        "vecx_picture", html='<div class="vecx-picture"></div>', js=SHOW
    )
    mount(data=html, key=f"picture-{key}")


def _language(default: str) -> str:
    asked = st.query_params.get("lang", default)
    codes = list(LANGUAGES)
    chosen = st.sidebar.radio(
        "Language · 언어",
        codes,
        index=codes.index(asked) if asked in codes else 0,
        format_func=LANGUAGES.__getitem__,
        horizontal=True,
        key="language",
    )
    st.query_params["lang"] = chosen
    return str(chosen)


def _settings(
    store: LocalVectorStore, words: dict[str, str], options: argparse.Namespace, *, has_model: bool
) -> dict[str, Any]:
    side = st.sidebar
    side.header(words["settings"])
    settings: dict[str, Any] = {"top_k": side.slider(words["top_k"], 1, _LONGEST, 10, key="top_k")}
    default_ef = getattr(store, "ef_search", None) or getattr(store, "efSearch", None)
    if default_ef and has_model:
        settings["ef_search"] = side.slider(
            words["ef"], 1, max(512, default_ef), default_ef, key="ef"
        )
    if has_model:
        settings["method"] = side.selectbox(words["method"], list(METHODS), key="method")
        settings["alpha"] = side.slider(words["alpha"], 0.0, 1.0, 0.5, 0.05, key="alpha")
    if find_spec("sentence_transformers") is not None:
        if side.toggle(words["rerank"], value=bool(options.rerank), key="rerank"):
            model = side.text_input(words["reranker"], options.rerank or "", key="reranker")
            if model:
                try:
                    settings["reranker"] = _reranker(model)
                except VecxError as error:  # the other lists are still of use
                    side.error(str(error))
    else:
        side.caption(words["no_rerank"])
    return settings


def _model_of(
    store: LocalVectorStore, asked: str | None
) -> tuple[BaseEmbedding | None, ModelNote | None, str | None]:
    recorded = store.client.note(NOTE_KEY)
    note = None if recorded is None else ModelNote.from_json(recorded)
    if note is None and asked is None:
        return None, None, "the collection records no embedding model; give --model"
    try:
        chosen = choose_model(asked, note, str(store.path))
        return _embed_model(chosen.name), chosen, None
    except (VecxError, ImportError) as error:
        return None, None, str(error)


def _figures(seconds: dict[str, float], words: dict[str, str]) -> None:
    parts = [f"{words[name]} {1000 * value:.1f} ms" for name, value in seconds.items()]
    st.caption(f"{words['seconds']}: {' · '.join(parts)}")


def _recall(
    store: LocalVectorStore,
    folder: str,
    run: Run,
    embedding: list[float] | None,
    filters: MetadataFilters | None,
    words: dict[str, str],
) -> None:
    dense = run.stage("dense")
    if dense is None or embedding is None:
        return
    try:
        exact = _exact(store, folder, store.client.seq)
    except InvalidInputError as error:
        st.caption(words["recall_unknown"].format(why=error))
        return
    recall = exact.recall([hit.id for hit in dense.shown], embedding, filters)
    st.progress(recall, text=f"{words['recall']}: {recall:.3f}")


def _passage(
    run: Run, node_id: str, judged: Judgements, names: dict[str, str], words: dict[str, str]
) -> None:
    node = run.nodes[node_id]
    title = title_of(node, words["untitled"])
    text = body_of(node)
    ranks = [
        words["rank_in"].format(stage=names[name], rank=hit.rank, score=f"{hit.score:.3f}")
        for name, hit in run.ranks(node_id).items()
    ]
    with st.container(border=True):
        st.markdown(f"**{_plain(title)}**")
        st.caption(_plain(" · ".join(ranks)))
        st.text(text if len(text) <= _TEXT else text[:_TEXT] + " …")
        key = f"judged:{run.question}:{node_id}"
        if key not in st.session_state:
            st.session_state[key] = judged.grades(run.question).get(node_id)
        st.segmented_control(
            words["judge"],
            [1, 0],
            format_func=lambda grade: words["relevant" if grade else "irrelevant"],
            key=key,
            on_change=_judge(judged, run.question, node_id, key),
        )


def _judge(judged: Judgements, question: str, node_id: str, key: str) -> Callable[[], None]:
    return lambda: judged.judge(question, node_id, st.session_state[key])


def _map(
    store: LocalVectorStore,
    folder: str,
    run: Run,
    embedding: list[float] | None,
    words: dict[str, str],
) -> None:
    plane = _plane(store, folder, store.client.seq)
    ids = [hit.id for hit in run.last.shown]
    vectors = {
        node.node_id: node.embedding for node in store.get_nodes(ids) if node.embedding is not None
    }
    hits = [
        (hit.rank, title_of(run.nodes[hit.id], words["untitled"]), plane.place([vector])[0])
        for hit in run.last.shown
        if (vector := vectors.get(hit.id)) is not None
    ]
    st.subheader(words["map"])
    st.caption(words["map_hint"].format(share=plane.share))
    asked = None if embedding is None else plane.place([embedding])[0]
    drawn = draw_map(plane.points, hits, asked, label=words["map"], asked=words["map_question"])
    _picture(drawn, "map")


def _footer(judged: Judgements, options: argparse.Namespace, words: dict[str, str]) -> None:
    if not len(judged):
        return
    st.divider()
    st.markdown(
        words["judged"].format(
            passages=len(judged), questions=len(judged.questions), folder=f"`{judged.folder}`"
        )
    )
    st.caption(words["eval"])
    st.code(f"vecx eval {judged.folder} --from {options.collection}", language="bash")


def _plain(text: str) -> str:
    """Without what Markdown would take for marks."""
    return "".join(f"\\{sign}" if sign in r"\`*_{}[]()#+-.!|$~<>:" else sign for sign in text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("collection")
    parser.add_argument("--judged", required=True)
    parser.add_argument("--model")
    parser.add_argument("--rerank")
    parser.add_argument("--language", default="en")
    return parser.parse_args()


if __name__ == "__main__":
    show(_options())
