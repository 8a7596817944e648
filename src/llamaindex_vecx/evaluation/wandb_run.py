"""An evaluation or a study as one W&B run: metrics, tables and plots."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from llamaindex_vecx.errors import InvalidInputError, MissingExtraError

__all__ = ["log_run"]


def log_run(
    project: str,
    *,
    name: str,
    config: Mapping[str, Any],
    metrics: Mapping[str, float],
    tables: Mapping[str, Sequence[Mapping[str, Any]]],
    plots: Mapping[str, bytes] | None = None,
) -> str:
    """Log everything to a new run and finish it. ``WANDB_MODE=offline`` keeps it on disk.

    Parameters
    ----------
    project, name : str
        Of the run.
    config : mapping
        What was measured, with which settings.
    metrics : mapping of name to number
    tables : mapping of name to rows
        Rows are plain JSON; the columns are the keys of the first.
    plots : mapping of name to PNG, optional

    Returns
    -------
    str
        The run's id.

    Raises
    ------
    MissingExtraError
        wandb is not installed.
    InvalidInputError
        The run can't be begun (no account, no network).
    """
    try:
        import wandb
    except ImportError as error:
        raise MissingExtraError("wandb", "wandb") from error
    try:
        run = wandb.init(
            project=project,
            name=name,
            config=dict(config),
            job_type="evaluation",
            # said, since wandb would go on in the folder of the process's first run
            dir=os.environ.get("WANDB_DIR", os.getcwd()),
        )
    except Exception as error:  # wandb raises its own kinds, and those of its network
        raise InvalidInputError(
            f"no W&B run can be begun in {project!r} ({error}); WANDB_MODE=offline needs no account"
        ) from error
    try:
        logged: dict[str, Any] = dict(metrics)
        for title, rows in tables.items():
            columns = list(rows[0]) if rows else []
            data = [[row.get(column) for column in columns] for row in rows]
            logged[title] = wandb.Table(columns=columns, data=data, allow_mixed_types=True)
        for title, png in (plots or {}).items():
            logged[title] = wandb.Image(_decoded(png))
        run.log(logged)
        return str(run.id)
    finally:
        run.finish()


def _decoded(png: bytes) -> Any:
    import io

    from PIL import Image  # comes with matplotlib, which drew it

    return Image.open(io.BytesIO(png))
