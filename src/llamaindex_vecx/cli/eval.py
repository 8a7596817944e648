"""``vecx eval``: retrieval measured on labelled queries, compared, plotted, and a gate for CI."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from llama_index.core.base.base_retriever import BaseRetriever
from rich.text import Text

from llamaindex_vecx.cli.ask import Mode, model_of
from llamaindex_vecx.cli.console import err, out, print_error, print_json, print_note
from llamaindex_vecx.cli.corpus import ingest_corpus
from llamaindex_vecx.cli.eval_report import check_outputs, print_report, write_plots
from llamaindex_vecx.cli.opening import open_store
from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.evaluation.asking import evaluate
from llamaindex_vecx.evaluation.comparing import Comparison, compare
from llamaindex_vecx.evaluation.formats import load_labelled
from llamaindex_vecx.evaluation.gate import failures, parse_threshold
from llamaindex_vecx.evaluation.labelled import LabelledQueries
from llamaindex_vecx.evaluation.measures import get_measure
from llamaindex_vecx.evaluation.measuring import DEFAULT_MEASURES, evaluate_run
from llamaindex_vecx.evaluation.page import summary, write_page
from llamaindex_vecx.evaluation.results import Evaluation
from llamaindex_vecx.evaluation.runs import read_run
from llamaindex_vecx.retrievers import HybridRetriever, StoreRetriever
from llamaindex_vecx.stores.local import LocalVectorStore

if TYPE_CHECKING:
    from llamaindex_vecx.evaluation.judging import Judged

__all__ = ["evaluate_command"]

_DEEP = 100
"""Nodes to ask for where a measure has no cut-off."""


def evaluate_command(
    data: Annotated[
        Path, typer.Argument(help="BEIR folder, TREC qrels, SQuAD JSON, or a list of questions.")
    ],
    source: Annotated[
        Path | None, typer.Option("--from", metavar="DIR", help="The collection to ask.")
    ] = None,
    run: Annotated[
        Path | None, typer.Option(help="Measure this TREC run instead of asking a collection.")
    ] = None,
    ingest: Annotated[
        bool, typer.Option("--ingest", help="First put the data's own corpus into the collection.")
    ] = False,
    mode: Annotated[
        list[Mode] | None,
        typer.Option(help="How to search; several are compared with the first."),
    ] = None,
    measure: Annotated[
        list[str] | None, typer.Option(help="E.g. ndcg@10; may be repeated.")
    ] = None,
    top_k: Annotated[
        int | None, typer.Option(min=1, help="Nodes to ask for; default: the largest cut-off.")
    ] = None,
    split: Annotated[str, typer.Option(help="Of a BEIR folder.")] = "test",
    queries: Annotated[
        Path | None, typer.Option(help="Texts of the queries of TREC qrels.")
    ] = None,
    group_by: Annotated[
        str | None,
        typer.Option(
            metavar="KEY", help="What the relevant ids name: ref_doc_id, or a metadata key."
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first queries.")] = None,
    against: Annotated[
        Path | None, typer.Option(help="Compare with an evaluation that --save wrote.")
    ] = None,
    fail_under: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MEASURE=VALUE", help="Exit with 1 if the first configuration is under it."
        ),
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Write the first configuration as JSON.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write its table by query.")] = None,
    write_run: Annotated[Path | None, typer.Option(help="Write its run in TREC's format.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page of everything.")] = None,
    png: Annotated[Path | None, typer.Option(help="Write the plot of the means.")] = None,
    price: Annotated[
        float | None, typer.Option(help="USD for a million tokens of the embedding model.")
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:LLM", help="Answer with this LLM, and let it judge the answers."
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="NAME_OR_FOLDER", help="Embedding model, as for ingest.")
    ] = None,
    tokenizer: Annotated[
        str | None, typer.Option(help="Of a collection that --ingest makes.")
    ] = None,
    wandb: Annotated[
        str | None, typer.Option(metavar="PROJECT", help="Log everything to a W&B run.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Measure retrieval on labelled queries."""
    thresholds = [parse_threshold(text) for text in fail_under or []]
    measures = list(
        dict.fromkeys([*(measure or DEFAULT_MEASURES), *(t.measure for t in thresholds)])
    )
    depth = _depth(measures, top_k)
    check_outputs(save, csv, write_run, html, png)
    baseline = None if against is None else _saved(against)
    labelled = load_labelled(data, split=split, queries=queries, group_by=group_by)
    if limit is not None:
        labelled = labelled.first(limit)
    judged: Judged | None = None
    if (run is None) == (source is None):
        raise InvalidInputError("give either --from DIR, a collection to ask, or --run FILE")
    if run is not None:
        evaluations = [evaluate_run(read_run(run), labelled, measures=measures, name=run.stem)]
    else:
        assert source is not None, "checked above"
        if ingest:
            ingest_corpus(labelled, source, model=model, tokenizer=tokenizer)
        modes = list(dict.fromkeys(mode or [Mode.hybrid]))
        with open_store(source, read_only=True) as store:
            retrievers = _retrievers(store, modes, depth, labelled, model)
            evaluations = [
                _evaluated(retriever, labelled, measures, name, store, price)
                for name, retriever in retrievers.items()
            ]
            if judge is not None:
                from llamaindex_vecx.cli.judge import judge_retriever

                judged = judge_retriever(next(iter(retrievers.values())), labelled, judge)
    comparisons = _comparisons(evaluations, baseline, measures[0])
    first = evaluations[0]
    for path, write in ((save, first.save), (csv, first.write_csv), (write_run, first.write_run)):
        if path is not None:
            write(path)
    shown = [*evaluations] if baseline is None else [*evaluations, baseline]
    if html is not None:
        write_page(html, shown, comparisons)
    if png is not None:
        write_plots(png, shown)
    if wandb is not None:
        _log(wandb, evaluations, comparisons, judged)
    reasons = failures(first, thresholds)
    if as_json:
        print_json(_json(evaluations, comparisons, judged, reasons))
    else:
        print_report(shown, comparisons, judged, measures[0])
    for evaluation in evaluations:
        for remark in evaluation.remarks:
            print_note(f"{evaluation.name}: {remark}")
    for reason in reasons:
        print_error(f"{first.name}: {reason}")
    if reasons:
        raise typer.Exit(1)
    if thresholds and not as_json:
        passed = ", ".join(f"{t.measure} ≥ {t.least:g}" for t in thresholds)
        out.print(Text(f"Passed: {passed}", style="green"))


def _saved(path: Path) -> Evaluation:
    """Under another name than the same configuration has now."""
    saved = Evaluation.load(path)
    return replace(saved, name=f"{saved.name} (saved)")


def _depth(measures: list[str], top_k: int | None) -> int:
    wanted = [get_measure(name).k for name in measures]
    if top_k is not None:
        return top_k
    return max(int(k) if k < 1e6 else _DEEP for k in wanted)


def _retrievers(
    store: LocalVectorStore,
    modes: list[Mode],
    depth: int,
    labelled: LabelledQueries,
    model: str | None,
) -> dict[str, BaseRetriever]:
    """By name of the mode. With groups, so many groups are asked for."""
    question = next(iter(labelled.queries.values()), "")
    dense = any(mode is not Mode.text_search for mode in modes)
    embed_model = model_of(store, model, question) if dense else None
    group_by = labelled.group_by
    retrievers: dict[str, BaseRetriever] = {}
    for mode in modes:
        if mode is Mode.hybrid:
            retrievers[mode.value] = HybridRetriever.from_store(
                store, embed_model, similarity_top_k=depth, group_by=group_by
            )
        else:
            retrievers[mode.value] = StoreRetriever(
                store,
                mode.value,
                embed_model=embed_model,
                similarity_top_k=depth,
                store_options={} if group_by is None else {"group_by": group_by},
            )
    return retrievers


def _evaluated(
    retriever: BaseRetriever,
    labelled: LabelledQueries,
    measures: list[str],
    name: str,
    store: LocalVectorStore,
    price: float | None,
) -> Evaluation:
    with err.status(Text(f"Asking {len(labelled)} queries, {name} …")):
        return evaluate(
            retriever,
            labelled,
            measures=measures,
            name=name,
            store=store,
            price_per_million_tokens=price,
            on_error="keep",
        )


def _comparisons(
    evaluations: list[Evaluation], baseline: Evaluation | None, measure: str
) -> list[Comparison]:
    first, *others = evaluations
    if baseline is not None:
        return [compare(evaluation, baseline, measure) for evaluation in evaluations]
    return [compare(evaluation, first, measure) for evaluation in others]


def _json(
    evaluations: list[Evaluation],
    comparisons: list[Comparison],
    judged: Judged | None,
    reasons: list[str],
) -> dict[str, Any]:
    return {
        "evaluations": [evaluation.to_json() for evaluation in evaluations],
        "comparisons": [comparison.to_json() for comparison in comparisons],
        "judged": None if judged is None else judged.to_json(),
        "failures": reasons,
    }


def _log(
    project: str,
    evaluations: list[Evaluation],
    comparisons: list[Comparison],
    judged: Judged | None,
) -> None:
    from llamaindex_vecx.evaluation.plots import as_png, plot_means
    from llamaindex_vecx.evaluation.wandb_run import log_run

    first = evaluations[0]
    tables: dict[str, Any] = {"configurations": [summary(evaluation) for evaluation in evaluations]}
    tables |= {f"queries/{evaluation.name}": evaluation.rows() for evaluation in evaluations}
    metrics = {f"{e.name}/{name}": value for e in evaluations for name, value in e.means.items()}
    metrics |= {f"{c.name}/p_value": c.p_value for c in comparisons}
    if judged is not None:
        tables["answers"] = judged.rows()
        metrics |= {
            f"answers/{name}": mean for name, mean in judged.means.items() if mean is not None
        }
    log_run(
        project,
        name=f"eval {first.data}",
        config={"data": first.data, "configurations": [e.name for e in evaluations]},
        metrics=metrics,
        tables=tables,
        plots={"means": as_png(plot_means(evaluations))},
    )
