"""The sparse vectors' inner product is BM25's score."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaindex_vecx.errors import FormatError, InvalidInputError
from llamaindex_vecx.text import BM25, get_tokenizer
from llamaindex_vecx.text.sparse import BM25SparseEncoder, term_id

TEXTS = [
    "The whale hunted the captain across the sea",
    "A captain and his crew sail into a storm at sea",
    "Recipes for bread, butter and soup: bread, bread",
    "서울의 궁궐과 한강의 다리를 걷는다",
    "김치와 된장을 담그는 법",
]


def inner(query, document) -> float:
    weights = dict(zip(*query, strict=True))
    return sum(weights.get(term, 0.0) * value for term, value in zip(*document, strict=True))


@pytest.mark.parametrize(
    "question", ["captain of the sea", "bread bread", "한강 다리", "nothing of this", "sea whale"]
)
def test_inner_products_are_bm25s_scores(question):
    encoder = BM25SparseEncoder().fit(TEXTS)
    index, tokens = BM25("lucene", k1=1.2, b=0.75), get_tokenizer("default")
    index.add(range(len(TEXTS)), [tokens(text) for text in TEXTS])
    rows, scores = index.search(tokens(question), 10)
    expected = {
        row: score for row, score in zip(rows.tolist(), scores.tolist(), strict=True) if row >= 0
    }
    query = encoder.encode_query(question)
    ours = {row: inner(query, encoder.encode_document(text)) for row, text in enumerate(TEXTS)}
    ours = {row: score for row, score in ours.items() if score > 0}
    assert ours.keys() == expected.keys()
    for row, score in expected.items():
        np.testing.assert_allclose(ours[row], score, rtol=1e-4)


def test_a_saved_encoder_says_the_same(tmp_path):
    encoder = BM25SparseEncoder(k1=0.9, b=0.4).fit(TEXTS)
    encoder.save(tmp_path / "bm25.json")
    again = BM25SparseEncoder.load(tmp_path / "bm25.json")
    assert repr(again) == repr(encoder)
    for text in TEXTS:
        assert again.encode_document(text) == encoder.encode_document(text)
        assert again.encode_query(text) == encoder.encode_query(text)
    assert [path.name for path in tmp_path.iterdir()] == ["bm25.json"]


def test_fitting_in_parts_is_fitting_at_once():
    at_once = BM25SparseEncoder().fit(TEXTS)
    in_parts = BM25SparseEncoder().fit(TEXTS[:2]).partial_fit(TEXTS[2:])
    assert in_parts.encode_query("captain bread") == at_once.encode_query("captain bread")
    assert at_once.fit(TEXTS[:1]).documents == 1


@given(st.text())
def test_vectors_are_as_services_take_them(text):
    encoder = BM25SparseEncoder().fit(TEXTS)
    for indices, values in (encoder.encode_document(text), encoder.encode_query(text)):
        assert indices == sorted(set(indices))
        assert all(0 <= index < 2**32 for index in indices)
        assert len(values) == len(indices)
        assert all(value > 0 for value in values)


def test_terms_have_the_same_number_on_every_machine():
    assert term_id("bread") == 1295912842
    assert term_id("한강") == 766448506


def test_an_encoder_that_was_not_fitted_says_so():
    with pytest.raises(InvalidInputError, match="fit"):
        BM25SparseEncoder().encode_query("bread")


@pytest.mark.parametrize(
    ("settings", "named"), [({"k1": -1}, "k1=-1"), ({"b": 2}, "b=2"), ({"tokenizer": "no"}, "'no'")]
)
def test_wrong_settings(settings, named):
    with pytest.raises(InvalidInputError, match=named):
        BM25SparseEncoder(**settings)


def test_one_text_is_not_a_list_of_texts():
    with pytest.raises(InvalidInputError, match="texts"):
        BM25SparseEncoder().fit("bread")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"format": 2}, "format 2"),
        ({"tokenizer_version": "0"}, "fit it again"),
        ({"documents": None}, "TypeError"),
        ({"frequencies": []}, "AttributeError"),
    ],
)
def test_a_damaged_or_newer_file_is_refused(tmp_path, change, named):
    path = tmp_path / "bm25.json"
    BM25SparseEncoder().fit(TEXTS).save(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(FormatError, match=named):
        BM25SparseEncoder.load(path)
    path.write_text("{")
    with pytest.raises(FormatError, match=r"bm25\.json"):
        BM25SparseEncoder.load(path)
