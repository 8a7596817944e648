"""Reading, dividing and mining: no model needed."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_index.core.llms import MockLLM
from llama_index.core.schema import TextNode

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.finetune import (
    TrainingData,
    check_leak,
    from_beir,
    from_pairs,
    from_sentences,
    from_squad,
    from_titles,
    hold_out,
    mine_negatives,
    retrieve_candidates,
    write_questions,
)
from llamaindex_vecx.retrievers import BM25Retriever


def test_pairs():
    data = from_pairs([("q", "a"), ("q", "b"), ("r", ["a", "c"])], ["d", "a"])
    texts = {
        data.queries[query]: {data.corpus[passage] for passage in data.relevant(query)}
        for query in data.qrels
    }
    assert texts == {"q": {"a", "b"}, "r": {"a", "c"}}
    assert sorted(data.corpus.values()) == ["a", "b", "c", "d"]
    assert repr(data) == "TrainingData(2 queries, 4 pairs, 4 passages)"
    for wrong, message in [
        (["ab"], "pair 0 must be"),
        ([("q", " ")], "a passage must be a text"),
        ([("", "a")], "the question of pair 0 has no text"),
        ([("q", "a", "b")], "pair 0 must be"),
    ]:
        with pytest.raises(InvalidInputError, match=message):
            from_pairs(wrong)


@pytest.mark.parametrize("packed", [False, True])
def test_beir(tmp_path, packed):
    def write(name, text):
        path = tmp_path / (name + ".gz" if packed else name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())

    lines = [{"_id": "d1", "title": "T", "text": "one"}, {"_id": "d2", "text": "two"}]
    write("corpus.jsonl", "\n".join(map(json.dumps, lines)))
    write(
        "queries.jsonl", "\n".join(json.dumps({"_id": f"q{n}", "text": f"?{n}"}) for n in (1, 2, 3))
    )
    write("qrels/train.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\td2\t0\nq2\td2\t0\n")
    data = from_beir(tmp_path)
    assert data.corpus == {"d1": "T one", "d2": "two"}
    assert data.queries == {"q1": "?1"}, "q2 has nothing relevant, q3 is not judged"
    assert data.relevant("q1") == ["d1"]
    with pytest.raises(InvalidInputError, match="has no qrels/dev.tsv or qrels-dev.tsv"):
        from_beir(tmp_path, "dev")
    write("qrels/bad.tsv", "q1\td1\t1\nq1 d1\n")
    with pytest.raises(InvalidInputError, match="line 2: expected query, passage and grade"):
        from_beir(tmp_path, "bad")
    write("queries.jsonl", '{"_id": "q1"}')
    with pytest.raises(InvalidInputError, match="line 1 lacks text"):
        from_beir(tmp_path)
    write("queries.jsonl", "no JSON")
    with pytest.raises(InvalidInputError, match="line 1 is no JSON"):
        from_beir(tmp_path)


def test_squad(tmp_path):
    file = tmp_path / "squad.json"
    paragraphs = [
        {"context": "한글은 글자이다.", "qas": [{"question": "한글은?"}, {"question": "글자는?"}]},
        {"context": "없음", "qas": []},
    ]
    file.write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}), "utf-8")
    data = from_squad(file)
    assert sorted(data.queries.values()) == ["글자는?", "한글은?"]
    assert set(data.corpus.values()) == {"한글은 글자이다.", "없음"}
    file.write_text("[]", "utf-8")
    with pytest.raises(InvalidInputError, match="is not in SQuAD's layout"):
        from_squad(file)
    with pytest.raises(InvalidInputError, match="is no file"):
        from_squad(tmp_path / "absent.json")


def test_documents_teach_by_their_titles_and_sentences():
    nodes = [
        TextNode(id_="a", text="# Tea\n\nIt is picked in spring. It is dried at once and kept."),
        TextNode(id_="b", text="No heading here.", metadata={"title": "Rice"}),
        TextNode(id_="c", text="## Only a heading"),
    ]
    titles = from_titles(nodes)
    assert list(titles.queries.values()) == ["Tea"]
    assert titles.corpus == {
        "a": "It is picked in spring. It is dried at once and kept.",
        "b": "No heading here.",
    }
    by_key = from_titles(nodes, title_key="title")
    assert {by_key.queries[q]: by_key.relevant(q) for q in by_key.qrels} == {"Rice": ["b"]}
    sentences = from_sentences([nodes[0], TextNode(id_="d", text="One sentence that is alone.")])
    ((query, passage),) = sentences.pairs()
    assert sentences.queries[query] not in sentences.corpus[passage]
    assert sentences.corpus["d"] == "One sentence that is alone."
    with pytest.raises(InvalidInputError, match="no node has a title"):
        from_titles(nodes[2:])
    with pytest.raises(InvalidInputError, match="no node has two sentences"):
        from_sentences(nodes[1:2])


def test_an_llm_writes_questions():
    class Writing(MockLLM):
        def predict(self, prompt, **variables):
            assert "Write in the passage's language" in prompt.format(**variables)
            return f"1. What of {variables['passage']}?\n\n- Why {variables['passage']}?\nThird?"

    data = write_questions([TextNode(id_="a", text="tea"), TextNode(text=" ")], Writing())
    assert list(data.queries.values()) == ["What of tea?", "Why tea?"]
    assert set(data.corpus) == {"a"}

    class Silent(MockLLM):
        def predict(self, prompt, **variables):
            return "\n"

    with pytest.raises(InvalidInputError, match="the LLM wrote no question"):
        write_questions([TextNode(text="tea")], Silent())


def test_judgements_that_fit_nothing():
    with pytest.raises(InvalidInputError, match="aren't in queries, e.g. 'x'"):
        TrainingData({"q": "a"}, {"d": "b"}, {"x": {"d": 1}})
    with pytest.raises(InvalidInputError, match="passage 'e', which isn't in the corpus"):
        TrainingData({"q": "a"}, {"d": "b"}, {"q": {"e": 1}})
    with pytest.raises(InvalidInputError, match="has no text; leave the pair out"):
        TrainingData({"q": " "}, {"d": "b"}, {"q": {"d": 1}})


@given(
    answers=st.lists(st.integers(0, 99), min_size=20, max_size=40, unique=True),
    share=st.floats(0.4, 0.6),
    seed=st.integers(0, 5),
)
def test_what_is_held_out_shares_nothing_with_the_rest(answers, share, seed):
    corpus = {str(n): f"passage {n % 90}" for n in range(100)}
    queries = {f"q{n}": f"question {n // 2}" for n in range(len(answers))}
    qrels = {f"q{n}": {str(answer): 1.0} for n, answer in enumerate(answers)}
    data = TrainingData(queries, corpus, qrels)
    train, held = hold_out(data, share, seed=seed)
    assert sorted([*train.qrels, *held.qrels]) == sorted(data.qrels)
    check_leak(train, held)
    assert not {p for _, p in train.pairs()} & {p for _, p in held.pairs()}
    assert len(held) <= max(5, round(share * len(data)))


def test_leaks(animals):
    train = animals.only(list(animals.qrels)[:30])
    same = TrainingData(
        {"x": animals.queries["q3"].upper() + "  "}, animals.corpus, {"x": {"d40": 1}}
    )
    with pytest.raises(
        InvalidInputError, match="the split leaks: held-out query 'x' has the wording"
    ):
        check_leak(train, same)
    other = TrainingData({"x": "other words"}, animals.corpus, {"x": {"d3": 1}})
    with pytest.warns(UserWarning, match="1 of 1 held-out queries are answered by passages"):
        check_leak(train, other)
    for share in (0.0, 1.0, -1):
        with pytest.raises(InvalidInputError, match="share="):
            hold_out(animals, share)
    one = TrainingData(
        {f"q{n}": f"?{n}" for n in range(20)}, {"d": "all"}, {f"q{n}": {"d": 1} for n in range(20)}
    )
    with pytest.raises(InvalidInputError, match="20 queries in 1 groups that share no passage"):
        hold_out(one)


def test_negatives_look_right_and_are_not(animals):
    found = retrieve_candidates(animals, depth=20)
    negatives = mine_negatives(animals, found, 2, within=5)
    for query, (relevant, *_) in ((q, animals.relevant(q)) for q in animals.qrels):
        ranked = [id_ for id_, _ in found[query] if id_ != relevant][:5]
        assert len(set(negatives[query])) == 2
        assert set(negatives[query]) <= set(ranked)
    assert mine_negatives(animals, found, 2, within=5) == negatives
    skipped = mine_negatives(animals, found, 1, skip=3, within=1)
    assert all(
        skipped[q] == [[id_ for id_, _ in found[q] if id_ not in animals.relevant(q)][3]]
        for q in animals.qrels
    )
    nothing = mine_negatives(animals, {}, 3)
    assert all(len(set(drawn)) == 3 for drawn in nothing.values())
    with pytest.raises(InvalidInputError, match="are more than the corpus of 48 passages has"):
        mine_negatives(animals, found, 48)


def test_a_passage_of_the_same_text_is_no_negative():
    data = TrainingData(
        {"q": "tea"}, {"a": "green tea", "b": "Green  tea", "c": "rice"}, {"q": {"a": 1}}
    )
    assert mine_negatives(data, {"q": [("b", 1.0), ("c", 0.5)]}, 1) == {"q": ["c"]}


def test_candidates_by_any_retriever(animals):
    nodes = [TextNode(id_=id_, text=text) for id_, text in animals.corpus.items()]
    retriever = BM25Retriever(nodes, similarity_top_k=10)
    found = retrieve_candidates(animals, retriever, depth=10)
    assert {q: [id_ for id_, _ in hits] for q, hits in found.items()} == {
        q: [id_ for id_, _ in hits] for q, hits in retrieve_candidates(animals, depth=10).items()
    }
    strange = BM25Retriever([TextNode(id_="x", text="cat")])
    with pytest.raises(InvalidInputError, match="returned node 'x', which isn't in the corpus"):
        retrieve_candidates(animals, strange)
