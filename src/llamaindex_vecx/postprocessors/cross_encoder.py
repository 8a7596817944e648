"""A cross-encoder as a LlamaIndex node postprocessor."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.callbacks import CallbackManager
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle

from llamaindex_vecx.checks import check_count
from llamaindex_vecx.fusion import FittedFusion
from llamaindex_vecx.observe.events import stage
from llamaindex_vecx.postprocessors.arguments import check_mix, check_settings, question_of
from llamaindex_vecx.postprocessors.loading import load
from llamaindex_vecx.postprocessors.ranking import AFTER, can_be_scored, order, remember
from llamaindex_vecx.postprocessors.score_cache import ScoreCache
from llamaindex_vecx.postprocessors.scoring import Scorer
from llamaindex_vecx.stores.background import Background

__all__ = ["DEFAULT_MODEL", "CrossEncoderRerank"]

DEFAULT_MODEL = "cross-encoder/ms-marco-MiniLM-L6-v2"
"""English; for Korean and other languages take ``BAAI/bge-reranker-v2-m3``."""

_BUDGETS = {"cpu": 1024, "cuda": 32_768, "mps": 8192}

_dispatcher = get_dispatcher(__name__)


class CrossEncoderRerank(BaseNodePostprocessor):
    """Order nodes by a model that reads query and text together.

    Needs the extra ``rerank``. The model is loaded at once, so that a wrong one is known at once.

    Parameters
    ----------
    model : str
        A name on the Hugging Face hub, or a folder.
    top_n : int
        How many nodes are returned at most.
    score_threshold : float, optional
        Nodes whose final score is lower are dropped.
    normalize : str
        What a score is: ``"model"``, as the model's own configuration says; ``"sigmoid"``, in (0, 1);
        ``"none"``, the bare logit.
    weight : float, optional
        The reranker's share in the final score, in [0, 1]; the rest is the stage before's. None is 1: the
        reranker alone. See :meth:`fit`.
    method, k
        How both are mixed, see :func:`~llamaindex_vecx.fusion.fuse`. Scores of a mix are the method's.
    window : str
        Of a text that is too long: ``"first"`` reads its beginning, ``"best"`` scores it piece by piece
        and takes the best.
    window_overlap : int
        Tokens that neighbouring pieces share.
    max_length : int, optional
        Tokens of query and text together; None is the model's own.
    batch_tokens : int, optional
        Tokens in a batch, with padding; None is chosen by the device.
    device : str, optional
        None is the best there is: cuda, mps, cpu.
    dtype : str, optional
        ``"float32"``, ``"bfloat16"``, ``"float16"`` or ``"int8"``. None is bfloat16 on CPUs with AMX and
        on GPUs; on CPUs with VNNI int8, where the model is of BERT's build and keeps its scores in it;
        else bfloat16 where the CPU multiplies it, or float32.
    backend : str
        ``"torch"``, or ``"openvino"`` (extra ``openvino``), which chooses its arithmetic itself.
    metadata_mode : MetadataMode
        Which metadata are read with the text.
    trust_remote_code : bool
        Run code that comes with the model.
    model_options : dict, optional
        Further arguments of ``sentence_transformers.CrossEncoder``, e.g. ``revision``.
    cache : ScoreCache or bool
        Keep scores by model, query and text; True makes a cache of its own.
    callback_manager : CallbackManager, optional

    Raises
    ------
    InvalidInputError
        An argument is wrong, or the model is no cross-encoder with a single score.
    FormatError
        The model's files are damaged or were cut short.
    MissingExtraError

    Notes
    -----
    Results are new :class:`~llamaindex_vecx.retrievers.FusedNode`; what was given is left as it is. Their
    ``sources`` hold rank and score of the stage before (``"before"``) and of the reranker (``"reranker"``).
    Image nodes and nodes without text can't be scored: they stand unchanged behind the others, whatever
    ``top_n`` and ``score_threshold`` say.

    Examples
    --------
    >>> reranker = CrossEncoderRerank(model="BAAI/bge-reranker-v2-m3", top_n=5)
    >>> engine = RetrieverQueryEngine.from_args(retriever, node_postprocessors=[reranker])
    """

    model: str = Field(description="Name or folder of the cross-encoder.")
    top_n: int = Field(description="Nodes returned at most.")
    score_threshold: float | None = Field(default=None, description="Lowest final score.")
    normalize: str = Field(default="model", description="model, sigmoid or none.")
    weight: float | None = Field(default=None, description="The reranker's share; None is all.")
    method: str = Field(default="z_score", description="How it is mixed with the stage before.")
    k: float | None = Field(default=None, description="Of method rrf.")
    window: str = Field(default="first", description="first or best.")
    window_overlap: int = Field(default=64, description="Tokens that windows share.")
    max_length: int | None = Field(default=None, description="Tokens of a pair.")
    batch_tokens: int | None = Field(default=None, description="Tokens in a batch.")
    device: str | None = Field(default=None, description="torch's device.")
    dtype: str | None = Field(default=None, description="float32, bfloat16, float16, int8.")
    backend: str = Field(default="torch", description="torch or openvino.")
    metadata_mode: MetadataMode = Field(
        default=MetadataMode.EMBED, description="Metadata read with the text."
    )
    trust_remote_code: bool = Field(default=False, description="Run the model's own code.")
    model_options: dict[str, Any] = Field(
        default_factory=dict, description="Further arguments of CrossEncoder."
    )

    _scorer: Scorer = PrivateAttr()
    _cache: ScoreCache | None = PrivateAttr(default=None)
    _lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)
    _background: Background = PrivateAttr(default_factory=lambda: Background(max_workers=1))

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        top_n: int = 5,
        *,
        score_threshold: float | None = None,
        normalize: str = "model",
        weight: float | None = None,
        method: str = "z_score",
        k: float | None = None,
        window: str = "first",
        window_overlap: int = 64,
        max_length: int | None = None,
        batch_tokens: int | None = None,
        device: str | None = None,
        dtype: str | None = None,
        backend: str = "torch",
        metadata_mode: MetadataMode = MetadataMode.EMBED,
        trust_remote_code: bool = False,
        model_options: Mapping[str, Any] | None = None,
        cache: ScoreCache | bool = False,
        callback_manager: CallbackManager | None = None,
    ) -> None:
        settings: dict[str, Any] = {
            "model": model,
            "top_n": top_n,
            "score_threshold": score_threshold,
            "normalize": normalize,
            "weight": weight,
            "method": method,
            "k": k,
            "window": window,
            "window_overlap": window_overlap,
            "max_length": max_length,
            "batch_tokens": batch_tokens,
            "device": device,
            "dtype": dtype,
            "backend": backend,
            "metadata_mode": metadata_mode,
            "trust_remote_code": trust_remote_code,
            "model_options": dict(model_options or {}),
        }
        check_settings(settings)
        settings["model"] = str(model)
        super().__init__(callback_manager=callback_manager or CallbackManager(), **settings)
        loaded = load(
            self.model,
            backend=backend,
            device=device,
            dtype=dtype,
            max_length=max_length,
            trust_remote_code=trust_remote_code,
            options=self.model_options,
        )
        budget = batch_tokens or _BUDGETS.get(loaded.device.partition(":")[0], 8192)
        self._scorer = Scorer(loaded, budget=budget, best=window == "best", overlap=window_overlap)
        self._cache = cache if isinstance(cache, ScoreCache) else ScoreCache() if cache else None

    @classmethod
    def class_name(cls) -> str:
        """The name that LlamaIndex's serialised components carry."""
        return "CrossEncoderRerank"

    def __repr__(self) -> str:
        loaded = self._scorer.loaded
        weight = "" if self.weight is None else f", weight={self.weight:g}, method={self.method!r}"
        return (
            f"CrossEncoderRerank({self.model!r}, top_n={self.top_n}{weight}; {loaded.backend}, "
            f"{loaded.dtype} on {loaded.device})"
        )

    def __str__(self) -> str:
        return repr(self)

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> CrossEncoderRerank:
        return self.model_copy()  # weights are never changed, so copies share them

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled by its settings; the model is loaded again, and a cache begins anew."""
        settings = {
            name: getattr(self, name)
            for name in type(self).model_fields
            if name != "callback_manager"
        }
        return _reopen, (type(self), settings, self._cache is not None)

    def use(
        self, weight: float | None = None, method: str = "z_score", k: float | None = None
    ) -> None:
        """Mix in another way from now on; arguments as for the constructor.

        Raises
        ------
        InvalidInputError
            Nothing was changed.
        """
        check_mix(weight, method, k)
        self.weight, self.method, self.k = weight, method, k

    def fit(
        self,
        queries: Mapping[str, str] | Sequence[str],
        qrels: Mapping[str, Any] | Sequence[Any],
        retriever: BaseRetriever,
        *,
        measure: str = "ndcg@10",
        methods: Sequence[str] | None = None,
        folds: int = 5,
        seed: int = 0,
        group_by: str | None = None,
        show_progress: bool = False,
    ) -> FittedFusion:
        """Choose ``weight`` and ``method`` on labelled queries, and mix so from now on.

        The choice is measured on queries that it was not made on. Where it is no better there than the
        stage before alone, the weight becomes 0 and the stage before stays as it is.

        Parameters
        ----------
        queries, qrels
            As for :meth:`~llamaindex_vecx.HybridRetriever.fit`. Queries that the model was trained on
            flatter it: give others.
        retriever : BaseRetriever
            The stage before.
        measure, methods, folds, seed, group_by, show_progress
            As for :meth:`~llamaindex_vecx.HybridRetriever.fit`.

        Returns
        -------
        FittedFusion
            Of the sources ``"before"`` and ``"reranker"``; print it for a summary.

        Raises
        ------
        InvalidInputError
            Too few queries, or labels that fit nothing; nothing was changed.
        """
        from llamaindex_vecx.postprocessors.fitting import fit_mix

        fitted = fit_mix(
            self._alone(),
            retriever,
            queries,
            qrels,
            group_by=group_by,
            show_progress=show_progress,
            measure=measure,
            methods=methods,
            folds=folds,
            seed=seed,
        )
        self.use(fitted.weights[AFTER], fitted.method, fitted.k)
        return fitted

    def _alone(self) -> CrossEncoderRerank:
        """The same reranker without the mix, for any number of nodes."""
        return self.model_copy(
            update={
                "weight": None,
                "score_threshold": None,
                "top_n": 1_000_000,
                "normalize": "none",
            }
        )

    async def _apostprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        return await self._background.run(lambda: self._postprocess_nodes(nodes, query_bundle))

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        check_count(self.top_n, "top_n")
        query = question_of(query_bundle)
        _dispatcher.event(
            ReRankStartEvent(
                query=query_bundle, nodes=nodes, top_n=self.top_n, model_name=self.model
            )
        )
        loaded = self._scorer.loaded
        with stage(
            "rerank",
            self,
            model=self.model,
            top_n=self.top_n,
            weight=self.weight,
            backend=loaded.backend,
            device=loaded.device,
            dtype=loaded.dtype,
        ) as done:
            start = perf_counter()
            read = [hit for hit in nodes if can_be_scored(hit)]
            passed = [hit for hit in nodes if not can_be_scored(hit)]
            ranked, counts = self._ranked(query, read)
            results = [*ranked, *passed]
            seconds = max(perf_counter() - start, 1e-9)
            done(
                ids=[hit.node_id for hit in results],
                scores=[math.nan if hit.score is None else hit.score for hit in results],
                nodes=len(nodes),
                results=len(results),
                passed_through=len(passed),
                pairs_per_second=round(counts["pairs"] / seconds),
                **counts,
            )
        _dispatcher.event(ReRankEndEvent(nodes=results))
        return results

    def _ranked(
        self, query: str, hits: list[NodeWithScore]
    ) -> tuple[list[NodeWithScore], dict[str, int]]:
        weight = 1.0 if self.weight is None else self.weight
        if weight == 0.0:  # the stage before stays as it is, so nothing need be read
            kept = [hit for hit in hits if self._passes(hit.score)][: self.top_n]
            return kept, {"pairs": 0, "tokens": 0, "cached": 0}
        texts = [hit.node.get_content(metadata_mode=self.metadata_mode) for hit in hits]
        logits, counts = self._logits(query, texts)
        activate: Callable[[float], float] = self._scorer.activation(self.normalize)
        scores = [activate(logit) for logit in logits]
        final = order(hits, logits, scores, method=self.method, k=self.k, weight=weight)
        ranks = {
            place: rank
            for rank, place in enumerate(
                sorted(range(len(hits)), key=lambda place: -logits[place]), start=1
            )
        }
        final = [(place, score) for place, score in final if self._passes(score)]
        results: list[NodeWithScore] = [
            remember(hits[place], score, place + 1, ranks[place], scores[place])
            for place, score in final[: self.top_n]
        ]
        return results, counts

    def _passes(self, score: float | None) -> bool:
        lowest = self.score_threshold
        return lowest is None or (score is not None and score >= lowest)

    def _logits(self, query: str, texts: list[str]) -> tuple[list[float], dict[str, int]]:
        """Each distinct text is scored once, and not at all where the cache knows it."""
        distinct = list(dict.fromkeys(texts))
        known: dict[str, float] = {}
        cache, name = (
            self._cache,
            f"{self._scorer.loaded.fingerprint} {self.window} {self.window_overlap}",
        )
        if cache is not None:
            found = cache.get(name, query, distinct)
            known = {
                text: score
                for text, score in zip(distinct, found, strict=True)
                if score is not None
            }
        new = [text for text in distinct if text not in known]
        with (
            self._lock
        ):  # calls at once would only share the same cores, and their memory would add up
            scored = self._scorer.score(query, new)
        if cache is not None:
            cache.put(name, query, new, scored.logits)
        cached = len(known)
        known.update(zip(new, scored.logits, strict=True))
        counts = {"pairs": scored.pairs, "tokens": scored.tokens, "cached": cached}
        return [known[text] for text in texts], counts


def _reopen(
    cls: type[CrossEncoderRerank], settings: dict[str, Any], cache: bool
) -> CrossEncoderRerank:
    return cls(**settings, cache=cache)
