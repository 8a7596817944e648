import pytest

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.fusion import convex_combination


def test_by_hand():
    dense = [("a", 0.9), ("b", 0.5), ("c", 0.4)]
    sparse = [("c", 12.0), ("d", 3.0), ("a", 2.0)]
    fused = convex_combination([dense, sparse], weights=[0.7, 0.3])
    assert fused == [
        ("a", pytest.approx((0.7 * 1) + (0.3 * 0))),
        ("c", pytest.approx((0.7 * 0) + (0.3 * 1))),
        ("b", pytest.approx(0.7 * (0.5 - 0.4) / (0.9 - 0.4))),
        ("d", pytest.approx(0.3 * (3 - 2) / (12 - 2))),
    ]


def test_equal_scores_scale_to_one():
    assert convex_combination([[("a", 5.0), ("b", 5.0)]], weights=[0.4]) == [("a", 0.4), ("b", 0.4)]


def test_negative_scores_and_any_order():
    fused = convex_combination([[("a", -3.0), ("b", -1.0), ("c", -2.0)]], weights=[1])
    assert fused == [("b", 1.0), ("c", 0.5), ("a", 0.0)]


def test_a_repeated_key_keeps_its_best_score():
    fused = convex_combination([[("a", 1.0), ("b", 0.0), ("a", 0.5)]], weights=[1])
    assert fused == [("a", 1.0), ("b", 0.0)]


def test_nothing_to_fuse():
    assert convex_combination([], weights=[]) == []
    assert convex_combination([[], []], weights=[1, 1]) == []


def test_inputs_stay_as_they_are():
    runs = [[("a", 1.0), ("b", 0.0)]]
    convex_combination(runs, weights=[1])
    assert runs == [[("a", 1.0), ("b", 0.0)]]


def test_bad_arguments():
    with pytest.raises(InvalidInputError, match="the score of 'a' is nan"):
        convex_combination([[("a", float("nan"))]], weights=[1])
    with pytest.raises(InvalidInputError, match="1 weights were given for 2"):
        convex_combination([[], []], weights=[1])
