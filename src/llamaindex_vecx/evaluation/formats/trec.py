"""TREC's judgements, and BEIR's, which are the same with a header and without the second column."""

from __future__ import annotations

from pathlib import Path

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.evaluation.formats.reading import read_queries, read_text, suffix_of
from llamaindex_vecx.evaluation.labelled import LabelledQueries

__all__ = ["load", "read_qrels"]


def load(path: Path, queries: str | Path | None, group_by: str | None) -> LabelledQueries:
    """Judgements, and the texts of ``queries`` where that file is given.

    Raises
    ------
    InvalidInputError
    """
    texts = {} if queries is None else _texts(Path(queries))
    qrels = read_qrels(path)
    return LabelledQueries.of(path.name, texts, qrels, group_by=group_by)


def read_qrels(path: Path) -> dict[str, dict[str, float]]:
    """Grades by query and document, of lines ``query 0 document grade`` or ``query document grade``.

    Raises
    ------
    InvalidInputError
        A line is neither; the message names it.
    """
    qrels: dict[str, dict[str, float]] = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        parts = line.split("\t") if "\t" in line else line.split()
        if not line.strip():
            continue
        try:
            if len(parts) not in (3, 4):
                raise ValueError("3 or 4 columns are wanted")
            query, document, grade = parts[0], parts[-2], float(parts[-1])
        except ValueError as error:
            if number == 1:  # BEIR's header
                continue
            raise InvalidInputError(
                f"{path}:{number} is no judgement (query 0 document grade): {line!r}"
            ) from error
        qrels.setdefault(query.strip(), {})[document.strip()] = grade
    return qrels


def _texts(path: Path) -> dict[str, str]:
    if not path.is_file():
        raise InvalidInputError(f"there is no file of queries {path}")
    if suffix_of(path) == ".jsonl":
        return read_queries(path)
    texts = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        query, tab, text = line.partition("\t")
        if not tab:
            raise InvalidInputError(
                f"{path}:{number} must be an id, a tab and a text, not {line!r}"
            )
        texts[query.strip()] = text.strip()
    return texts
