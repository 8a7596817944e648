"""trec_eval itself, through pytrec_eval; skips without it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

MEASURES = {
    "ndcg": "ndcg",
    "ndcg@10": "ndcg_cut_10",
    "ndcg@3": "ndcg_cut_3",
    "recall@10": "recall_10",
    "precision@5": "P_5",
    "hit_rate@3": "success_3",
    "mrr": "recip_rank",
    "map": "map",
    "map@10": "map_cut_10",
}
"""Our names and trec_eval's."""


def trec_eval(
    run: Mapping[str, Mapping[str, float]], qrels: Mapping[str, Mapping[str, float]]
) -> dict[str, dict[str, float]]:
    """Values by query and by our name."""
    pytrec_eval = pytest.importorskip("pytrec_eval", reason="pip install pytrec-eval-terrier")
    graded = {q: {id_: int(grade) for id_, grade in grades.items()} for q, grades in qrels.items()}
    asked = {
        "ndcg",
        "ndcg_cut.3,10",
        "recall.10",
        "P.5",
        "success.3",
        "recip_rank",
        "map",
        "map_cut.10",
    }
    values = pytrec_eval.RelevanceEvaluator(graded, asked).evaluate(
        {query: dict(found) for query, found in run.items()}
    )
    return {
        query: {ours: found[theirs] for ours, theirs in MEASURES.items()}
        for query, found in values.items()
    }
