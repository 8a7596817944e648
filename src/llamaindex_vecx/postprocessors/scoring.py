"""The scores of many texts for one query: tokenise, batch by length, run, keep the best window."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llamaindex_vecx.errors import UnsupportedError
from llamaindex_vecx.postprocessors.batches import padded, plan_batches
from llamaindex_vecx.postprocessors.loading import Loaded
from llamaindex_vecx.postprocessors.pairs import Pair, PairTokenizer

__all__ = ["Scorer", "Scores"]


@dataclass(frozen=True)
class Scores:
    """What scoring gave and what it took.

    Attributes
    ----------
    logits : list of float
        One a text, before any activation.
    pairs, tokens : int
        That went through the model; tokens with their padding.
    """

    logits: list[float]
    pairs: int
    tokens: int


class Scorer:
    """Scores by one loaded model.

    Parameters
    ----------
    loaded : Loaded
    budget : int
        Tokens in a batch.
    best : bool
        Score every window of a long text and keep the best score; otherwise the first window is all.
    overlap : int
        Tokens that windows share.

    Raises
    ------
    UnsupportedError
        Windows are asked of a model that builds its own input.
    """

    def __init__(self, loaded: Loaded, *, budget: int, best: bool, overlap: int) -> None:
        self.loaded = loaded
        self._budget = budget
        self._tokenizer: PairTokenizer | None = None
        if loaded.forward is not None:
            self._tokenizer = PairTokenizer(
                loaded.encoder.tokenizer, loaded.max_length, best=best, overlap=overlap
            )
        elif best:
            raise UnsupportedError(
                "window='best' needs a model that reads two texts, and this one builds a prompt of its "
                "own; use window='first'"
            )
        # Vector instructions finish a row of attention at once where its length is a multiple of them.
        self._multiple = 16 if loaded.device == "cpu" and loaded.dtype != "float32" else 8

    def score(self, query: str, texts: Sequence[str]) -> Scores:
        """The logit of each text."""
        if not texts:
            return Scores([], 0, 0)
        if self._tokenizer is None:
            return self._predict(query, texts)
        pairs = self._tokenizer.pairs(query, texts)
        lengths = [len(pair.ids) for pair in pairs]
        logits = [-math.inf] * len(texts)
        tokens = 0
        for batch in plan_batches(lengths, self._budget, self._multiple):
            length = min(padded(lengths[batch[0]], self._multiple), self.loaded.max_length)
            tokens += length * len(batch)
            scores = self._run([pairs[place] for place in batch], length)
            for place, score in zip(batch, scores, strict=True):
                text = pairs[place].text
                logits[text] = max(logits[text], score)
        return Scores(logits, len(pairs), tokens)

    def _run(self, pairs: Sequence[Pair], length: int) -> list[float]:
        import torch

        padding = self.loaded.encoder.tokenizer.pad_token_id or 0
        lacks = [length - len(pair.ids) for pair in pairs]
        ids = [pair.ids + [padding] * lack for pair, lack in zip(pairs, lacks, strict=True)]
        mask = [[1] * (length - lack) + [0] * lack for lack in lacks]
        features = {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}
        if "token_type_ids" in self.loaded.encoder.tokenizer.model_input_names:
            types = [pair.types + [0] * lack for pair, lack in zip(pairs, lacks, strict=True)]
            features["token_type_ids"] = torch.tensor(types)
        features = {name: value.to(self.loaded.device) for name, value in features.items()}
        assert self.loaded.forward is not None
        with torch.inference_mode():
            logits: list[float] = self.loaded.forward(**features).float().reshape(-1).tolist()
        return logits

    def _predict(self, query: str, texts: Sequence[str]) -> Scores:
        """By the library's own way, in batches of texts of like length."""
        import torch

        encoder = self.loaded.encoder
        counted = encoder.tokenizer([query, *texts], add_special_tokens=False)["input_ids"]
        asked, *told = [len(ids) for ids in counted]
        most = self.loaded.max_length
        lengths = [min(asked + length, most) for length in told]
        logits = [0.0] * len(texts)
        for batch in plan_batches(lengths, self._budget):
            scores: Any = encoder.predict(
                [(query, texts[place]) for place in batch],
                batch_size=len(batch),
                activation_fn=torch.nn.Identity(),
                show_progress_bar=False,
            )
            for place, score in zip(batch, scores, strict=True):
                logits[place] = float(score)
        return Scores(logits, len(texts), sum(lengths))

    def activation(self, normalize: str) -> Any:
        """The function from a logit to a score.

        Parameters
        ----------
        normalize : str
            ``"model"``: as the model's own configuration says; ``"sigmoid"``; ``"none"``.
        """
        import torch

        own = self.loaded.encoder.activation_fn
        if normalize == "none" or (normalize == "model" and isinstance(own, torch.nn.Identity)):
            return float
        if normalize == "sigmoid" or isinstance(own, torch.nn.Sigmoid):
            return _sigmoid
        return lambda logit: float(own(torch.tensor([logit]))[0])


def _sigmoid(logit: float) -> float:
    if logit >= 0:
        return 1.0 / (1.0 + math.exp(-logit))
    small = math.exp(logit)
    return small / (1.0 + small)
