import math

import pytest

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.fusion import distribution_based, min_max, share_of_highest, z_score
from llamaindex_vecx.fusion.scales import SCALES, scaled

RUN = [("a", 5.0), ("b", 2.0), ("c", 2.0)]
MEAN = (5 + 2 + 2) / 3
DEVIATION = math.sqrt(((5 - MEAN) ** 2 + (2 - MEAN) ** 2 + (2 - MEAN) ** 2) / 3)


def test_min_max():
    assert min_max(RUN) == ({"a": 1.0, "b": 0.0, "c": 0.0}, 0.0)


def test_share_of_highest():
    assert share_of_highest(RUN) == ({"a": 1.0, "b": 2 / 5, "c": 2 / 5}, 2 / 5)


def test_share_of_a_negative_highest_keeps_the_order():
    assert share_of_highest([("a", -2.0), ("b", -3.0)]) == ({"a": -1.0, "b": -1.5}, -1.5)
    assert share_of_highest([("a", 0.0), ("b", -3.0)]) == ({"a": 0.0, "b": -3.0}, -3.0)


def test_z_score():
    low = (2 - MEAN) / DEVIATION
    given, absent = z_score(RUN)
    assert given == pytest.approx({"a": (5 - MEAN) / DEVIATION, "b": low, "c": low})
    assert absent == pytest.approx(low)
    assert sum(given.values()) == pytest.approx(0)
    assert sum(value**2 for value in given.values()) / 3 == pytest.approx(1)


def test_distribution_based():
    given, absent = distribution_based(RUN)
    low, high = MEAN - 3 * DEVIATION, MEAN + 3 * DEVIATION
    assert given == pytest.approx(
        {"a": (5 - low) / (high - low), "b": (2 - low) / (high - low)}
        | {"c": (2 - low) / (high - low)}
    )
    assert absent == 0.0


def test_distribution_based_leaves_an_outlier_beyond_one():
    given, _ = distribution_based([("far", 100.0), *((str(i), i % 2) for i in range(30))])
    assert given["far"] > 1


@pytest.mark.parametrize(
    ("scale", "value", "absent"),
    [("min_max", 1.0, 0.0), ("max", 1.0, 0.0), ("z_score", 0.0, -1.0), ("dbsf", 0.5, 0.0)],
)
def test_equal_scores_are_worth_more_than_absence(scale, value, absent):
    # 0.1 + 0.1 + 0.1 is not 0.3: a deviation by rounding alone must count as none
    run = [(key, 0.1) for key in "abc"]
    assert SCALES[scale](run, False) == (dict.fromkeys("abc", value), absent)


@pytest.mark.parametrize("scale", SCALES)
def test_every_scale(scale):
    assert scaled([], scale) == ({}, 0.0)
    repeated = [("a", 1.0), ("b", 0.0), ("a", 0.5)]
    assert scaled(repeated, scale) == scaled([("a", 1.0), ("b", 0.0)], scale)
    for bad in (math.nan, math.inf, None):
        with pytest.raises(InvalidInputError, match="the score of 'a' is"):
            scaled([("a", bad)], scale)


def test_what_a_complete_run_lacks_scored_nothing():
    run = [("a", 4.0), ("b", 2.0)]
    assert share_of_highest(run).absent == 2 / 4
    assert share_of_highest(run, complete=True).absent == 0 / 4
    assert share_of_highest([("a", -1.0), ("b", -2.0)], complete=True).absent == -2
    assert z_score(run).absent == (2 - 3) / 1
    assert z_score(run, complete=True).absent == (0 - 3) / 1
    assert z_score([("a", 1.0), ("b", -3.0)], complete=True).absent == (-3 - -1) / 2
