"""Answers of one configuration, judged by an LLM that the user names."""

from __future__ import annotations

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.query_engine import RetrieverQueryEngine
from rich.text import Text

from llamaindex_vecx.cli.console import err
from llamaindex_vecx.cli.llms import load_llm
from llamaindex_vecx.evaluation.judging import Judged, answer_records, judge_answers
from llamaindex_vecx.evaluation.labelled import LabelledQueries

__all__ = ["judge_retriever"]


def judge_retriever(retriever: BaseRetriever, labelled: LabelledQueries, name: str) -> Judged:
    """Answer every labelled query over a retriever, and judge the answers.

    Raises
    ------
    InvalidInputError
        There is no such LLM.
    """
    llm = load_llm(name)
    engine = RetrieverQueryEngine.from_args(retriever, llm=llm)
    with err.status(Text(f"Answering and judging {len(labelled)} queries …")):
        return judge_answers(answer_records(engine, list(labelled.queries.values())), llm)
