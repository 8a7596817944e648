"""Judgements by hand, kept as a folder in BEIR's layout (Thakur et al., NeurIPS 2021)."""

from __future__ import annotations

import json
import os
from pathlib import Path

from llamaindex_vecx.errors import FormatError, InvalidInputError, StorageError

__all__ = ["Judgements"]

_HEADER = "query-id\tcorpus-id\tscore"


class Judgements:
    """Which passages answer which questions: ``queries.jsonl`` and ``qrels/test.tsv``.

    Grades are 1 (relevant) and 0 (not relevant); files with other whole numbers are read and kept.
    Every judgement is on disk when :meth:`judge` returns. A question without judgements is not kept.

    Parameters
    ----------
    folder : Path
        Made at the first judgement; read where it is there.

    Raises
    ------
    FormatError
        A file is damaged; the message names file and line.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder: Path = Path(folder)
        self._ids: dict[str, str] = {}
        self._grades: dict[str, dict[str, int]] = {}
        if self.folder.exists() and not self.folder.is_dir():
            raise InvalidInputError(f"{self.folder} is a file; judgements need a folder")
        self._read()

    def __len__(self) -> int:
        """How many passages were judged, over all questions."""
        return sum(map(len, self._grades.values()))

    def __repr__(self) -> str:
        return (
            f"Judgements({str(self.folder)!r}, {len(self._grades)} questions, {len(self)} passages)"
        )

    @property
    def questions(self) -> list[str]:
        """The judged questions, oldest first."""
        return list(self._grades)

    def grades(self, question: str) -> dict[str, int]:
        """Grade by passage id."""
        return dict(self._grades.get(_tidy(question), {}))

    def judge(self, question: str, node_id: str, grade: int | None) -> None:
        """Give a passage a grade; None takes the judgement back.

        Raises
        ------
        InvalidInputError
            The question is empty, or the id can't stand in a file of tab-separated columns.
        StorageError
            The folder can't be written. The judgement is not kept.
        """
        question = _tidy(question)
        if not question:
            raise InvalidInputError("question is empty; a judgement needs one")
        if not node_id.strip() or any(sign in node_id for sign in "\t\r\n"):
            raise InvalidInputError(
                f"node_id={node_id!r} can't stand in a file of tab-separated columns"
            )
        before = {text: dict(grades) for text, grades in self._grades.items()}
        if grade is None:
            self._grades.get(question, {}).pop(node_id, None)
            if not self._grades.get(question):
                self._grades.pop(question, None)
        else:
            self._grades.setdefault(question, {})[node_id] = int(grade)
        try:
            self._write()
        except OSError as error:
            self._grades = before
            raise StorageError(f"{self.folder} can't be written: {error}") from error

    def _read(self) -> None:
        queries = self.folder / "queries.jsonl"
        qrels = self.folder / "qrels" / "test.tsv"
        if not queries.exists() and not qrels.exists():
            return
        texts: dict[str, str] = {}
        for number, line in _lines(queries):
            try:
                entry = json.loads(line)
                texts[str(entry["_id"])] = _tidy(entry["text"])
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise FormatError(f"{queries}:{number} is no query of BEIR: {error!r}") from error
        self._ids = {text: id_ for id_, text in texts.items()}
        for number, line in _lines(qrels) if qrels.exists() else []:
            if number == 1 and line == _HEADER:
                continue
            columns = line.split("\t")
            try:
                query, node_id, grade = columns
                self._grades.setdefault(texts[query], {})[node_id] = int(grade)
            except (ValueError, KeyError) as error:
                raise FormatError(
                    f"{qrels}:{number} is not query-id, corpus-id, score of a known query: {line!r}"
                ) from error

    def _write(self) -> None:
        for question in self._grades:
            if question not in self._ids:
                taken = set(self._ids.values())
                number = next(n for n in range(1, len(taken) + 2) if f"q{n}" not in taken)
                self._ids[question] = f"q{number}"
        (self.folder / "qrels").mkdir(parents=True, exist_ok=True)
        queries = [
            json.dumps({"_id": self._ids[question], "text": question}, ensure_ascii=False)
            for question in self._grades
        ]
        qrels = [
            f"{self._ids[question]}\t{node_id}\t{grade}"
            for question, grades in self._grades.items()
            for node_id, grade in grades.items()
        ]
        # Queries first: a kill in between leaves a query without judgements, never the reverse.
        known = {json.loads(line)["_id"] for line in queries}
        kept = [
            json.dumps({"_id": id_, "text": text}, ensure_ascii=False)
            for text, id_ in self._ids.items()
            if id_ not in known
        ]
        _replace(self.folder / "queries.jsonl", [*queries, *kept])
        _replace(self.folder / "qrels" / "test.tsv", [_HEADER, *qrels])


def _tidy(question: str) -> str:
    return " ".join(question.split())


def _lines(file: Path) -> list[tuple[int, str]]:
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError as error:
        raise FormatError(f"{file} is missing beside its other half; restore it") from error
    except UnicodeDecodeError as error:
        raise FormatError(f"{file} is not UTF-8: {error}") from error
    return [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]


def _replace(file: Path, lines: list[str]) -> None:
    """As a whole or not at all."""
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    with aside.open("w", encoding="utf-8") as out:
        out.write("".join(f"{line}\n" for line in lines))
        out.flush()
        os.fsync(out.fileno())
    os.replace(aside, file)
