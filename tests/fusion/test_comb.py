import pytest

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.fusion import comb_mnz, comb_sum, convex_combination

DENSE = [("a", 0.9), ("b", 0.5), ("c", 0.4)]
SPARSE = [("c", 12.0), ("d", 3.0), ("a", 2.0)]


def test_comb_sum_by_hand():
    assert comb_sum([DENSE, SPARSE]) == [
        ("a", pytest.approx(1 + 0)),
        ("c", pytest.approx(0 + 1)),
        ("b", pytest.approx((0.5 - 0.4) / (0.9 - 0.4))),
        ("d", pytest.approx((3 - 2) / (12 - 2))),
    ]


def test_comb_mnz_by_hand():
    assert comb_mnz([DENSE, SPARSE], weights=[1, 3]) == [
        ("c", pytest.approx(2 * (0 + 3 * 1))),
        ("a", pytest.approx(2 * (1 + 3 * 0))),
        ("d", pytest.approx(1 * 3 * (3 - 2) / (12 - 2))),
        ("b", pytest.approx(1 * (0.5 - 0.4) / (0.9 - 0.4))),
    ]


def test_raw_scores():
    assert comb_sum([DENSE, SPARSE], scale=None) == [
        ("c", 0.4 + 12.0),
        ("d", 3.0),
        ("a", pytest.approx(0.9 + 2.0)),
        ("b", 0.5),
    ]
    assert dict(comb_mnz([DENSE, SPARSE], scale=None))["c"] == 2 * (0.4 + 12.0)


def test_absence_adds_nothing_to_comb_sum_and_the_lowest_to_a_convex_combination():
    runs = [[("a", 3.0), ("b", 1.0)], [("b", 1.0), ("c", 0.0)]]
    assert dict(comb_sum(runs, scale="z_score")) == {"a": 1.0, "b": -1.0 + 1.0, "c": -1.0}
    assert dict(convex_combination(runs, scale="z_score")) == {
        "a": 1.0 - 1.0,
        "b": -1.0 + 1.0,
        "c": -1.0 - 1.0,
    }


def test_alpha():
    assert convex_combination([DENSE, SPARSE], alpha=0.7) == convex_combination(
        [DENSE, SPARSE], weights=[0.7, 1 - 0.7]
    )
    assert "d" not in dict(convex_combination([DENSE, SPARSE], alpha=1.0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 1.5}, r"alpha=1.5 must lie in \[0, 1\]"),
        ({"alpha": 0.5, "weights": [1, 1]}, "weights or alpha, not both"),
        ({"scale": "rank"}, "scale='rank' must be one of 'min_max'"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(InvalidInputError, match=message):
        convex_combination([DENSE, SPARSE], **options)
    with pytest.raises(InvalidInputError, match="alpha weighs two runs and 1 were given"):
        convex_combination([DENSE], alpha=0.5)


@pytest.mark.parametrize("fuse", [comb_sum, comb_mnz])
def test_inputs_stay_as_they_are(fuse):
    dense, sparse = list(DENSE), list(SPARSE)
    fuse([dense, sparse], weights=[0.4, 0.6])
    assert (dense, sparse) == (DENSE, SPARSE)
