"""Answers as texts: BLEU and ROUGE against references, and perplexity. Kept libraries compute them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from llamaindex_vecx.errors import InvalidInputError, MissingExtraError

__all__ = ["bleu", "perplexity", "rouge"]

_WORD = re.compile(r"[^\W_]+")
_EAST_ASIAN = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3]")


def bleu(
    answers: Sequence[str],
    references: Sequence[str | Sequence[str]],
    *,
    tokenize: str | None = None,
) -> float:
    """Corpus BLEU by sacrebleu (Papineni et al. 2002; Post 2018), from 0 to 100.

    Parameters
    ----------
    answers : sequence of str
    references : sequence of str, or of several for each answer
    tokenize : str, optional
        Of sacrebleu. None is ``"13a"``, and ``"char"`` where a reference holds Korean, Chinese or
        Japanese: 13a takes a Korean word with its particle as one token, and hardly any are equal.

    Raises
    ------
    InvalidInputError
        As many references as answers are needed, and at least one.
    MissingExtraError
        sacrebleu is not installed: extra ``eval``.
    """
    try:
        from sacrebleu.metrics import BLEU
    except ImportError as error:
        raise MissingExtraError("sacrebleu", "eval") from error
    several = _references(answers, references)
    if tokenize is None:
        tokenize = "char" if any(_EAST_ASIAN.search(t) for ts in several for t in ts) else "13a"
    most = max(map(len, several))
    # sacrebleu wants streams: the first reference of every answer, the second of every answer, …
    streams = [
        [texts[place] if place < len(texts) else None for texts in several] for place in range(most)
    ]
    try:
        scorer = BLEU(tokenize=tokenize)
    except (KeyError, ValueError, RuntimeError, ImportError, AssertionError) as error:
        raise InvalidInputError(f"tokenize={tokenize!r} is none of sacrebleu's: {error}") from error
    return float(scorer.corpus_score(list(answers), streams).score)


def rouge(
    answers: Sequence[str],
    references: Sequence[str | Sequence[str]],
    *,
    kinds: Sequence[str] = ("rouge1", "rouge2", "rougeL"),
    stem: bool = False,
) -> dict[str, float]:
    """Mean F1 of ROUGE (Lin 2004) by rouge-score, in [0, 1]; of several references the best counts.

    rouge-score's own tokenizer drops every letter but a to z, so any two Korean texts would score 0. Here a
    token is a word in any script.

    Parameters
    ----------
    answers, references
        As for :func:`bleu`.
    kinds : sequence of str
        Of rouge-score: ``"rouge1"``, ``"rouge2"``, …, ``"rougeL"``, ``"rougeLsum"``.
    stem : bool
        Cut English words to their stem (Porter), with rouge-score's own tokenizer.

    Raises
    ------
    InvalidInputError, MissingExtraError
    """
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError as error:
        raise MissingExtraError("rouge-score", "eval") from error
    several = _references(answers, references)
    scorer = RougeScorer(list(kinds), use_stemmer=stem, tokenizer=None if stem else _Words())
    try:
        scores = [
            scorer.score_multi(texts, answer)
            for answer, texts in zip(answers, several, strict=True)
        ]
    except ValueError as error:
        raise InvalidInputError(
            f"kinds={list(kinds)} are not all rouge-score's: {error}"
        ) from error
    return {kind: sum(score[kind].fmeasure for score in scores) / len(scores) for kind in kinds}


class _Words:
    """What rouge-score takes for a tokenizer."""

    def tokenize(self, text: str) -> list[str]:
        return _WORD.findall(text.lower())


def perplexity(
    texts: Sequence[str], model: str | Any, tokenizer: Any = None, *, max_tokens: int = 1024
) -> list[float]:
    """Perplexity of each text under a causal language model, by transformers.

    ``exp`` of the mean negative log-likelihood of a text's tokens after the first.

    Parameters
    ----------
    texts : sequence of str
    model : str or transformers model
        A HuggingFace name or folder, or a causal model that is loaded already.
    tokenizer : optional
        With a loaded model.
    max_tokens : int
        Texts are cut after so many.

    Raises
    ------
    InvalidInputError
        A text has fewer than two tokens, or the model can't be loaded.
    MissingExtraError
        transformers or torch is not installed: extra ``huggingface``.
    """
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
    except ImportError as error:
        raise MissingExtraError("transformers", "huggingface") from error
    if isinstance(model, str):
        try:
            tokenizer = AutoTokenizer.from_pretrained(model)
            model = AutoModelForCausalLM.from_pretrained(model)
        except (OSError, ValueError) as error:
            raise InvalidInputError(
                f"the language model {model!r} can't be loaded: {error}"
            ) from error
    elif tokenizer is None:
        raise InvalidInputError("a loaded model needs its tokenizer beside it")
    model.eval()
    values = []
    for place, text in enumerate(texts):
        ids = tokenizer(text, return_tensors="pt", truncation=True, max_length=max_tokens)[
            "input_ids"
        ]
        if ids.shape[1] < 2:
            raise InvalidInputError(
                f"texts[{place}]={text!r} has {ids.shape[1]} tokens; perplexity needs two"
            )
        with torch.no_grad():
            values.append(math.exp(float(model(input_ids=ids, labels=ids).loss)))
    return values


def _references(
    answers: Sequence[str], references: Sequence[str | Sequence[str]]
) -> list[list[str]]:
    if isinstance(answers, str) or not len(answers) or len(answers) != len(references):
        raise InvalidInputError(
            f"answers and references must be lists of one length, not {len(answers)} and "
            f"{len(references)}"
        )
    several = [[texts] if isinstance(texts, str) else list(texts) for texts in references]
    bare = next((place for place, texts in enumerate(several) if not texts), None)
    if bare is not None:
        raise InvalidInputError(f"references[{bare}] is empty; give at least one")
    return several
