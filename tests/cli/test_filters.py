from __future__ import annotations

import pytest
import typer
from llama_index.core.vector_stores.types import FilterOperator

from llamaindex_vecx.cli.filters import parse_filters


@pytest.mark.parametrize(
    ("text", "key", "operator", "value"),
    [
        ("file_name=a.md", "file_name", "==", "a.md"),
        ("file_name == a=b.md", "file_name", "==", "a=b.md"),
        ("year>=2020", "year", ">=", 2020),
        ("score<0.5", "score", "<", 0.5),
        ("draft!=true", "draft", "!=", 1),
        ('page="3"', "page", "==", "3"),
        ("heading=음식 › 김치", "heading", "==", "음식 › 김치"),
        ("list=[1]", "list", "==", "[1]"),
        ("empty=", "empty", "==", ""),
    ],
)
def test_conditions(text: str, key: str, operator: str, value: object) -> None:
    filters = parse_filters([text])
    assert filters is not None
    (found,) = filters.filters
    assert (found.key, found.operator, found.value) == (key, FilterOperator(operator), value)  # type: ignore[union-attr]


def test_no_condition_is_no_filter() -> None:
    assert parse_filters([]) is None


@pytest.mark.parametrize("text", ["nonsense", "=x", ""])
def test_what_is_no_condition_is_a_usage_error(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="key=value"):
        parse_filters([text])
