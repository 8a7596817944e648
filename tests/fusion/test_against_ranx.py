"""Equal to ranx, on runs of real data where that is there, on made-up ones everywhere."""

import gzip
import json
import os
import random
from pathlib import Path

import pytest

from llamaindex_vecx.fusion import (
    borda_count,
    comb_mnz,
    comb_sum,
    convex_combination,
    inverse_square_rank,
    reciprocal_rank_fusion,
)
from tests.ranx_oracle import ask_ranx

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("VECX_DATA", ROOT.parent / "shared" / "data")) / "korquad"


def made_up():
    draw = random.Random(7)
    ids = [f"d{i}" for i in range(60)]

    def run(scale):
        return {
            f"q{q}": [
                (id_, scale * (30 - place) + draw.random())
                for place, id_ in enumerate(draw.sample(ids, draw.randint(5, 30)))
            ]
            for q in range(40)
        }

    return [run(0.01), run(2.0), run(0.3)]


def korquad():
    """BM25 over words and exact dense search by e5, on the first 100 questions."""
    np = pytest.importorskip("numpy")
    if not DATA.exists():
        pytest.skip(f"{DATA} is missing")
    from llamaindex_vecx.text import BM25, get_tokenizer

    with gzip.open(DATA / "KorQuAD_v1.0_dev.json.gz", "rt", encoding="utf-8") as file:
        paragraphs = [p for a in json.load(file)["data"] for p in a["paragraphs"]]
    contexts = list(dict.fromkeys(p["context"] for p in paragraphs))
    questions = [qa["question"] for p in paragraphs for qa in p["qas"]][:100]
    tokens = get_tokenizer("default")
    index = BM25()
    index.add(np.arange(len(contexts)), [tokens(text) for text in contexts])
    with np.load(DATA / "dev-e5small.npz") as vectors:
        scores = vectors["queries"][:100].astype("f4") @ vectors["passages"].astype("f4").T
    sparse, dense = {}, {}
    for number, question in enumerate(questions):
        rows, values = index.search(tokens(question), 50)
        sparse[f"q{number}"] = [
            (str(r), float(v)) for r, v in zip(rows, values, strict=True) if r >= 0
        ]
        best = np.argsort(-scores[number], kind="stable")[:50]
        dense[f"q{number}"] = [(str(r), float(scores[number, r])) for r in best]
    from_both = {q: sorted({**dict(sparse[q]), **dict(dense[q])}.items()) for q in sparse}
    return [sparse, dense, from_both]


@pytest.fixture(scope="module", params=[made_up, korquad])
def runs(request):
    """Lists of runs without ties: ranx orders ties as it happens to find them."""
    found = request.param()
    for run in found:
        for query, hits in run.items():
            by_score = dict(sorted({score: id_ for id_, score in hits}.items(), reverse=True))
            run[query] = [(id_, score) for score, id_ in by_score.items()]
    return found


def by_rank(fuse, **options):
    return lambda runs, q: fuse([[id_ for id_, _ in run[q]] for run in runs], **options)


def by_score(fuse, **options):
    return lambda runs, q: fuse([run[q] for run in runs], **options)


WEIGHTS = [0.2, 0.5, 0.3]
CASES = {
    ("rrf", None, "k"): by_rank(reciprocal_rank_fusion, k=20),
    ("isr", None, None): by_rank(inverse_square_rank),
    ("bordafuse", None, None): by_rank(borda_count),
    ("w_bordafuse", None, "weights"): by_rank(borda_count, weights=WEIGHTS),
    ("sum", None, None): by_score(comb_sum, scale=None),
    ("sum", "min-max", None): by_score(comb_sum),
    ("sum", "zmuv", None): by_score(comb_sum, scale="z_score"),
    ("sum", "max", None): by_score(comb_sum, scale="max"),
    ("mnz", "min-max", None): by_score(comb_mnz),
    ("mnz", "zmuv", None): by_score(comb_mnz, scale="z_score"),
    ("wsum", "min-max", "weights"): by_score(convex_combination, weights=WEIGHTS),
}
"""Our function for each (method, norm, parameter) of ranx. A convex combination on another scale gives an
absent key the lowest value where ranx gives 0, so there CombSUM is compared."""


@pytest.fixture(scope="module")
def theirs(runs):
    params = {"k": {"k": 20}, "weights": {"weights": WEIGHTS}, None: None}
    return ask_ranx(runs=runs, fusions=[[method, norm, params[p]] for method, norm, p in CASES])


@pytest.mark.parametrize("case", range(len(CASES)), ids=["-".join(map(str, c)) for c in CASES])
def test_equal_to_ranx(runs, theirs, case):
    ours = list(CASES.values())[case]
    assert theirs[case].keys() == runs[0].keys()
    for query, expected in theirs[case].items():
        assert dict(ours(runs, query)) == pytest.approx(expected, rel=1e-9, abs=1e-12)
