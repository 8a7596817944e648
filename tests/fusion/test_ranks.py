"""Fusions that look at places only: inverse square rank and Borda count."""

import pytest

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.fusion import borda_count, inverse_square_rank

ONE = ["a", "b", "c"]
TWO = ["c", "d"]


def test_inverse_square_rank_by_hand():
    assert inverse_square_rank([ONE, TWO]) == [
        ("c", pytest.approx(2 * ((1 / 3**2) + (1 / 1**2)))),
        ("a", 1 * (1 / 1**2)),
        ("b", 1 * (1 / 2**2)),
        ("d", 1 * (1 / 2**2)),
    ]


def test_inverse_square_rank_weighted():
    fused = dict(inverse_square_rank([ONE, TWO], weights=[2, 3]))
    assert fused["c"] == pytest.approx(2 * ((2 / 3**2) + (3 / 1**2)))
    assert fused["d"] == pytest.approx(1 * (3 / 2**2))


def test_borda_by_hand():
    # four candidates: places earn 4, 3, 2, 1; what a voter did not rank shares the rest evenly
    assert borda_count([ONE, TWO]) == [
        ("c", 2 + 4),
        ("a", 4 + (2 + 1) / 2),
        ("b", 3 + (2 + 1) / 2),
        ("d", 1 + 3),
    ]


def test_borda_weighted():
    fused = dict(borda_count([ONE, TWO], weights=[1, 10]))
    assert fused["a"] == 1 * 4 + 10 * ((2 + 1) / 2)
    assert fused["d"] == 1 * 1 + 10 * 3


def test_every_borda_voter_spreads_the_same_points():
    for ranking in (ONE, TWO):
        assert sum(dict(borda_count([ranking, [*"abcd"]], weights=[1, 0])).values()) == sum(
            range(1, len(ranking) + 1)
        )
    total = sum(score for _, score in borda_count([ONE, TWO]))
    assert total == 2 * (4 + 3 + 2 + 1)


@pytest.mark.parametrize("fuse", [inverse_square_rank, borda_count])
def test_weight_zero_leaves_a_ranking_out(fuse):
    assert fuse([ONE, TWO], weights=[0, 1]) == fuse([TWO])
    assert "a" not in dict(fuse([ONE, TWO], weights=[0, 1]))


@pytest.mark.parametrize("fuse", [inverse_square_rank, borda_count])
def test_a_repeated_key_counts_once_and_takes_no_rank(fuse):
    assert fuse([["a", "a", "b"]]) == fuse([["a", "b"]])


@pytest.mark.parametrize("fuse", [inverse_square_rank, borda_count])
def test_nothing_to_fuse_and_bad_weights(fuse):
    assert fuse([]) == []
    assert fuse([[], []]) == []
    with pytest.raises(InvalidInputError, match="1 weights were given for 2"):
        fuse([ONE, TWO], weights=[1])
