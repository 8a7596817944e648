"""``vecx demo``: ingest, ask, kill the process, ask again."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import typer
from rich.rule import Rule
from rich.text import Text

from llamaindex_vecx.cli.answers import Answer
from llamaindex_vecx.cli.ask import is_korean
from llamaindex_vecx.cli.console import command_line, human_seconds, out
from llamaindex_vecx.cli.demo_data import (
    Question,
    demo_questions,
    demo_roots,
    questions_from_headings,
    rank_of_expected,
)
from llamaindex_vecx.cli.demo_worker import Worker
from llamaindex_vecx.cli.models import DEFAULT_MODEL, ModelNote
from llamaindex_vecx.cli.passages import render_answer
from llamaindex_vecx.errors import InvalidInputError

__all__ = ["demo", "same_answers"]

_HOME = Path("demo-collection")

_WHY_KEYWORDS = (
    "The Korean questions search by keyword alone (BM25 over character bigrams), because MiniLM knows "
    "no Korean: fusing a dense side that is blind ruins a keyword side that sees. Share of questions "
    "with the right passage first, over 300 questions of KorQuAD: BM25 0.927, MiniLM 0.010, both fused "
    "0.173. With multilingual-e5-small, which knows Korean, the fusion reaches 0.93."
)


def demo(
    docs: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", exists=True, file_okay=False, help="Your own files instead."
        ),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="DIR", help=f"The collection. [default: in {_HOME}/]"),
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="NAME_OR_FOLDER", help="Another embedding model.")
    ] = None,
) -> None:
    """Ingest this project's docs and a small corpus, ask in English and Korean, survive a kill."""
    start = perf_counter()
    roots = demo_roots() if docs is None else [docs]
    target = to or _HOME / ("project" if docs is None else docs.resolve().name)
    _title("Ingest")
    worker = Worker(target, model)
    try:
        report = worker.ingest(roots)
        _show_ingest(report, target)
        if docs is None:
            questions = demo_questions(roots[-1])
        else:
            questions = _own_questions(report["headings"], ModelNote.of(model or DEFAULT_MODEL))
        before = worker.ask(questions)
        _show_answers(questions, before)
        if docs is None:
            _show_score(questions, before, _sides_alone(worker, questions))
        _title("Kill and reopen")
        pid, status = worker.pid, worker.kill()
    finally:
        worker.kill()
    out.print(f"Process {pid} had the collection open and was killed (status {status}).")
    again = Worker(target, model)
    after = again.ask(questions)
    again.close()
    alike = same_answers(before, after)
    out.print(
        f"Process {again.pid} reopened it and was asked the same {len(questions)} questions: "
        + ("the same passages with the same scores." if alike else "OTHER answers.")
    )
    out.print(f'\nAsk it yourself: {command_line()} ask "…" --from {target}', soft_wrap=True)
    out.print(Text(f"The demo took {human_seconds(perf_counter() - start)}.", style="dim"))
    if not alike:
        _show_differences(before, after)
        raise typer.Exit(1)


def same_answers(before: Sequence[Answer], after: Sequence[Answer]) -> bool:
    """Whether both have the same passages in the same order, and scores alike to six digits."""
    return len(before) == len(after) and all(
        [passage.id for passage in one.passages] == [passage.id for passage in two.passages]
        and all(
            abs(left.score - right.score) <= 1e-6 * max(1.0, abs(left.score))
            for left, right in zip(one.passages, two.passages, strict=True)
        )
        for one, two in zip(before, after, strict=True)
    )


def _own_questions(headings: Sequence[str], note: ModelNote) -> list[Question]:
    def mode(text: str) -> str:
        return "text_search" if is_korean(text) and not note.knows_korean else "hybrid"

    if sys.stdin.isatty():
        text = typer.prompt("Your question").strip()
        return [Question(text, mode(text))]
    questions = [Question(item.text, mode(item.text)) for item in questions_from_headings(headings)]
    if not questions:
        raise InvalidInputError(
            "the files have no headings to ask by; run the demo in a terminal and type a question, "
            "or use vecx ingest and vecx ask"
        )
    out.print("Nobody is at the terminal to ask, so some of the headings are asked as they stand.")
    return questions


def _title(text: str) -> None:
    out.print()
    out.print(Rule(text, style="bold"))


def _show_ingest(report: dict[str, Any], target: Path) -> None:
    summary = report["summary"]
    counts = ", ".join(
        f"{summary[name]} {name}" for name in ("added", "replaced", "unchanged", "removed")
    )
    out.print(
        f"{report['nodes']} passages in {target} (files: {counts}), {human_seconds(report['seconds'])}.",
        soft_wrap=True,
    )


def _show_answers(questions: Sequence[Question], answers: Sequence[Answer]) -> None:
    explained = False
    _title("Ask")
    for question, answer in zip(questions, answers, strict=True):
        if question.mode == "text_search" and not explained:
            explained = True
            out.print(Text(f"\n{_WHY_KEYWORDS}", style="yellow"))
        out.print(Text(f"\n{question.text}", style="bold green"))
        shown = Answer(answer.question, answer.mode, answer.passages[:1], answer.seconds)
        out.print(render_answer(shown, lines=8))
        for passage in answer.passages[1:3]:
            out.print(Text(f"  {passage.rank}  {passage.file}: {passage.heading}", style="dim"))
        if question.file is not None:
            rank = rank_of_expected(question, answer)
            place = "not among the five" if rank is None else f"rank {rank}"
            expected = f"{question.file}: {question.heading}"
            out.print(Text(f"  expected {expected} → {place}", style="green" if rank else "red"))


def _sides_alone(worker: Worker, questions: Sequence[Question]) -> dict[str, list[Answer]]:
    """The hybrid questions again, to each side of the search alone."""
    fused = [question for question in questions if question.mode == "hybrid"]
    return {
        mode: worker.ask([replace(question, mode=mode) for question in fused])
        for mode in ("default", "text_search")
    }


def _show_score(
    questions: Sequence[Question], answers: Sequence[Answer], alone: dict[str, list[Answer]]
) -> None:
    def line(name: str, asked: Sequence[Question], given: Sequence[Answer]) -> str:
        ranks = [rank_of_expected(*pair) for pair in zip(asked, given, strict=True)]
        first, found = ranks.count(1), len(ranks) - ranks.count(None)
        return f"{name}: first for {first} of {len(ranks)} questions, among the five for {found}."

    def of_mode(mode: str) -> tuple[list[Question], list[Answer]]:
        pairs = [pair for pair in zip(questions, answers, strict=True) if pair[0].mode == mode]
        return [question for question, _ in pairs], [answer for _, answer in pairs]

    english, fused = of_mode("hybrid")
    out.print(
        "\nWhere the expected passage came (questions and corpus were fixed before the first run):"
    )
    out.print(line("  English, both sides fused", english, fused))
    out.print(line("    the vectors alone", english, alone["default"]))
    out.print(line("    BM25 alone", english, alone["text_search"]))
    out.print(line("  Korean, BM25", *of_mode("text_search")))


def _show_differences(before: Sequence[Answer], after: Sequence[Answer]) -> None:
    for one, two in zip(before, after, strict=True):
        if not same_answers([one], [two]):
            out.print(Text(one.question, style="bold red"))
            for passages in (one.passages, two.passages):
                out.print([(passage.id, passage.score) for passage in passages])
