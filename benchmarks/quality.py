"""Does it find the right passage? SciFact (English) and KorQuAD (Korean), by the parts of this package.

Dense search is exact, so that the figures are the models' and not the graph's; keyword search is BM25 with
the default tokenizer. Everything that is chosen is chosen on SciFact's train claims (807: two with the text
of a test claim are dropped), or on the other half of KorQuAD's questions; test claims choose nothing.
"Unseen" are the 104 test claims whose documents no train claim is judged on. Intervals are 95 %, by paired
bootstrap over the queries, of the difference to RRF of BM25 and dense.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness import DATA, arguments, describe, finish, table
from llamaindex_vecx.fusion import FittedFusion, fit_fusion
from quality_data import Dataset, embed, korquad_e5, read_korquad, read_scifact
from quality_peer import peer_runs
from quality_runs import (
    POOL,
    Results,
    Run,
    alone,
    best_sentence,
    bm25,
    by_choice,
    by_entropy,
    cut,
    dense,
    fused,
    interval,
)

POOLS = (50, 100, 200)
PARAMETERS = [(1.2, 0.75), (1.5, 0.75), (0.9, 0.4), (1.5, 0.6), (2.0, 0.75), (1.5, 0.9)]
ASKED = {
    "BM25": 0.685,
    "RRF of BM25 and dense": 0.715,
    "fitted: BM25, dense": 0.735,
    "fitted: BM25, dense, best sentence": 0.738,
}

# SciFact


def scifact_runs(data: Dataset, pool: int) -> dict[str, Run]:
    asked = embed(data.queries)
    return {
        "BM25": bm25(data, pool),
        "dense": dense(embed(data.documents), asked, pool),
        "best sentence": best_sentence(embed(data.sentences), data.documents_of, asked, pool),
    }


def scifact(quick: bool) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    train, test = read_scifact("train", quick), read_scifact("test", quick)
    learned, runs = scifact_runs(train, max(POOLS)), scifact_runs(test, max(POOLS))
    judged = {document for grades in train.qrels.values() for document in grades}
    unseen = np.array([not (test.qrels[query].keys() & judged) for query in test.qrels])

    results = {name: Results.of(alone(run), test, "ndcg@10") for name, run in runs.items()}
    results["RRF of BM25 and dense"] = base = Results.of(
        fused([cut(runs["BM25"], POOL), cut(runs["dense"], POOL)]), test, "ndcg@10"
    )
    results["method='max', no labels: BM25, dense"] = Results.of(
        fused([cut(runs["BM25"], POOL), cut(runs["dense"], POOL)], "max"), test, "ndcg@10"
    )
    choices: list[dict[str, Any]] = []
    for names in (["BM25", "dense"], ["BM25", "dense", "best sentence"]):
        name = f"fitted: {', '.join(names)}"
        fits = {
            pool: fit_fusion(
                {n: cut(learned[n], pool) for n in names},
                train.qrels,
                depths=dict.fromkeys(names, pool),
            )
            for pool in (POOLS if not quick else POOLS[:1])
        }
        pool = max(fits, key=lambda pool: fits[pool].held_out)
        results[name] = Results.of(
            by_choice({n: cut(runs[n], pool) for n in names}, fits[pool], pool), test, "ndcg@10"
        )
        choices += [_choice(name, depth, fit, depth == pool) for depth, fit in fits.items()]
    peers = None if quick else _peers(test, embed(test.documents), embed(test.queries))
    for name, ranking in (peers or {}).items():
        results[name] = Results.of(ranking, test, "ndcg@10")
    rows = [
        {
            "data": "scifact test",
            "retriever": name,
            "nDCG@10, 300 claims": result.mean("ndcg@10"),
            "against RRF": interval(result.values["ndcg@10"], base.values["ndcg@10"]),
            "nDCG@10, 104 unseen": result.mean("ndcg@10", unseen),
            "unseen against RRF": interval(
                result.values["ndcg@10"][unseen], base.values["ndcg@10"][unseen]
            ),
            "asked for": None if quick else ASKED.get(name),
        }
        for name, result in results.items()
    ]
    return rows, choices


def _choice(name: str, pool: int, fit: FittedFusion, taken: bool) -> dict[str, Any]:
    return {
        "data": "scifact train",
        "retriever": name,
        "of each source": pool,
        "method": fit.method if fit.k is None else f"{fit.method}, k={fit.k:g}",
        "weights": " / ".join(f"{weight:.2f}" for weight in fit.weights.values()),
        "held-out nDCG@10": fit.held_out,
        "RRF": fit.rrf,
        "taken": "yes" if taken else "",
    }


def _peers(
    data: Dataset, vectors: NDArray[np.float32], asked: NDArray[np.float32]
) -> dict[str, dict[str, list[str]]] | None:
    runs = peer_runs(data.documents, data.queries, vectors, asked)
    if runs is None:
        print("LlamaIndex's BM25Retriever is not installed; `make peers` does so")
        return None
    return {
        name: {str(query): ranking for query, ranking in enumerate(run)}
        for name, run in runs.items()
    }


def parameters() -> list[dict[str, Any]]:
    """BM25's parameters, and the order of fusion, on the train claims: test claims are not for choosing."""
    data = read_scifact("train")
    near = dense(embed(data.documents), embed(data.queries))

    def value(ranking: Mapping[str, Sequence[str]]) -> float:
        return Results.of(ranking, data, "ndcg@10").mean("ndcg@10")

    keywords = {(k1, b): bm25(data, k1=k1, b=b) for k1, b in PARAMETERS}
    return [
        {
            "data": "scifact train",
            "k1": k1,
            "b": b,
            "BM25": value(alone(run)),
            "RRF, BM25 first": value(fused([run, near])),
            "RRF, dense first": value(fused([near, run])),
        }
        for (k1, b), run in keywords.items()
    ]


# KorQuAD


def fitted_crosswise(runs: Mapping[str, Run], data: Dataset) -> dict[str, list[str]]:
    """Each half of the questions, fused as the other half chose; halves share no passage but one."""
    queries = list(data.qrels)
    halves = [queries[: len(queries) // 2], queries[len(queries) // 2 :]]
    rankings: dict[str, list[str]] = {}
    for mine, others in zip(halves, halves[::-1], strict=True):
        qrels = {q: data.qrels[q] for q in others}
        fit = fit_fusion(runs, qrels, measure="mrr@10", depths=dict.fromkeys(runs, POOL))
        rankings |= by_choice({n: {q: run[q] for q in mine} for n, run in runs.items()}, fit)
    return {query: rankings[query] for query in queries}


def korquad(quick: bool) -> list[dict[str, Any]]:
    data = read_korquad(200 if quick else 1000)
    passages, asked = korquad_e5(data)
    runs = {"BM25": bm25(data), "dense": dense(passages, asked)}
    both = list(runs.values())
    rankings: dict[str, tuple[Mapping[str, Sequence[str]], float | None]] = {
        "BM25": (alone(runs["BM25"]), 0.955),
        "dense multilingual-e5-small": (alone(runs["dense"]), None),
        "RRF of both": (fused(both), None),
        "method='max', no labels": (fused(both, "max"), None),
        "fitted on the other half": (fitted_crosswise(runs, data), 0.965),
    }
    if not quick:
        for name, ranking in (_peers(data, passages, asked) or {}).items():
            rankings[name] = (ranking, None)
    results = {
        name: Results.of(ranking, data, "hit_rate@1", "recall@10", "mrr@10")
        for name, (ranking, _) in rankings.items()
    }
    base = results["RRF of both"].values["mrr@10"]
    return [
        {
            "data": "korquad",
            "retriever": name,
            "R@1": result.mean("hit_rate@1"),
            "R@10": result.mean("recall@10"),
            "MRR@10": result.mean("mrr@10"),
            "against RRF": interval(result.values["mrr@10"], base),
            "asked for": None if quick else rankings[name][1],
        }
        for name, result in results.items()
    ]


# A blind source


def blind(quick: bool) -> list[dict[str, Any]]:
    """What a source that doesn't see does to a fusion, and what each remedy costs where all see."""
    data = read_korquad(200 if quick else 1000)
    passages, asked = korquad_e5(data)
    keywords, e5 = bm25(data), dense(passages, asked)
    shuffled = np.random.default_rng(0).permutation(len(data.documents))
    noise = {q: [(str(shuffled[int(d)]), s) for d, s in hits] for q, hits in keywords.items()}
    minilm = dense(embed(data.documents), embed(data.queries))
    train, test = read_scifact("train", quick), read_scifact("test", quick)
    rows = []
    for name, subject, runs in (
        ("Korean, MiniLM knows none", data, {"BM25": keywords, "dense": minilm}),
        ("Korean, BM25's passages shuffled", data, {"BM25": noise, "dense": e5}),
        ("Korean, e5: both see", data, {"BM25": keywords, "dense": e5}),
        ("English, MiniLM: both see", test, _english(test)),
    ):
        both = list(runs.values())
        if subject is test:
            learned = _english(train)
            fit = fit_fusion(
                learned, train.qrels, measure="mrr@10", depths=dict.fromkeys(learned, POOL)
            )
            fitted = by_choice(runs, fit)
        else:
            fitted = fitted_crosswise(runs, subject)
        ways = {
            "BM25 alone": alone(runs["BM25"]),
            "dense alone": alone(runs["dense"]),
            "RRF": fused(both),
            "z_score": fused(both, "z_score"),
            "RRF weighed by entropy": by_entropy(runs),
            "max": fused(both, "max"),
            "fitted": fitted,
        }
        row: dict[str, Any] = {"data": "blind", "case": name}
        for way, rankings in ways.items():
            row[way] = Results.of(rankings, subject, "mrr@10").mean("mrr@10")
        rows.append(row)
    return rows


def _english(claims: Dataset) -> dict[str, Run]:
    return {"BM25": bm25(claims), "dense": dense(embed(claims.documents), embed(claims.queries))}


def main() -> None:
    asked = arguments(__doc__.splitlines()[0])
    if not DATA.exists():
        raise SystemExit(f"{DATA} is missing; say where the data is by VECX_DATA")
    size = (
        "60 claims of each split of SciFact with their abstracts, 200 questions of KorQuAD (quick)"
        if asked.quick
        else "SciFact test (300 claims, 5,183 abstracts), KorQuAD dev (1,000 questions, 961 passages)"
    )
    print(describe(size, ["sentence-transformers", "torch", "PyStemmer"]))
    rows, choices = scifact(asked.quick)
    table("SciFact test", rows)
    table("What SciFact's train claims chose", choices)
    rows += choices
    if not asked.quick:
        chosen = parameters()
        table(
            "nDCG@10 on SciFact's train claims, which choose; the first line is the default", chosen
        )
        rows += chosen
    korean = korquad(asked.quick)
    table("KorQuAD: each half of the questions scored as the other half chose", korean)
    unsighted = blind(asked.quick)
    table("MRR@10 with a blind source, and what each remedy costs where all see", unsighted)
    finish(rows + korean + unsighted, asked.json)


if __name__ == "__main__":
    main()
