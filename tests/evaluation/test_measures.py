import math
import random

import numpy as np
import pytest

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.evaluation import MEASURES, bootstrap_interval, get_measure
from tests.ranx_oracle import ask_ranx

RANKING = ["a", "b", "c", "d"]
GRADES = {"b": 2, "d": 1, "x": 1, "a": 0}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (
            "ndcg@10",
            (2 / math.log2(3) + 1 / math.log2(5))
            / (2 / math.log2(2) + 1 / math.log2(3) + 1 / math.log2(4)),
        ),
        ("ndcg@2", (2 / math.log2(3)) / (2 / math.log2(2) + 1 / math.log2(3))),
        ("recall@2", 1 / 3),
        ("recall", 2 / 3),
        ("precision@4", 2 / 4),
        ("precision@10", 2 / 10),
        ("hit_rate@1", 0),
        ("hit_rate@2", 1),
        ("mrr@10", 1 / 2),
        ("mrr@1", 0),
        ("map", (1 / 2 + 2 / 4) / 3),
        ("map@2", (1 / 2) / 3),
    ],
)
def test_by_hand(name, value):
    assert get_measure(name).of(RANKING, GRADES) == pytest.approx(value)


def test_many_rankings_of_one_query_at_once():
    ranks = np.array([[1.0, 3.0, np.inf], [2.0, 1.0, np.inf]])
    values = get_measure("mrr@2").of_ranks(ranks, np.array([1.0, 1.0]))
    assert values.tolist() == [1.0, 1.0, 0.0]


@pytest.mark.parametrize("name", ["", "ndcg@0", "ndcg@", "NDCG@10", "precision", "f1@10"])
def test_unknown_names(name):
    with pytest.raises(InvalidInputError, match="is unknown; take one of ndcg"):
        get_measure(name)


def test_nothing_relevant():
    with pytest.raises(InvalidInputError, match="no document is relevant"):
        get_measure("map").of(RANKING, {"a": 0})


def test_the_interval_of_a_mean():
    draw = np.random.default_rng(3)
    covered = 0
    for _ in range(60):
        low, high = bootstrap_interval(draw.normal(0.3, 1.0, 80), samples=500)
        covered += low < 0.3 < high
    assert covered >= 50
    assert bootstrap_interval([0.25] * 7) == (0.25, 0.25)
    assert bootstrap_interval([1, 0, 1, 1], seed=5) == bootstrap_interval([1, 0, 1, 1], seed=5)


@pytest.mark.parametrize("bad", [[], [1.0, float("nan")], [[1.0]]])
def test_no_differences(bad):
    with pytest.raises(InvalidInputError, match="differences must be finite numbers"):
        bootstrap_interval(bad)
    with pytest.raises(InvalidInputError, match="level=95"):
        bootstrap_interval([1.0], level=95)


def test_equal_to_ranx():
    draw = random.Random(0)
    ids = [f"d{i}" for i in range(40)]
    run = {
        f"q{q}": {id_: 1.0 - place / 100 for place, id_ in enumerate(draw.sample(ids, 30))}
        for q in range(50)
    }
    qrels = {
        query: {id_: draw.choice([1, 1, 2, 3]) for id_ in draw.sample(ids, 6)} for query in run
    }
    names = {"ndcg@10": "ndcg@10", "mrr@10": "mrr@10", "map@10": "map@10", "recall@10": "recall@10"}
    names |= {
        "precision@5": "precision@5",
        "hit_rate@3": "hit_rate@3",
        "ndcg": "ndcg",
        "map": "map",
    }
    assert {name.split("@")[0] for name in names} == set(MEASURES)
    theirs = ask_ranx(evaluate={"run": run, "qrels": qrels, "measures": list(names.values())})
    for ours, name in names.items():
        measure = get_measure(ours)
        for query, value in theirs[name].items():
            assert measure.of(list(run[query]), qrels[query]) == pytest.approx(value, abs=1e-9)
