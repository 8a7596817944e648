"""Does training on one's own data pay? SciFact by the models that train_scifact.py makes.

What is chosen on what: the epoch, and every mix, on the held-out quarter of the train claims, by models that
have not seen it; no passage that answers one of its claims answers a claim that is trained on. A fusion
begins as what all train claims chose for the model as it came. Another that the held-out claims choose takes
its place only where it is better there beyond chance. The test claims choose nothing. "Unseen" are the 104
test claims whose documents no train claim is judged on: on the others a model can have learned the document
instead of the language. Intervals are 95 %, by paired bootstrap. See quality.py for retrieval without
training.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness import DATA, arguments, describe, finish, table
from llamaindex_vecx.device import before_torch
from llamaindex_vecx.evaluation import bootstrap_interval
from llamaindex_vecx.fusion import FittedFusion, fit_fusion
from quality_data import CACHE, Dataset, embed, read_scifact
from quality_runs import Results, Run, best_sentence, bm25, by_choice, cut, dense, interval
from train_scifact import MODELS, divided, model, record

POOL = 100
RERANKED = 10
CURVE = ("embedding-100", "embedding-200", "embedding-400", "embedding-chosen")
ASKED_ALL, ASKED_UNSEEN = 0.765, 0.755


def embed_by(folder: Path, texts: Sequence[str]) -> NDArray[np.float32]:
    """Vectors of a model of our own, computed once and then kept in CACHE."""
    weights = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    digest = hashlib.sha256("\0".join([weights, *texts]).encode()).hexdigest()[:24]
    file = CACHE / f"{digest}.npy"
    if file.exists():
        return np.load(file)
    before_torch()
    import torch
    from sentence_transformers import SentenceTransformer

    print(f"embedding {len(texts):,} texts by {folder.name}, once", flush=True)
    encoder = SentenceTransformer(str(folder), device="cpu")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        vectors = encoder.encode(
            list(texts), batch_size=16, normalize_embeddings=True, show_progress_bar=False
        )
    np.save(file, np.asarray(vectors, np.float32))
    return np.asarray(vectors, np.float32)


def retrieved(data: Dataset, folder: Path) -> dict[str, Run]:
    """What each source finds; sentences are embedded by the model as it came."""
    plain = embed(data.queries)
    return {
        "BM25": bm25(data, POOL),
        "fine-tuned": dense(embed_by(folder, data.documents), embed_by(folder, data.queries), POOL),
        "best sentence": best_sentence(embed(data.sentences), data.documents_of, plain, POOL),
        "dense": dense(embed(data.documents), plain, POOL),
    }


FUSIONS = (("BM25", "dense"), ("BM25", "dense", "best sentence"))
"""What is fused; then again with the fine-tuned model in dense's place."""


def fused_scores(runs: Mapping[str, Run], names: Sequence[str], fit: FittedFusion) -> Run:
    from llamaindex_vecx.fusion import fuse

    return {
        query: fuse(
            [runs[name][query] for name in names],
            fit.method,
            weights=[fit.weights[name] for name in names],
            k=fit.k,
            depths=[POOL] * len(names),
        )
        for query in runs[names[0]]
    }


class Reranker:
    """Scores of the trained cross-encoder, and the time they took."""

    def __init__(self) -> None:
        before_torch()
        from llamaindex_vecx.postprocessors import CrossEncoderRerank

        self._reranker = CrossEncoderRerank(str(model("reranker")), top_n=1000, normalize="none")
        self.seconds: list[float] = []

    def run(self, data: Dataset, first: Run) -> Run:
        from llama_index.core.schema import NodeWithScore, TextNode

        found: Run = {}
        for query, hits in first.items():
            nodes = [
                NodeWithScore(node=TextNode(id_=id_, text=data.documents[int(id_)]), score=score)
                for id_, score in hits[:RERANKED]
            ]
            start = time.process_time()
            ranked = self._reranker.postprocess_nodes(nodes, query_str=data.queries[int(query)])
            self.seconds.append(time.process_time() - start)
            found[query] = [(hit.node_id, float(hit.score or 0.0)) for hit in ranked]
        return found


def row(
    name: str, result: Results, unseen: NDArray[np.bool_], base: Results, chosen: str
) -> dict[str, Any]:
    values, reference = result.values["ndcg@10"], base.values["ndcg@10"]
    return {
        "table": "quality",
        "pipeline": name,
        "nDCG@10, 300 claims": result.mean("ndcg@10"),
        "gain": interval(values, reference),
        "nDCG@10, 104 unseen": result.mean("ndcg@10", unseen),
        "gain, unseen": interval(values[unseen], reference[unseen]),
        "chosen": chosen,
    }


def ranking(run: Run) -> dict[str, list[str]]:
    return {query: [id_ for id_, _ in hits] for query, hits in run.items()}


def quality(final: str) -> list[dict[str, Any]]:
    train, test = read_scifact("train"), read_scifact("test")
    _, held_out = divided()
    judged = {document for grades in train.qrels.values() for document in grades}
    unseen = np.array([not (test.qrels[query].keys() & judged) for query in test.qrels])
    learned = retrieved(train, model("embedding-chosen"))
    choosing = _only(learned, held_out.qrels)
    runs = retrieved(test, model(final))
    qrels = {query: train.qrels[query] for query in held_out.qrels}

    results = {name: Results.of(ranking(runs[name]), test, "ndcg@10") for name in runs}
    base = results["dense"]
    rows = [row(name, results[name], unseen, base, "") for name in ("BM25", "dense", "fine-tuned")]
    for plain in FUSIONS:
        before = fit_fusion(
            {name: learned[name] for name in plain}, train.qrels, depths=dict.fromkeys(plain, POOL)
        )
        tuned = tuple("fine-tuned" if name == "dense" else name for name in plain)
        weights = dict(zip(tuned, before.weights.values(), strict=True))
        own = fit_fusion(
            {name: choosing[name] for name in tuned}, qrels, depths=dict.fromkeys(tuned, POOL)
        )
        tried: list[tuple[FittedFusion, Results, Results]] = []
        for names, fit, chosen in (
            (plain, before, "on 807 train claims"),
            (tuned, replace(before, weights=weights), "on 807, by the model as it came"),
            (tuned, own, "on 202 held-out claims"),
        ):
            held = Results.of(_fused(choosing, names, fit), _judged(train, qrels), "ndcg@10")
            result = Results.of(_fused(runs, names, fit), test, "ndcg@10")
            shares = " / ".join(f"{weight:.2f}" for weight in fit.weights.values())
            name = f"fused: {', '.join(names)}"
            rows.append(row(name, result, unseen, base, f"{fit.method} {shares}, {chosen}"))
            rows[-1]["held out"] = held.mean("ndcg@10")
            tried.append((fit, held, result))
        _, carried, fitted = tried
        fit, _, first = fitted if _is_better(fitted[1], carried[1]) else carried
        kept = rows[-1] if fit is fitted[0] else rows[-2]
        kept["kept"] = f"held out {interval(*_ndcg(fitted[1], carried[1]))}"
    kept["asked for"] = f"{ASKED_ALL} / {ASKED_UNSEEN}"
    rows += _reranked(train, test, choosing, runs, (tuned, fit), qrels, unseen, first)
    columns = dict.fromkeys(key for line in rows for key in line)
    return [{key: line.get(key) for key in columns} for line in rows]


def _ndcg(*results: Results) -> list[NDArray[np.float64]]:
    return [result.values["ndcg@10"] for result in results]


def _is_better(result: Results, than: Results) -> bool:
    """Beyond chance: the whole interval of the difference lies above 0."""
    values, reference = _ndcg(result, than)
    return bootstrap_interval(values - reference)[0] > 0


def _fused(
    runs: Mapping[str, Run], names: Sequence[str], fit: FittedFusion
) -> dict[str, list[str]]:
    return by_choice({name: runs[name] for name in names}, fit, POOL)


def _judged(data: Dataset, qrels: Mapping[str, Mapping[str, int]]) -> Dataset:
    return replace(data, qrels={query: dict(grades) for query, grades in qrels.items()})


def _only(runs: Mapping[str, Run], queries: Mapping[str, Any]) -> dict[str, Run]:
    return {name: {query: run[query] for query in queries} for name, run in runs.items()}


def _reranked(
    train: Dataset,
    test: Dataset,
    choosing: Mapping[str, Run],
    runs: Mapping[str, Run],
    stage: tuple[Sequence[str], FittedFusion],
    qrels: Mapping[str, Mapping[str, int]],
    unseen: NDArray[np.bool_],
    first: Results,
) -> list[dict[str, Any]]:
    """The first stage's best, that of three sources, in the cross-encoder's order; gains are against it."""
    reranker = Reranker()
    names, fit = stage
    stages, scored = {}, {}
    for split, data, found in (("train", train, choosing), ("test", test, runs)):
        stages[split] = cut(fused_scores(found, names, fit), RERANKED)
        scored[split] = reranker.run(data, stages[split])
    mix = fit_fusion(
        {"before": stages["train"], "reranker": scored["train"]}, qrels, baseline="before"
    )
    both = {"before": stages["test"], "reranker": scored["test"]}
    alone = Results.of(ranking(scored["test"]), test, "ndcg@10")
    mixed = Results.of(by_choice(both, mix, RERANKED), test, "ndcg@10")
    chosen = f"{mix.method} {' / '.join(f'{weight:.2f}' for weight in mix.weights.values())}"
    ms = 1000 * float(np.median(reranker.seconds))
    return [
        row(
            f"first {RERANKED} reranked (gain over them)",
            alone,
            unseen,
            first,
            f"{ms:.0f} ms a query",
        ),
        row(f"first {RERANKED} mixed (gain over them)", mixed, unseen, first, chosen),
    ]


def trainings() -> list[dict[str, Any]]:
    """The learning curve, and what each training took."""
    rows = []
    for name in (*CURVE, "embedding", "reranker"):
        if not (MODELS / name / "finetune.json").exists():
            continue
        report = record(name)
        values = {line["name"]: line["value"] for line in report["lines"]}
        rows.append(
            {
                "table": "training",
                "model": name,
                "claims": report["train_queries"],
                "pairs": report["pairs"],
                "CPU seconds": report["cpu_seconds"],
                "epoch kept": report["best_epoch"],
                "after each epoch": ", ".join(f"{value:.3f}" for value in report["curve"]),
                "held out, before": values.get("before", values.get("first stage")),
                "held out, after": values.get("after", values.get("reranked")),
                "mixed": values.get("mixed"),
            }
        )
    return rows


def main() -> None:
    asked = arguments(__doc__.splitlines()[0])
    if not DATA.exists():
        raise SystemExit(f"{DATA} is missing; say where the data is by VECX_DATA")
    if asked.quick and not (MODELS / "embedding-chosen" / "finetune.json").exists():
        print(
            "the trained models aren't here; without --quick they are trained, which takes an hour"
        )
        finish([], asked.json)
        return
    print(
        describe(
            "SciFact, 605 train claims to fit, 202 to choose on, 300 test claims",
            ["sentence-transformers", "torch"],
        )
    )
    rows = trainings()
    table("Trainings; figures on the held-out claims", rows)
    if not asked.quick:
        final = (
            "embedding" if (MODELS / "embedding" / "finetune.json").exists() else "embedding-chosen"
        )
        results = quality(final)
        table(f"SciFact test, fine-tuned by {final}", results)
        rows += results
    finish(rows, asked.json)


if __name__ == "__main__":
    main()
