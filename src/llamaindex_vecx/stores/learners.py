"""The learner modes: fit a linear model that tells the query from the candidates, rank by it.

After Karpathy, "kNN vs. SVM" (2023), with the models and settings of LlamaIndex's SimpleVectorStore.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llama_index.core.vector_stores.types import VectorStoreQueryMode
from numpy.typing import NDArray

from llamaindex_vecx.errors import MissingExtraError

__all__ = ["LEARNERS", "learned_scores"]


def _svm(features: NDArray[Any], labels: NDArray[Any]) -> NDArray[Any]:
    from sklearn.svm import LinearSVC

    model = LinearSVC(class_weight="balanced", max_iter=10_000, tol=1e-6, C=0.1)
    return np.asarray(model.fit(features, labels).decision_function(features))


def _logistic_regression(features: NDArray[Any], labels: NDArray[Any]) -> NDArray[Any]:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(class_weight="balanced")
    return np.asarray(model.fit(features, labels).decision_function(features))


def _linear_regression(features: NDArray[Any], labels: NDArray[Any]) -> NDArray[Any]:
    from sklearn.linear_model import LinearRegression

    return np.asarray(LinearRegression().fit(features, labels).predict(features))


LEARNERS: dict[VectorStoreQueryMode, Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]] = {
    VectorStoreQueryMode.SVM: _svm,
    VectorStoreQueryMode.LOGISTIC_REGRESSION: _logistic_regression,
    VectorStoreQueryMode.LINEAR_REGRESSION: _linear_regression,
}


def learned_scores(
    mode: VectorStoreQueryMode, query: NDArray[np.float32], vectors: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Score of each candidate under the learner of that mode.

    Parameters
    ----------
    mode : one of ``LEARNERS``
    query : float32, shape (dim,)
        The one positive example.
    vectors : float32, shape (n, dim)
        The candidates, taken as negative examples. n is at least 1.

    Returns
    -------
    float32, shape (n,)
        The learner's own score, higher is better.

    Raises
    ------
    MissingExtraError
        scikit-learn is not installed.
    """
    features = np.concatenate([query[None, :], vectors]).astype(np.float64)
    labels = np.zeros(len(features))
    labels[0] = 1.0
    try:
        scores = LEARNERS[mode](features, labels)
    except ImportError as error:
        raise MissingExtraError("sklearn", "learners") from error
    return scores[1:].astype(np.float32)
