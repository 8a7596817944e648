"""Each wrong argument and each wrong model is refused by name, before anything is half done."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from llamaindex_vecx import CrossEncoderRerank
from llamaindex_vecx.errors import (
    EmptyQueryError,
    FormatError,
    InvalidInputError,
    MissingExtraError,
)
from tests.postprocessors.conftest import QUERY

pytestmark = pytest.mark.model


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"top_n": 0}, "top_n=0 must be a whole number of at least 1"),
        ({"top_n": -3}, "top_n=-3"),
        ({"top_n": 2.5}, "top_n=2.5"),
        ({"top_n": True}, "top_n=True"),
        ({"score_threshold": float("nan")}, "score_threshold=nan must be a finite number"),
        ({"normalize": "softmax"}, "normalize='softmax' must be one of 'model', 'sigmoid', 'none'"),
        ({"weight": 1.5}, r"weight=1.5 must lie in \[0, 1\]"),
        ({"weight": "much"}, "weight='much' must be a finite number"),
        ({"method": "average"}, "method='average' must be one of"),
        ({"method": "z_score", "k": 3}, "k=3 belongs to method 'rrf'"),
        ({"window": "last"}, "window='last' must be one of 'first', 'best'"),
        ({"window_overlap": -1}, "window_overlap=-1"),
        ({"max_length": 0}, "max_length=0"),
        ({"max_length": 4}, "max_length=4 leaves no room"),
        ({"batch_tokens": 0}, "batch_tokens=0"),
        ({"device": "abacus"}, "device='abacus' is no device of torch"),
        ({"dtype": "int3"}, "dtype='int3' must be one of float32, bfloat16, float16, int8"),
        ({"backend": "jax"}, "backend='jax' must be one of 'torch', 'openvino'"),
        ({"model": ""}, "model='' names nothing"),
        ({"model": 7}, "must be the name or folder of a cross-encoder, not int"),
    ],
)
def test_wrong_arguments(models, arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        CrossEncoderRerank(**{"model": models(), **arguments})


def test_top_n_that_was_changed_later(models, hits):
    reranker = CrossEncoderRerank(models())
    reranker.top_n = 0
    with pytest.raises(InvalidInputError, match="top_n=0"):
        reranker.postprocess_nodes(hits, query_str=QUERY)


@pytest.mark.parametrize("query", ["", "   ", "?!", "…", "\n"])
def test_a_query_without_a_word(models, hits, query):
    with pytest.raises(EmptyQueryError, match="has no word to compare"):
        CrossEncoderRerank(models()).postprocess_nodes(hits, query_str=query)


def test_no_query(models, hits):
    with pytest.raises(InvalidInputError, match="reranking needs the query"):
        CrossEncoderRerank(models()).postprocess_nodes(hits)


def test_an_embedding_model(tmp_path):
    from tests.tiny_models import save_embedder, save_encoder

    with pytest.raises(InvalidInputError, match="is no cross-encoder but BertModel, which gives"):
        CrossEncoderRerank(str(save_embedder(tmp_path / "st")))
    with pytest.raises(InvalidInputError, match=r"is no cross-encoder.*ms-marco-MiniLM-L6-v2"):
        CrossEncoderRerank(str(save_encoder(tmp_path / "bare")))


def test_more_than_one_label(models):
    with pytest.raises(InvalidInputError, match="gives 3 labels for a pair"):
        CrossEncoderRerank(models(labels=3))


def test_folders_that_hold_no_model(tmp_path):
    with pytest.raises(InvalidInputError, match="is a folder without a config.json"):
        CrossEncoderRerank(str(tmp_path))
    with pytest.raises(InvalidInputError, match="is no folder"):
        CrossEncoderRerank(str(tmp_path / "absent"))


def test_a_name_that_no_hub_knows():
    with pytest.raises(InvalidInputError, match=r"model='nobody/nothing' can't be loaded"):
        CrossEncoderRerank("nobody/nothing")


def test_files_cut_short(tmp_path, models):
    from tests.tiny_models import save_cross_encoder

    folder = save_cross_encoder(tmp_path / "cut")
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    for kept in (len(whole) - 100, 1000, 4, 0):
        weights.write_bytes(whole[:kept])
        with pytest.raises(FormatError, match=r"model.safetensors is damaged or was cut short"):
            CrossEncoderRerank(str(folder))
    weights.unlink()
    with pytest.raises(InvalidInputError, match="can't be loaded"):
        CrossEncoderRerank(str(folder))
    config = Path(folder / "config.json")
    config.write_text(config.read_text("utf-8")[:50], "utf-8")
    with pytest.raises(FormatError, match=r"config.json is damaged or was cut short"):
        CrossEncoderRerank(str(folder))


def test_missing_packages(models, monkeypatch):
    monkeypatch.setitem(sys.modules, "optimum.intel", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'llamaindex-vecx\[openvino\]'"):
        CrossEncoderRerank(models(), backend="openvino")
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'llamaindex-vecx\[rerank\]'"):
        CrossEncoderRerank(models())


def test_a_device_that_is_not_there(models):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has one")
    with pytest.raises(InvalidInputError, match="device='cuda' is not to be had"):
        CrossEncoderRerank(models(), device="cuda")
