"""Labelled queries from files: one format a file, chosen by what the path holds."""

from __future__ import annotations

from pathlib import Path

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.evaluation.formats import beir, pairs, squad, trec
from llamaindex_vecx.evaluation.formats.reading import read_json, suffix_of
from llamaindex_vecx.evaluation.labelled import LabelledQueries

__all__ = ["load_labelled"]


def load_labelled(
    path: str | Path,
    *,
    split: str = "test",
    queries: str | Path | None = None,
    group_by: str | None = None,
) -> LabelledQueries:
    """Read labelled queries; which format it is, the path says. Any file may be gzipped.

    ==========================  =======================================================================
    a folder                    BEIR: ``queries.jsonl``, ``corpus.jsonl``, ``qrels/<split>.tsv``
    ``.json``                   SQuAD (and KorQuAD), LlamaIndex's ``EmbeddingQAFinetuneDataset``, or a
                                list of questions
    ``.jsonl``, ``.csv``        a list of questions
    ``.qrels``, ``.txt``,       TREC: ``query 0 document grade``; their texts are in ``queries``
    ``.tsv``
    ==========================  =======================================================================

    A list of questions has objects (or columns) ``question`` and ``relevant``: an id, a list of ids, or
    grades by id.

    Parameters
    ----------
    path : str or Path
    split : str
        Of BEIR's judgements.
    queries : str or Path, optional
        For TREC: a file of ``id<TAB>text`` lines, or BEIR's ``queries.jsonl``. Without it only runs can be
        measured.
    group_by : str, optional
        What the ids name, where the file doesn't say: see :class:`LabelledQueries`.

    Raises
    ------
    InvalidInputError
        Nothing is there, or nothing that is understood; the message names the file and line.
    """
    place = Path(path)
    if place.is_dir():
        return beir.load(place, split, group_by)
    if not place.is_file():
        raise InvalidInputError(f"there are no labelled queries in {place}: no such file or folder")
    kind = suffix_of(place)
    if kind == ".json":
        value = read_json(place)
        if squad.fits(value):
            return squad.load(place, value, group_by)
        return pairs.load(place, value, group_by)
    if kind in (".jsonl", ".csv"):
        return pairs.load(place, pairs.read_rows(place, kind), group_by)
    if kind in (".qrels", ".txt", ".tsv", ".trec"):
        return trec.load(place, queries, group_by)
    raise InvalidInputError(
        f"{place} has the suffix {kind!r}; give a BEIR folder, or a .json, .jsonl, .csv, .qrels, "
        ".txt or .tsv file"
    )
