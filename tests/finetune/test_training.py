"""Real trainings of tiny models: what is learned, kept, refused and taken up again."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from llama_index.core.schema import NodeWithScore, TextNode

from llamaindex_vecx import CrossEncoderRerank
from llamaindex_vecx.errors import FormatError, InvalidInputError, MissingExtraError
from llamaindex_vecx.finetune import Settings, finetune_embedding, finetune_reranker
from llamaindex_vecx.finetune.checkpoints import checkpoints_of
from tests import tiny_models

pytestmark = pytest.mark.model

SETTINGS = Settings(epochs=2, learning_rate=1e-2, batch_size=8, max_length=None, device="cpu")


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    for package in ("sentence_transformers", "datasets", "accelerate"):
        pytest.importorskip(package)
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # such small products only wait for a second one
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def embedder(tmp_path_factory):
    return tiny_models.save_embedder(tmp_path_factory.mktemp("embedder"))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return tiny_models.save_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.mark.filterwarnings("ignore:.*held-out queries are answered by passages that training")
def test_an_embedding_model_learns_and_drops_into_llama_index(animals, embedder, tmp_path):
    from llama_index.embeddings.huggingface import HuggingFaceEmbedding

    report = finetune_embedding(
        animals, embedder, tmp_path / "own", held_out=animals_again(animals), settings=SETTINGS
    )
    before, after = report.lines
    assert after.value > before.value + 0.2, "the tiny model knew nothing"
    assert after.gain == pytest.approx(after.value - before.value)
    assert after.interval[0] > 0
    assert len(report.curve) == 2
    assert report.curve[report.best_epoch - 1] == max(report.curve) == pytest.approx(after.value)
    assert json.loads((tmp_path / "own" / "finetune.json").read_text("utf-8")) == json.loads(
        json.dumps(report.to_dict())
    )
    assert "before" in str(report)
    assert not checkpoints_of(tmp_path / "own").exists()
    model = HuggingFaceEmbedding(model_name=str(tmp_path / "own"), device="cpu")
    own = np.array(model.get_text_embedding("the cat lives in the hill"))
    base = HuggingFaceEmbedding(model_name=str(embedder), device="cpu")
    assert not np.allclose(own, base.get_text_embedding("the cat lives in the hill"), atol=1e-3)


def animals_again(animals):
    """Held-out questions in other words: the tiny model has 32 dimensions and generalises little."""
    queries = {f"again {q}": text + " it is" for q, text in animals.queries.items()}
    qrels = {f"again {q}": dict(grades) for q, grades in animals.qrels.items()}
    return type(animals)(queries, animals.corpus, qrels)


@pytest.mark.filterwarnings("ignore:.*held-out queries are answered by passages that training")
def test_a_reranker_learns_and_drops_into_the_postprocessor(animals, encoder, tmp_path):
    own = tmp_path / "own"
    report = finetune_reranker(
        animals, encoder, own, held_out=animals_again(animals), negatives=1, settings=SETTINGS
    )
    first, reranked, mixed = report.lines
    assert [line.name for line in report.lines] == ["first stage", "reranked", "mixed"]
    assert mixed.value >= first.value
    assert set(report.mix["weights"]) == {"before", "reranker"}
    assert reranked.gain == pytest.approx(reranked.value - first.value)
    assert report.pairs == 2 * len(animals)
    hits = [NodeWithScore(node=TextNode(text=text)) for text in list(animals.corpus.values())[:5]]
    ranked = CrossEncoderRerank(str(own), top_n=3).postprocess_nodes(hits, query_str="the cat")
    assert len(ranked) == 3
    assert all(0 <= hit.score <= 1 for hit in ranked)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["mnrl", "cached_mnrl"])
def test_other_losses_and_nothing_held_out(animals, encoder, embedder, tmp_path, loss):
    once = replace(SETTINGS, epochs=1)
    few = animals.only(list(animals.qrels)[:12])
    report = finetune_reranker(
        few, encoder, tmp_path / "ce", held_out=None, loss=loss, settings=once
    )
    assert (report.lines, report.curve, report.best_epoch) == ([], [], 1)
    assert CrossEncoderRerank(str(tmp_path / "ce"))
    report = finetune_embedding(
        few, embedder, tmp_path / "st", held_out=None, loss=loss, negatives=0, settings=once
    )
    assert report.pairs == 12


@pytest.mark.slow
def test_the_same_seed_gives_the_same_model(animals, embedder, tmp_path):
    once = replace(SETTINGS, epochs=1)

    def trained(name, seed):
        folder = tmp_path / name
        finetune_embedding(
            animals, embedder, folder, held_out=None, settings=replace(once, seed=seed)
        )
        return next(folder.rglob("model.safetensors")).read_bytes()

    assert trained("a", 1) == trained("b", 1)
    assert trained("c", 2) != trained("a2", 1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*held-out queries are answered by passages that training")
def test_a_stopped_training_goes_on(animals, embedder, tmp_path, monkeypatch):
    """It is stopped after the first epoch, and ends with the very model of one that was not."""
    held_out, settings = animals_again(animals), replace(SETTINGS, epochs=2)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    finetune_embedding(animals, embedder, whole, held_out=held_out, settings=settings)

    from llamaindex_vecx.finetune import embedding as module

    original = module.retrieval_values

    def interrupted(*arguments, **options):
        values, calls = original(*arguments, **options), []

        def measured(model):
            calls.append(1)
            if len(calls) == 3:  # before, after epoch 1, after epoch 2
                raise KeyboardInterrupt
            return values(model)

        return measured

    monkeypatch.setattr(module, "retrieval_values", interrupted)
    with pytest.raises(KeyboardInterrupt):
        finetune_embedding(animals, embedder, stopped, held_out=held_out, settings=settings)
    monkeypatch.undo()
    assert not stopped.exists(), "nothing half-written"
    kept = sorted(checkpoints_of(stopped).glob("checkpoint-*"))
    assert kept
    resumed = replace(settings, resume=True)

    weights = kept[-1] / "model.safetensors"
    body = weights.read_bytes()
    weights.write_bytes(body[: len(body) // 2])
    with pytest.raises(FormatError, match=r"model.safetensors is damaged or was cut short"):
        finetune_embedding(animals, embedder, stopped, held_out=held_out, settings=resumed)
    weights.write_bytes(body)
    state = kept[-1] / "optimizer.pt"
    saved = state.read_bytes()
    state.write_bytes(saved[:-200])
    with pytest.raises(FormatError, match=r"optimizer.pt is damaged or was cut short"):
        finetune_embedding(animals, embedder, stopped, held_out=held_out, settings=resumed)
    state.unlink()
    with pytest.raises(FormatError, match=r"lacks optimizer.pt; remove"):
        finetune_embedding(animals, embedder, stopped, held_out=held_out, settings=resumed)
    state.write_bytes(saved)

    finetune_embedding(animals, embedder, stopped, held_out=held_out, settings=resumed)
    first, second = (next(f.rglob("model.safetensors")).read_bytes() for f in (whole, stopped))
    assert first == second


@pytest.mark.slow
def test_patience_stops_early(animals, embedder, tmp_path, monkeypatch):
    from llamaindex_vecx.finetune import embedding as module

    falling = iter(np.linspace(0.9, 0.1, 20))
    monkeypatch.setattr(
        module,
        "retrieval_values",
        lambda held_out, *_, **__: lambda model: np.full(len(held_out), next(falling)),
    )
    settings = replace(SETTINGS, epochs=6, patience=1)
    report = finetune_embedding(animals, embedder, tmp_path / "own", settings=settings)
    assert len(report.curve) == 2
    assert report.best_epoch == 1


@pytest.mark.slow
def test_a_wandb_run_when_asked(animals, embedder, tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    settings = replace(SETTINGS, epochs=1, wandb="own-models")
    finetune_embedding(animals, embedder, tmp_path / "own", settings=settings)
    (run,) = (tmp_path / "wandb").glob("offline-run-*/run-*.wandb")
    assert b"measure" in run.read_bytes()


def test_bad_arguments(animals, embedder, tmp_path):
    with pytest.raises(InvalidInputError, match="loss='hinge' must be one of mnrl, cached_mnrl"):
        finetune_embedding(animals, embedder, tmp_path / "x", loss="hinge")
    with pytest.raises(InvalidInputError, match="loss='hinge' must be one of bce"):
        finetune_reranker(animals, embedder, tmp_path / "x", loss="hinge")
    with pytest.raises(InvalidInputError, match="negatives=-1"):
        finetune_embedding(animals, embedder, tmp_path / "x", negatives=-1)
    with pytest.raises(InvalidInputError, match="3 queries with a relevant passage are too few"):
        finetune_embedding(animals.only(["q0", "q1", "q2"]), embedder, tmp_path / "x")
    with pytest.raises(InvalidInputError, match="can't be loaded as an embedding model"):
        finetune_embedding(animals, tmp_path / "absent", tmp_path / "x")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    with pytest.raises(InvalidInputError, match="exists already; give another folder"):
        finetune_embedding(animals, embedder, tmp_path / "taken")
    assert not (tmp_path / "x").exists()
    for wrong in (
        {"epochs": 0},
        {"batch_size": 0},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"warmup": 1.0},
        {"dropout": -0.1},
        {"patience": 0},
    ):
        with pytest.raises(InvalidInputError, match=next(iter(wrong))):
            Settings(**wrong)


def test_missing_packages(animals, embedder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'llamaindex-vecx\[finetune\]'"):
        finetune_embedding(animals, embedder, tmp_path / "x")
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'llamaindex-vecx\[wandb\]'"):
        finetune_embedding(
            animals, embedder, tmp_path / "x", settings=replace(SETTINGS, wandb=True)
        )
