"""What happens to nodes between retrieval and the answer."""

from llamaindex_vecx.postprocessors.cross_encoder import CrossEncoderRerank
from llamaindex_vecx.postprocessors.score_cache import ScoreCache

__all__ = ["CrossEncoderRerank", "ScoreCache"]
