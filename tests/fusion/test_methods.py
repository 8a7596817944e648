import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.fusion import (
    METHODS,
    borda_count,
    comb_mnz,
    comb_sum,
    convex_combination,
    fuse,
    inverse_square_rank,
    reciprocal_rank_fusion,
)

DENSE = [("a", 0.9), ("b", 0.5), ("c", 0.4)]
SPARSE = [("c", 12.0), ("d", 3.0), ("a", 2.0)]
RUNS = [DENSE, SPARSE]
KEYS = [[key for key, _ in run] for run in RUNS]
WEIGHTS = [0.75, 0.25]

EXPECTED = {
    "rrf": reciprocal_rank_fusion(KEYS, weights=WEIGHTS, normalize=True),
    "isr": inverse_square_rank(KEYS, weights=WEIGHTS),
    "borda": borda_count(KEYS, weights=WEIGHTS),
    "combsum": comb_sum(RUNS, weights=WEIGHTS),
    "combmnz": comb_mnz(RUNS, weights=WEIGHTS),
    **{
        scale: convex_combination(RUNS, weights=WEIGHTS, scale=scale)
        for scale in ("min_max", "max", "z_score", "dbsf")
    },
}

runs = st.lists(
    st.dictionaries(st.integers(0, 20), st.floats(-100, 100), max_size=8).map(
        lambda run: sorted(run.items(), key=lambda item: -item[1])
    ),
    min_size=1,
    max_size=4,
)


@pytest.mark.parametrize("method", METHODS)
def test_a_name_does_what_its_function_does(method):
    assert fuse(RUNS, method, weights=WEIGHTS) == [
        (key, pytest.approx(score)) for key, score in EXPECTED[method]
    ]


def test_k_belongs_to_rrf():
    assert fuse(RUNS, k=5) == reciprocal_rank_fusion(KEYS, k=5, normalize=True)
    with pytest.raises(InvalidInputError, match="k=5 belongs to method 'rrf'"):
        fuse(RUNS, "borda", k=5)
    with pytest.raises(InvalidInputError, match="k='5' must be a finite number"):
        fuse(RUNS, k="5")


def test_unknown_method():
    with pytest.raises(InvalidInputError, match="method='rff' must be one of 'rrf', 'isr'"):
        fuse(RUNS, "rff")


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=40, deadline=None)
@given(found=runs, scale=st.floats(0.1, 10))
def test_invariants(method, found, scale):
    before = [list(run) for run in found]
    fused = fuse(found, method)
    assert found == before
    assert {key for key, _ in fused} == {key for run in found for key, _ in run}
    scores = [score for _, score in fused]
    assert scores == sorted(scores, reverse=True)
    assert fused == fuse(found, method), "the same twice"
    if method in ("rrf", "min_max"):
        assert all(0 <= score <= 1 for score in scores)
        again = fuse(found, method, weights=[scale] * len(found))
        assert dict(again) == pytest.approx(dict(fused)), "only the ratio of weights counts"
    if not METHODS[method].needs_scores:
        bare = [[(key, None) for key, _ in run] for run in found]
        assert fuse(bare, method) == fused
    if len(found) > 1:
        first = fuse(found, method, weights=[1.0] + [0.0] * (len(found) - 1))
        assert first == fuse(found[:1], method)


def test_a_run_that_is_shorter_than_asked_is_complete():
    """Two keyword hits of fifty asked: all else has no word in common with the question."""
    keywords = [("right", 9.0), ("also", 8.0)]
    blind = [("noise", 0.99), *((f"n{i}", 0.98) for i in range(49))]
    best = fuse([keywords, blind], "max")
    assert [key for key, _ in best[:2]] == ["right", "noise"], "absence was taken for 8 of 9"
    best = fuse([keywords, blind], "max", depths=[50, 50])
    assert [key for key, _ in best[:2]] == ["right", "also"]
    assert fuse([keywords, blind], "max", depths=[2, 50]) == fuse([keywords, blind], "max")
    assert fuse([keywords, blind], "max", depths=[None, None]) == fuse([keywords, blind], "max")
    with pytest.raises(InvalidInputError, match="1 depths were given for 2 runs"):
        fuse([keywords, blind], depths=[50])
