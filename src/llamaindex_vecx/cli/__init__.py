"""The ``vecx`` command: ingest files, ask, look into a collection, and the demo."""

__all__ = ["main"]


def main() -> None:
    """Run the command line; what ``vecx`` and ``python -m llamaindex_vecx`` call."""
    from llamaindex_vecx.cli.app import app

    app(prog_name="vecx")
