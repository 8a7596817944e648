"""Loading a cross-encoder, or saying clearly why it can't be one."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llamaindex_vecx.device import before_torch, choose_device, choose_dtype
from llamaindex_vecx.errors import FormatError, InvalidInputError, MissingExtraError
from llamaindex_vecx.hub import build_from, check_weights_file
from llamaindex_vecx.postprocessors.arithmetic import choose_arithmetic
from llamaindex_vecx.postprocessors.bert import Forward, fast_forward

__all__ = ["BACKENDS", "Loaded", "load"]

BACKENDS = ("torch", "openvino")

_NO_CROSS_ENCODER = (
    "Give a model made for pairs, e.g. 'cross-encoder/ms-marco-MiniLM-L6-v2', "
    "'BAAI/bge-reranker-v2-m3' or 'Dongjin-kr/ko-reranker', or train one with "
    "llamaindex_vecx.finetune.finetune_reranker"
)
_log = logging.getLogger("llamaindex_vecx")

_GENERATIVE = ("ForCausalLM", "ForConditionalGeneration", "ForImageTextToText")


@dataclass(frozen=True)
class Loaded:
    """A cross-encoder that is ready to score.

    Attributes
    ----------
    encoder : CrossEncoder
        sentence-transformers' own.
    forward : callable or None
        (input_ids, attention_mask, token_type_ids) -> logits; None where the model builds its input from
        more than two texts (a prompt, a chat), and only ``encoder.predict`` will do.
    device, dtype, backend : str
    fast : bool
        Whether ``forward`` is ours.
    fingerprint : str
        Changes whenever scores may.
    """

    encoder: Any
    forward: Forward | None
    device: str
    dtype: str
    backend: str
    fast: bool
    fingerprint: str

    @property
    def max_length(self) -> int:
        """Tokens of a pair that the model reads."""
        return int(self.encoder.max_seq_length or 512)


def load(
    name: str,
    *,
    backend: str,
    device: str | None,
    dtype: str | None,
    max_length: int | None,
    trust_remote_code: bool,
    options: dict[str, Any],
) -> Loaded:
    """Load the model of this name or folder.

    Raises
    ------
    InvalidInputError
        There is none, or it is no cross-encoder with one score.
    FormatError
        Its files are damaged or were cut short.
    MissingExtraError
        sentence-transformers is not installed, or for OpenVINO optimum-intel.
    """
    _check_folder(name)
    before_torch()
    library = _library()
    if backend == "openvino":
        _check_openvino()
        device = "cpu" if device is None else device
    device = choose_device(device)
    arithmetic = _arithmetic(dtype, device, backend)

    def build(**where: Any) -> Any:
        return library.CrossEncoder(
            name,
            device=device,
            max_length=max_length,
            backend=backend,
            trust_remote_code=trust_remote_code,
            **{**where, **options},
        )

    # A model is read by way of the hub, the disk, safetensors and torch, each with errors of its own.
    try:
        encoder = build_from(name, build)
    except Exception as error:
        raise _unloadable(name, error) from error
    _check_encoder(name, encoder)
    encoder.eval()
    forward, fast = None, False
    if _takes_pairs(encoder):
        if backend == "torch":
            forward, fast, arithmetic = _torch_forward(encoder, device, arithmetic)
        else:
            forward = _plain_forward(encoder)
    elif backend == "torch":
        arithmetic = _in_floats(arithmetic, device)
        encoder.to(arithmetic)
    if dtype == "int8" and str(arithmetic) != "torch.int8":
        raise InvalidInputError(
            f"dtype='int8' can't be had for model={name!r}: it is not of BERT's build, or rounding it moves "
            "its scores too far; leave dtype out for the fastest that it takes"
        )
    used = str(arithmetic).removeprefix("torch.") if backend == "torch" else "openvino's own"
    return Loaded(encoder, forward, device, used, backend, fast, _fingerprint(name, encoder, used))


def _library() -> Any:
    try:
        import sentence_transformers
    except ImportError as error:
        raise MissingExtraError("sentence-transformers", "rerank") from error
    return sentence_transformers


def _check_openvino() -> None:
    try:
        import optimum.intel  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("optimum-intel", "openvino") from error


def _check_folder(name: str) -> None:
    """Refuse a local folder that holds no cross-encoder before its weights are read."""
    folder = Path(name)
    if not folder.is_dir():
        if folder.is_absolute() or name.startswith((".", "~")):
            raise InvalidInputError(f"model={name!r} is no folder. {_NO_CROSS_ENCODER}")
        return
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except OSError as error:
        raise InvalidInputError(
            f"model={name!r} is a folder without a config.json, so it holds no model. "
            f"{_NO_CROSS_ENCODER}"
        ) from error
    except ValueError as error:
        raise FormatError(
            f"{folder / 'config.json'} is damaged or was cut short: {error}"
        ) from error
    _check_architecture(name, config.get("architectures") or [])
    modules = folder / "modules.json"
    if modules.exists() and "Pooling" in modules.read_text("utf-8"):
        raise _bi_encoder(name)
    for file in sorted(folder.glob("*.safetensors")):
        check_weights_file(file, "copy or train the model again")


def _check_architecture(name: str, architectures: list[str]) -> None:
    for architecture in architectures:
        if "SequenceClassification" in architecture or architecture.endswith(_GENERATIVE):
            return
    if architectures:
        raise _bi_encoder(name, architectures[0])


def _bi_encoder(name: str, architecture: str = "an embedding model") -> InvalidInputError:
    return InvalidInputError(
        f"model={name!r} is no cross-encoder but {architecture}, which gives vectors of single texts and no "
        f"score of a pair. {_NO_CROSS_ENCODER}"
    )


def _check_encoder(name: str, encoder: Any) -> None:
    _check_architecture(name, getattr(encoder.config, "architectures", None) or [])
    labels = encoder.num_labels
    if labels != 1:
        raise InvalidInputError(
            f"model={name!r} gives {labels} labels for a pair, and a reranker needs a single score. "
            f"{_NO_CROSS_ENCODER}"
        )


def _unloadable(name: str, error: Exception) -> Exception:
    reason = str(error).strip().split("\n", 1)[0] or type(error).__name__
    if "safetensor" in type(error).__name__.lower() or "header" in reason.lower():
        return FormatError(f"the weights of {name!r} are damaged or were cut short: {reason}")
    return InvalidInputError(f"model={name!r} can't be loaded ({reason}). {_NO_CROSS_ENCODER}")


def _takes_pairs(encoder: Any) -> bool:
    """Whether its input is two texts between the tokenizer's special tokens, and nothing else."""
    classifies = any(
        "SequenceClassification" in architecture
        for architecture in getattr(encoder.config, "architectures", None) or []
    )
    prompts = getattr(encoder, "prompts", None) or {}
    prompted = any(prompts.values()) and getattr(encoder, "default_prompt_name", None)
    fast_tokenizer = getattr(encoder.tokenizer, "backend_tokenizer", None) is not None
    one_module = not hasattr(encoder, "__len__") or len(encoder) == 1
    return classifies and fast_tokenizer and one_module and not prompted


def _arithmetic(asked: str | None, device: str, backend: str) -> Any:
    if backend == "openvino" and asked == "int8":
        raise InvalidInputError(
            "dtype='int8' is of backend 'torch'; OpenVINO chooses its arithmetic itself"
        )
    return choose_arithmetic(asked, device)


def _torch_forward(encoder: Any, device: str, dtype: Any) -> tuple[Forward, bool, Any]:
    """The forward pass, whether it is ours, and what it computes in."""
    import torch

    choices = list(dict.fromkeys([dtype, _in_floats(dtype, device)]))
    for choice in choices:
        ours = None
        if device == "cpu" and choice in (torch.float32, torch.bfloat16, torch.int8):
            ours = fast_forward(encoder.model.float(), choice)
        if ours is not None:
            encoder.model.base_model.encoder = torch.nn.Identity()  # weights would be there twice
            return ours, True, choice
        if choice == torch.int8:
            _log.info("the reranker's layers can't be had in int8; it computes in %s", choices[-1])
    encoder.model.to(choices[-1])
    return _plain_forward(encoder), False, choices[-1]


def _in_floats(dtype: Any, device: str) -> Any:
    import torch

    return choose_dtype(None, device) if dtype == torch.int8 else dtype


def _plain_forward(encoder: Any) -> Forward:
    model = encoder.model
    return lambda **features: model(**features).logits


def _fingerprint(name: str, encoder: Any, used: str) -> str:
    """The name, which weights it stood for, and how they are used."""
    parts = [
        name,
        used,
        str(encoder.max_seq_length),
        str(getattr(encoder.config, "_commit_hash", "")),
    ]
    folder = Path(name)
    if folder.is_dir():
        for file in sorted(folder.iterdir()):
            if file.is_file():
                state = file.stat()
                parts.append(f"{file.name} {state.st_size} {state.st_mtime_ns}")
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
