"""The wandb package, if it is installed, and a run of it that opens late and falls back to files."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from typing import Any

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.observe.extras import import_extra

__all__ = ["MODES", "LazyRun", "import_wandb", "is_disabled"]

_log = logging.getLogger(__name__)

MODES = ("online", "offline", "shared", "disabled")

_QUIET = {
    # What a run records of its own accord, command line and console output among it, can hold secrets.
    "console": "off",
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_save_requirements": False,
    "disable_git": True,
    "disable_code": True,
    "silent": True,
}


def import_wandb(module: str = "wandb") -> Any:
    """The package or one of its modules.

    Raises
    ------
    MissingExtraError
    """
    return import_extra(module, "wandb")


def is_disabled(mode: str | None) -> bool:
    """Whether W&B is switched off, by argument or by ``WANDB_MODE``."""
    return (mode or os.environ.get("WANDB_MODE", "")).lower() == "disabled"


class LazyRun:
    """A W&B run that is opened when it is first asked for.

    A run that the app has opened is used as it is. Where W&B can't be reached, or there is no API key, the
    run is written to files instead, from which ``wandb sync`` uploads it later.

    Parameters
    ----------
    run : wandb run, optional
        Used as it is, and not finished.
    timeout : float
        Seconds to wait for W&B before the run is written to files.
    arguments : mapping
        Of ``wandb.init``.
    """

    def __init__(self, run: Any | None, timeout: float, arguments: Mapping[str, Any]) -> None:
        mode = arguments.get("mode")
        if mode is not None and mode not in MODES:
            raise InvalidInputError(f"mode={mode!r} must be among {', '.join(MODES)}")
        self._timeout = timeout
        self._arguments = {key: value for key, value in arguments.items() if value is not None}
        self._run = run
        self._ours = False
        self._lock = threading.Lock()

    @property
    def opened(self) -> Any | None:
        """The run if it is open, else None."""
        return self._run

    def get(self) -> Any:
        """The run, opened now if it was not. Takes up to ``timeout`` seconds."""
        with self._lock:
            if self._run is None:
                wandb = import_wandb()
                if wandb.run is not None:
                    self._run = wandb.run
                else:
                    self._run, self._ours = self._open(wandb), True
            return self._run

    def _open(self, wandb: Any) -> Any:
        mode = self._arguments.get("mode") or os.environ.get("WANDB_MODE") or "online"
        if mode in ("online", "shared"):
            try:
                if not wandb.login(prompt=False, verify=False):
                    return self._offline(wandb, "there is no API key (run: wandb login)")
                return self._init(wandb, mode)
            except Exception as error:  # of the network, of the server, of wandb: an app must go on
                first, _, _ = str(error).partition("\n")
                return self._offline(wandb, f"{type(error).__name__}: {first}")
        return self._init(wandb, mode)

    def _offline(self, wandb: Any, reason: str) -> Any:
        run = self._init(wandb, "offline")
        folder = os.path.dirname(run.dir)
        _log.warning(
            "W&B can't be used now: %s. Recording to files; run later: wandb sync %s",
            reason,
            folder,
        )
        return run

    def _init(self, wandb: Any, mode: str) -> Any:
        given = self._arguments.get("settings") or {}
        if not isinstance(given, Mapping):
            given = {name: getattr(given, name) for name in given.model_fields_set}
        settings = {**_QUIET, "init_timeout": self._timeout, **given}
        arguments = {**self._arguments, "mode": mode}
        arguments.setdefault(
            "reinit", "create_new"
        )  # or the app's own wandb.init would get this run
        arguments["settings"] = wandb.Settings(**settings)
        return wandb.init(**arguments)

    def finish(self, timeout: float | None) -> bool:
        """End the run if it was opened here. False if W&B does not take the rest within ``timeout``."""
        with self._lock:
            run, ours = self._run, self._ours
            if not ours or run is None:
                return True
            self._run, self._ours = None, False
        ending = threading.Thread(target=run.finish, name="wandb-finish", daemon=True)
        ending.start()
        ending.join(timeout)
        if ending.is_alive():
            _log.warning(
                "W&B did not take everything in %s s; run later: wandb sync %s",
                timeout,
                os.path.dirname(run.dir),
            )
            return False
        return True
