"""Scores in int8, where the CPU multiplies it."""

import logging

import pytest

pytest.importorskip("sentence_transformers")

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.postprocessors import CrossEncoderRerank, arithmetic, bert
from llamaindex_vecx.postprocessors.int8 import cpu_multiplies_int8
from tests.postprocessors.conftest import QUERY

needs_vnni = pytest.mark.skipif(not cpu_multiplies_int8(), reason="this CPU has no VNNI")


def scores(reranker, hits):
    return {hit.node_id: hit.score for hit in reranker.postprocess_nodes(hits, query_str=QUERY)}


@pytest.fixture
def calm(models):
    """A tiny model whose activations are of one size, as a trained one's are."""
    return models(initializer_range=0.2)


@needs_vnni
@pytest.mark.parametrize("kind", ["bert", "roberta", "xlm-roberta", "electra"])
def test_scores_stay_close_to_float32s(models, hits, kind):
    folder = models(kind, initializer_range=0.2)
    settings = {"top_n": 10, "device": "cpu", "normalize": "none"}
    rounded = CrossEncoderRerank(folder, dtype="int8", **settings)
    assert rounded._scorer.loaded.dtype == "int8"
    assert rounded._scorer.loaded.fast
    wanted = scores(CrossEncoderRerank(folder, dtype="float32", **settings), hits)
    largest = max(map(abs, wanted.values()))
    assert scores(rounded, hits) == pytest.approx(wanted, abs=0.1 * largest)
    assert scores(rounded, hits) != wanted


@needs_vnni
def test_a_score_depends_on_nothing_else_in_the_batch(calm, hits):
    reranker = CrossEncoderRerank(
        calm, top_n=10, dtype="int8", device="cpu", max_length=48, normalize="none"
    )
    together = scores(reranker, hits)
    for hit in hits:
        # Lengths are rounded up to 16 either way; softmax over more padding adds nothing.
        assert scores(reranker, [hit])[hit.node_id] == pytest.approx(
            together[hit.node_id], abs=0.01
        )


@needs_vnni
def test_threads_share_the_rows(calm, hits):
    import torch

    reranker = CrossEncoderRerank(calm, top_n=10, dtype="int8", device="cpu", normalize="none")
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = scores(reranker, hits)
        torch.set_num_threads(2)
        assert scores(reranker, hits) == pytest.approx(one, rel=1e-5)
    finally:
        torch.set_num_threads(before)


def test_int8_is_the_default_with_vnni_and_without_amx(monkeypatch):
    import torch

    for vnni, amx, wanted in ((True, False, True), (True, True, False), (False, False, False)):
        monkeypatch.setattr(arithmetic, "cpu_multiplies_int8", lambda vnni=vnni: vnni)
        monkeypatch.setattr(arithmetic, "cpu_has", lambda *_, amx=amx: amx)
        assert (arithmetic.choose_arithmetic(None, "cpu") == torch.int8) is wanted


@needs_vnni
def test_a_model_that_int8_changes_too_much_falls_back_with_a_line(calm, monkeypatch, caplog):
    monkeypatch.setattr(arithmetic, "cpu_has", lambda *_: False)
    monkeypatch.setattr(bert, "_ROUNDED", 0.0)
    with caplog.at_level(logging.INFO, "llamaindex_vecx"):
        reranker = CrossEncoderRerank(calm, device="cpu")
    assert reranker._scorer.loaded.fast
    assert reranker._scorer.loaded.dtype in ("bfloat16", "float32")
    assert "can't be had in int8" in caplog.text
    with pytest.raises(InvalidInputError, match="dtype='int8' can't be had for model="):
        CrossEncoderRerank(calm, device="cpu", dtype="int8")


@needs_vnni
def test_another_build_takes_floats(models):
    reranker = CrossEncoderRerank(models("distilbert"), device="cpu")
    assert reranker._scorer.loaded.dtype in ("bfloat16", "float32")
    with pytest.raises(InvalidInputError, match="not of BERT's build"):
        CrossEncoderRerank(models("distilbert"), device="cpu", dtype="int8")


def test_a_cpu_without_vnni_is_named(models, monkeypatch):
    monkeypatch.setattr(arithmetic, "cpu_multiplies_int8", lambda: False)
    with pytest.raises(InvalidInputError, match="dtype='int8' needs a CPU with AVX512-VNNI"):
        CrossEncoderRerank(models(), device="cpu", dtype="int8")
