"""Models of one's own: an embedding model or a reranker, trained on labelled queries.

Needs the extra ``finetune``. The results drop into ``HuggingFaceEmbedding`` and
:class:`~llamaindex_vecx.CrossEncoderRerank`.
"""

from llamaindex_vecx.finetune.data import TrainingData
from llamaindex_vecx.finetune.documents import from_sentences, from_titles, write_questions
from llamaindex_vecx.finetune.embedding import finetune_embedding
from llamaindex_vecx.finetune.negatives import mine_negatives, retrieve_candidates
from llamaindex_vecx.finetune.report import Report
from llamaindex_vecx.finetune.reranker import finetune_reranker
from llamaindex_vecx.finetune.sources import from_beir, from_pairs, from_squad
from llamaindex_vecx.finetune.split import check_leak, hold_out
from llamaindex_vecx.finetune.training import Settings

__all__ = [
    "Report",
    "Settings",
    "TrainingData",
    "check_leak",
    "finetune_embedding",
    "finetune_reranker",
    "from_beir",
    "from_pairs",
    "from_sentences",
    "from_squad",
    "from_titles",
    "hold_out",
    "mine_negatives",
    "retrieve_candidates",
    "write_questions",
]
