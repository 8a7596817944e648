"""What the demo reads and asks: this project's docs, a small corpus, and questions fixed beforehand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llamaindex_vecx.cli.answers import Answer
from llamaindex_vecx.errors import NotACollectionError

__all__ = [
    "Question",
    "demo_questions",
    "demo_roots",
    "questions_from_headings",
    "rank_of_expected",
]

_PACKAGE = Path(__file__).resolve().parents[1]
_AUTOMATIC = 4


@dataclass(frozen=True)
class Question:
    """A question, how it is asked, and the one passage that answers it where that is known."""

    text: str
    mode: str
    file: str | None = None
    heading: str | None = None


def demo_roots() -> list[Path]:
    """README, guides and corpus: of the source checkout, or as the wheel carries them.

    Raises
    ------
    NotACollectionError
        Neither is there.
    """
    checkout = _PACKAGE.parents[1]
    if (checkout / "examples" / "data" / "questions.json").is_file():
        return [checkout / "README.md", *_guides(checkout / "docs"), checkout / "examples" / "data"]
    carried = _PACKAGE / "demo_data"
    if (carried / "data" / "questions.json").is_file():
        return [carried / "README.md", *_guides(carried / "docs"), carried / "data"]
    raise NotACollectionError(
        f"the demo's data is missing (looked in {checkout / 'examples' / 'data'} and {carried}); "
        "install the package again, or give a folder of your own: vecx demo --docs FOLDER"
    )


def _guides(docs: Path) -> list[Path]:
    """The guides in English: the rest says the same again, in Korean or at greater length."""
    return [page for page in sorted(docs.glob("*.md")) if not page.name.endswith(".ko.md")]


def demo_questions(data: Path) -> list[Question]:
    """The fixed questions: English ones hybrid, Korean ones by keyword alone."""
    stored = json.loads((data / "questions.json").read_text(encoding="utf-8"))
    return [
        Question(
            item["question"],
            "text_search" if item["language"] == "ko" else "hybrid",
            item["file"],
            item["heading"],
        )
        for item in stored["questions"]
    ]


def questions_from_headings(headings: Sequence[str], mode: str = "hybrid") -> list[Question]:
    """A few headings of the user's own files, spread evenly, asked as they stand."""
    distinct = list(dict.fromkeys(heading for heading in headings if heading.strip()))
    step = max(1, len(distinct) // _AUTOMATIC)
    return [Question(heading, mode) for heading in distinct[::step][:_AUTOMATIC]]


def rank_of_expected(question: Question, answer: Answer) -> int | None:
    """Rank of the passage that answers the question, None where it is not among them."""
    for passage in answer.passages:
        leaf = passage.heading.rsplit(" › ", 1)[-1]
        if passage.file == question.file and leaf == question.heading:
            return passage.rank
    return None
