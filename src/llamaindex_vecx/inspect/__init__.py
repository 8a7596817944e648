"""Look into a collection: what each stage finds, what it moves, and judgements by hand: extra ``ui``.

The page (``page.py``) only shows; everything that it shows is worked out in the other modules, which need no
Streamlit.
"""

from llamaindex_vecx.inspect.facets import Facet, chosen_filters, find_facets
from llamaindex_vecx.inspect.judgements import Judgements
from llamaindex_vecx.inspect.moves import Move, moves_between
from llamaindex_vecx.inspect.plane import Plane
from llamaindex_vecx.inspect.recall import Exact
from llamaindex_vecx.inspect.stages import Hit, Run, Stage, run_stages

__all__ = [
    "Exact",
    "Facet",
    "Hit",
    "Judgements",
    "Move",
    "Plane",
    "Run",
    "Stage",
    "chosen_filters",
    "find_facets",
    "moves_between",
    "run_stages",
]
