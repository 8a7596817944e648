"""The command's frame: its options, its subcommands, and how an error is shown."""

from __future__ import annotations

import logging
import warnings
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from llamaindex_vecx import __version__
from llamaindex_vecx.cli.ask import ask
from llamaindex_vecx.cli.console import out, print_error, print_note
from llamaindex_vecx.cli.demo import demo
from llamaindex_vecx.cli.eval import evaluate_command
from llamaindex_vecx.cli.finetune import finetune
from llamaindex_vecx.cli.info import info
from llamaindex_vecx.cli.ingest import ingest
from llamaindex_vecx.cli.inspect import inspect
from llamaindex_vecx.cli.pinecone_local import pinecone_local
from llamaindex_vecx.cli.study import study
from llamaindex_vecx.errors import VecxError

__all__ = ["app"]


def _show_warning(message: Warning | str, *_: Any) -> None:
    print_note(f"Note: {message}")


class _Plain(TyperGroup):
    """Shows this package's own errors as one line; everything else is a bug and keeps its traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the subcommand."""
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _show_warning  # type: ignore[assignment]
                logging.getLogger("llamaindex_vecx").addHandler(logging.NullHandler())
                return super().invoke(ctx)
        except VecxError as error:
            if ctx.params.get("debug"):
                raise
            print_error(str(error))
            raise typer.Exit(1) from error


app: typer.Typer = typer.Typer(
    cls=_Plain,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        out.print(f"vecx {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def frame(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option("--debug", envvar="VECX_DEBUG", help="Show tracebacks of our own errors too."),
    ] = False,
) -> None:
    """Files in, passages out: durable hybrid retrieval for LlamaIndex."""


app.command()(ingest)
app.command()(ask)
app.command()(info)
app.command()(demo)
app.command()(inspect)
app.command("pinecone-local")(pinecone_local)
app.command("eval")(evaluate_command)
app.command()(study)
app.add_typer(finetune, name="finetune")
