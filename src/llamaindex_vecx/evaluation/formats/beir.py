"""BEIR's layout (Thakur et al., NeurIPS 2021): a folder of queries, corpus and judgements by split."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.evaluation.formats.reading import read_json_lines, read_queries
from llamaindex_vecx.evaluation.formats.trec import read_qrels
from llamaindex_vecx.evaluation.labelled import LabelledQueries, Passage

__all__ = ["load"]


def load(folder: Path, split: str, group_by: str | None) -> LabelledQueries:
    """Queries of one split; ``qrels/<split>.tsv`` or ``qrels-<split>.tsv``.

    Raises
    ------
    InvalidInputError
        A file is missing; the message says which, and which splits there are.
    """
    queries = _file(folder, "queries.jsonl")
    if queries is None:
        raise InvalidInputError(
            f"{folder} has no queries.jsonl, so it is not laid out as BEIR; name a file in it instead"
        )
    qrels = _file(folder / "qrels", f"{split}.tsv") or _file(folder, f"qrels-{split}.tsv")
    if qrels is None:
        splits = sorted(
            path.name.split(".")[0].removeprefix("qrels-")
            for path in (*folder.glob("qrels/*.tsv*"), *folder.glob("qrels-*.tsv*"))
        )
        raise InvalidInputError(
            f"{folder} has no judgements for split={split!r}; there are {', '.join(splits) or 'none'}"
        )
    texts, judged = read_queries(queries), read_qrels(qrels)
    corpus = _file(folder, "corpus.jsonl")
    # The file holds the queries of all splits: those of another one are not unjudged, but elsewhere.
    return LabelledQueries.of(
        f"{folder.name} ({split})",
        {query: texts.get(query, "") for query in judged},
        judged,
        group_by=group_by,
        read_corpus=None if corpus is None else partial(_read_corpus, corpus),
    )


def _read_corpus(path: Path) -> Iterator[Passage]:
    for number, line in read_json_lines(path):
        if "_id" not in line or not isinstance(line.get("text"), str):
            raise InvalidInputError(f"{path}:{number} must have '_id' and 'text', not {list(line)}")
        yield Passage(str(line["_id"]), str(line.get("title") or ""), line["text"])


def _file(folder: Path, name: str) -> Path | None:
    return next((path for end in ("", ".gz") if (path := folder / (name + end)).is_file()), None)
