import pytest

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.fusion import reciprocal_rank_fusion


def test_by_hand():
    fused = reciprocal_rank_fusion([["a", "b", "c"], ["c", "d"]])
    assert fused == [
        ("c", (1 / (60 + 3)) + (1 / (60 + 1))),
        ("a", 1 / (60 + 1)),
        ("b", 1 / (60 + 2)),
        ("d", 1 / (60 + 2)),
    ]


def test_weights_and_k():
    fused = reciprocal_rank_fusion([["a", "b"], ["b", "a"]], k=10, weights=[1, 3])
    assert fused == [
        ("b", (1 / (10 + 2)) + (3 / (10 + 1))),
        ("a", (1 / (10 + 1)) + (3 / (10 + 2))),
    ]


def test_normalized():
    fused = dict(reciprocal_rank_fusion([["a", "b"], ["a"]], weights=[2, 1], normalize=True))
    assert fused["a"] == 1.0
    assert fused["b"] == pytest.approx((2 / (60 + 2)) / ((2 + 1) / (60 + 1)))


@pytest.mark.parametrize("weights", [[0.1, 0.2, 0.3], [0.7, 0.1, 0.1], [1 / 3] * 3])
def test_normalized_never_exceeds_one(weights):
    assert reciprocal_rank_fusion([["a"]] * 3, weights=weights, normalize=True)[0][1] <= 1.0


def test_ties_keep_the_order_of_appearance():
    fused = reciprocal_rank_fusion([["z", "y"], ["x", "w"]])
    assert [key for key, _ in fused] == ["z", "x", "y", "w"]


def test_a_repeated_key_counts_once_and_takes_no_rank():
    fused = dict(reciprocal_rank_fusion([["a", "a", "b"]]))
    assert fused == {"a": 1 / (60 + 1), "b": 1 / (60 + 2)}


def test_weight_zero_leaves_a_ranking_out():
    assert reciprocal_rank_fusion([["a"], ["b"]], weights=[1, 0]) == [("a", 1 / (60 + 1))]


@pytest.mark.parametrize("rankings", [[], [[]], [[], []]])
def test_nothing_to_fuse(rankings):
    assert reciprocal_rank_fusion(rankings, normalize=True) == []


def test_inputs_stay_as_they_are():
    rankings, weights = [["a", "a"], [("b", 1)]], [1.0, 2.0]
    reciprocal_rank_fusion(rankings, weights=weights)
    assert rankings == [["a", "a"], [("b", 1)]]
    assert weights == [1.0, 2.0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": -1}, "k=-1"),
        ({"k": float("nan")}, "k=nan"),
        ({"weights": [1]}, "1 weights were given for 2"),
        ({"weights": [1, -1]}, "at least 0"),
        ({"weights": [0, 0]}, "not all 0"),
        ({"weights": [1, float("inf")]}, "finite"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        reciprocal_rank_fusion([["a"], ["b"]], **arguments)
