import json
import random

import pytest

from llamaindex_vecx.errors import FormatError, InvalidInputError
from llamaindex_vecx.evaluation import get_measure
from llamaindex_vecx.fusion import METHODS, FittedFusion, fit_fusion, fuse
from llamaindex_vecx.fusion.candidates import candidates, weight_grid
from llamaindex_vecx.fusion.fit import _alike, _values


def labelled(seed, queries=60, *, blind=True):
    """A source that sees (mostly), one that is blind (or sees other things), and what is right."""
    draw = random.Random(seed)
    seeing, other, qrels = {}, {}, {}
    for number in range(queries):
        query = f"q{number}"
        pool = [f"d{i}" for i in draw.sample(range(500), 20)]
        right = pool[0]
        qrels[query] = {right: 1}
        seen = draw.sample(pool, len(pool))
        if draw.random() < 0.8:
            seen.remove(right)
            seen.insert(draw.choice([0, 0, 1]), right)
        seeing[query] = [(id_, 10.0 / (place + 1)) for place, id_ in enumerate(seen)]
        noise = draw.sample([f"d{i}" for i in range(500)], 20)
        if not blind and draw.random() < 0.8:
            noise.insert(draw.choice([0, 0, 1]), right)
        noise = list(dict.fromkeys(noise))
        other[query] = [(id_, 1.0 - place / 50) for place, id_ in enumerate(noise)]
    return {"seeing": seeing, "other": other}, qrels


def test_a_blind_source_is_left_out():
    runs, qrels = labelled(1)
    fitted = fit_fusion(runs, qrels)
    assert fitted.weights["seeing"] > 0.7
    assert fitted.adopted
    assert fitted.helped
    assert fitted.held_out > 0.98 * fitted.alone["seeing"]
    assert fitted.rrf < 0.9 * fitted.alone["seeing"], "the blind source did harm"
    assert fitted.gain == pytest.approx(fitted.held_out - fitted.rrf)
    assert "better than plain RRF" in str(fitted)


def test_two_seeing_sources_are_both_kept_and_generalise():
    runs, qrels = labelled(2, blind=False)
    fitted = fit_fusion(runs, qrels)
    assert min(fitted.weights.values()) > 0.1
    new_runs, new_qrels = labelled(3, queries=200, blind=False)
    measure = get_measure("ndcg@10")

    def score(method, weights, k=None):
        values = []
        for query, grades in new_qrels.items():
            fused = fuse([run[query] for run in new_runs.values()], method, weights=weights, k=k)
            values.append(measure.of([id_ for id_, _ in fused], grades))
        return sum(values) / len(values)

    chosen = score(fitted.method, list(fitted.weights.values()), fitted.k)
    assert chosen > max(score("rrf", [1, 0]), score("rrf", [0, 1]))
    assert chosen == pytest.approx(fitted.held_out, abs=0.1)


def test_what_only_fits_by_chance_is_not_adopted():
    draw = random.Random(0)
    ids = [f"d{i}" for i in range(30)]
    runs = {
        name: {f"q{q}": [(id_, draw.random()) for id_ in draw.sample(ids, 30)] for q in range(20)}
        for name in ("one", "two")
    }
    for run in runs.values():
        for hits in run.values():
            hits.sort(key=lambda hit: -hit[1])
    results = []
    for seed in range(6):
        qrels = {f"q{q}": {draw.choice(ids): 1} for q in range(20)}
        fitted = fit_fusion(runs, qrels, measure="mrr@10", seed=seed)
        assert not fitted.helped
        results.append(fitted)
    kept = [fitted for fitted in results if not fitted.adopted]
    assert kept, "on noise the choice fails on held-out queries"
    for fitted in kept:
        assert (fitted.method, fitted.k) == ("rrf", 60)
        assert set(fitted.weights.values()) == {0.5}
        assert "kept" in str(fitted)


@pytest.mark.parametrize("names", [("seeing", "other"), ("seeing", "other", "third")])
def test_candidates_are_scored_as_fuse_ranks(names):
    runs, qrels = labelled(4, queries=3, blind=False)
    runs["third"] = labelled(5, queries=3, blind=False)[0]["other"]
    measure = get_measure("ndcg@5")
    tried = candidates(len(names), list(METHODS))[:: 7 if len(names) == 2 else 97]
    for query, grades in qrels.items():
        grades = {**grades, "d3": 2, "never found": 1}
        found = [runs[name][query] for name in names]
        expected = [
            measure.of(
                [
                    i
                    for i, _ in fuse(
                        found, method, weights=weights, k=k, depths=[25, None, 10][: len(found)]
                    )
                ],
                grades,
            )
            for method, k, weights in tried
        ]
        depths = [25, None, 10][: len(found)]
        values = _values(found, grades, measure, _alike(tried), depths)
        assert values == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("sources", [1, 2, 3, 4, 5, 9])
def test_weight_grid(sources):
    grid = weight_grid(sources)
    assert len(set(grid)) == len(grid) <= 102
    assert all(sum(weights) == pytest.approx(1) for weights in grid)
    assert grid[0] == (1 / sources,) * sources
    for source in range(sources):
        assert tuple(float(place == source) for place in range(sources)) in grid


def test_saved_as_json():
    runs, qrels = labelled(1)
    fitted = fit_fusion(runs, qrels, measure="mrr@10", methods=["rrf"])
    assert fitted.method == "rrf"
    assert fitted.k is not None
    again = FittedFusion.from_dict(json.loads(json.dumps(fitted.to_dict())))
    assert again == fitted
    assert again.settings == {"method": "rrf", "k": fitted.k, "weights": fitted.weights}


@pytest.mark.parametrize(
    "change",
    [{"method": "newer"}, {"weights": None}, {"weights": {"a": -1}}, {"interval": []}, {"k": "x"}],
)
def test_damaged_notes_say_so(change):
    runs, qrels = labelled(1)
    body = fit_fusion(runs, qrels, methods=["rrf"]).to_dict()
    with pytest.raises(FormatError, match="a saved fusion can't be read.*fit it again"):
        FittedFusion.from_dict({**body, **change})
    with pytest.raises(FormatError):
        FittedFusion.from_dict({})


def test_without_scores_only_ranks_are_tried():
    runs, qrels = labelled(1)
    runs["other"] = {query: [(id_, None) for id_, _ in run] for query, run in runs["other"].items()}
    assert fit_fusion(runs, qrels).method in ("rrf", "isr", "borda")
    with pytest.raises(InvalidInputError, match="source 'other' gives no scores, which 'z_score'"):
        fit_fusion(runs, qrels, methods=["rrf", "z_score"])


def test_bad_input():
    runs, qrels = labelled(1)
    few = {query: qrels[query] for query in list(qrels)[:9]}
    for arguments, message in [
        (({}, qrels), "runs is empty"),
        ((runs, few), "9 labelled queries are too few"),
        ((runs, {**qrels, "x": {"d1": 0}}), "1 queries have no relevant id in qrels, e.g. 'x'"),
        ((runs, {**qrels, "x": {"d1": 1}}), "source 'seeing' has no run for 1 queries, e.g. 'x'"),
    ]:
        with pytest.raises(InvalidInputError, match=message):
            fit_fusion(*arguments)
    with pytest.raises(InvalidInputError, match="measure 'ndgc@10' is unknown"):
        fit_fusion(runs, qrels, measure="ndgc@10")
    with pytest.raises(InvalidInputError, match="methods=\\['best'\\] must be of rrf"):
        fit_fusion(runs, qrels, methods=["best"])
    with pytest.raises(InvalidInputError, match="folds=1"):
        fit_fusion(runs, qrels, folds=1)


def test_a_baseline_that_must_be_beaten():
    queries = {f"q{n}": {f"d{n}": 1} for n in range(20)}
    right = {
        q: [(d, 1.0), ("x", 0.5)] for q, (d, *_) in zip(queries, queries.values(), strict=True)
    }
    wrong = {q: run[::-1] for q, run in right.items()}
    wrong = {
        q: [(d, 1.0 - place / 2) for place, (d, _) in enumerate(run)] for q, run in wrong.items()
    }
    fitted = fit_fusion({"before": right, "after": wrong}, queries, baseline="before")
    assert not fitted.adopted
    assert fitted.weights == {"before": 1.0, "after": 0.0}
    assert fitted.gain == 0.0
    assert "nothing beat before alone, which was kept" in str(fitted)
    assert FittedFusion.from_dict(fitted.to_dict()) == fitted
    gained = fit_fusion({"before": wrong, "after": right}, queries, baseline="before")
    assert gained.helped
    assert gained.gain == pytest.approx(gained.held_out - gained.alone["before"])
    older = {key: value for key, value in fitted.to_dict().items() if key != "baseline"}
    assert FittedFusion.from_dict(older).baseline is None
    with pytest.raises(InvalidInputError, match="baseline='nobody' must be one of"):
        fit_fusion({"before": right}, queries, baseline="nobody")
