"""The pictures of the page as HTML and SVG: lists with lines between them, and the map.

All text in them is escaped; :data:`SHOW` only puts them where Streamlit says, since it would take SVG out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise

import numpy as np
from llama_index.core.schema import BaseNode, MetadataMode
from numpy.typing import NDArray

from llamaindex_vecx.inspect.moves import paths
from llamaindex_vecx.inspect.stages import Run

__all__ = ["SHOW", "body_of", "draw_lists", "draw_map", "title_of"]

SHOW = """export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".vecx-picture");
  root.innerHTML = data;
  const light = (event) => {
    const near = event.target.closest("[data-passage]");
    const on = event.type === "pointerover" || event.type === "focusin";
    for (const part of root.querySelectorAll("[data-passage]"))
      part.classList.toggle("lit", on && near !== null && part.dataset.passage === near.dataset.passage);
  };
  for (const type of ["pointerover", "pointerout", "focusin", "focusout"]) root.addEventListener(type, light);
}"""
"""JavaScript of the component: a picture as it comes, and a passage lit in every list when one is touched."""

_COLOURS = (
    "#00897b", "#e64a19", "#3949ab", "#8e24aa", "#6d4c41", "#c2185b",
    "#558b2f", "#0277bd", "#f9a825", "#546e7a", "#ad1457", "#2e7d32",
)  # fmt: skip

_ROW = 54
_CARD = 46
_HEAD = 30
_GAP = 6.0

_STYLE = """<style>
.vecx-lists{position:relative;font-size:.8rem;line-height:1.25;color:inherit}
.vecx-lists svg{position:absolute;inset:0;width:100%;height:100%}
.vecx-lists ol{position:absolute;top:0;margin:0;padding:0;list-style:none}
.vecx-lists li{position:absolute;left:0;right:0;margin:0;box-sizing:border-box;overflow:hidden;
  border:1px solid rgba(128,128,128,.45);border-left:4px solid;border-radius:6px;padding:3px 6px;
  background:var(--vecx-card,#fff);color:#263238}
.vecx-lists li b,.vecx-lists li span{display:block;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.vecx-lists li span{opacity:.75;font-size:.72rem}
.vecx-lists li:focus{outline:3px solid #ffb300}
.vecx-lists path{transition:stroke-width .15s}
.vecx-lists .lit{stroke-width:6px}
.vecx-lists li.lit{box-shadow:0 0 0 2px #ffb300}
.vecx-head{position:absolute;top:0;left:0;right:0;font-weight:600;white-space:nowrap;overflow:hidden;
  text-overflow:ellipsis}
@media (max-width:640px){.vecx-lists{font-size:.68rem}.vecx-lists li{padding:3px}
  .vecx-lists li span{font-size:.62rem}}
</style>"""


def title_of(node: BaseNode, untitled: str = "") -> str:
    """A short name: the innermost heading, else the first line of the text, else the file."""
    heading = str(node.metadata.get("heading") or "").rsplit(" › ", 1)[-1]
    text = node.get_content(metadata_mode=MetadataMode.NONE).strip()
    first = text.split("\n", 1)[0].lstrip("# ").strip()
    return heading or first[:80] or str(node.metadata.get("file_name") or untitled)


def body_of(node: BaseNode) -> str:
    """The text without its heading, which the title says already."""
    text = node.get_content(metadata_mode=MetadataMode.NONE).strip()
    first, _, rest = text.partition("\n")
    return rest.strip() if first.startswith("#") and rest.strip() else text


def draw_lists(run: Run, names: Mapping[str, str], untitled: str = "") -> str:
    """Lists side by side; a line follows each passage from one list to the next that has it.

    Parameters
    ----------
    run : Run
    names : mapping of stage to str
        The headings.
    """
    columns = len(run.stages)
    rows = max((len(stage.shown) for stage in run.stages), default=0)
    height = _HEAD + rows * _ROW
    width = (100 - _GAP * (columns - 1)) / columns
    lefts = [column * (width + _GAP) for column in range(columns)]
    colours = {id_: _COLOURS[at % len(_COLOURS)] for at, id_ in enumerate(run.passages())}
    lines = []
    for id_, places in paths(run).items():
        for (a, rank_a), (b, rank_b) in pairwise(places):
            x1, y1 = lefts[a] + width, _middle(rank_a)
            x2, y2 = lefts[b], _middle(rank_b)
            bend = (x2 - x1) / 2
            broken = ' stroke-dasharray="5 4"' if b - a > 1 else ""
            lines.append(
                f'<path data-passage="{escape(id_)}" d="M{x1:.2f} {y1}C{x1 + bend:.2f} {y1} '
                f'{x2 - bend:.2f} {y2} {x2:.2f} {y2}" fill="none" stroke="{colours[id_]}" '
                f'stroke-width="2.5" vector-effect="non-scaling-stroke"{broken}/>'
            )
    lists = []
    for stage, left in zip(run.stages, lefts, strict=True):
        name = escape(f"{names.get(stage.name, stage.name)} · {_milliseconds(stage.seconds)} ms")
        items = "".join(
            f'<li tabindex="0" data-passage="{escape(hit.id)}" '
            f'style="top:{_HEAD + (hit.rank - 1) * _ROW}px;height:{_CARD}px;'
            f'border-left-color:{colours[hit.id]}" '
            f'title="{escape(title_of(run.nodes[hit.id], untitled))}">'
            f"<b>{hit.rank}. {escape(title_of(run.nodes[hit.id], untitled))}</b>"
            f"<span>{_score(hit.score)} {escape(_file(run.nodes[hit.id]))}</span></li>"
            for hit in stage.shown
        )
        lists.append(
            f'<ol aria-label="{name}" data-stage="{stage.name}" '
            f'style="left:{left:.2f}%;width:{width:.2f}%;height:{height}px">'
            f'<li class="vecx-head" style="border:0;background:none;color:inherit" aria-hidden="true">'
            f"{name}</li>{items}</ol>"
        )
    return (
        f'{_STYLE}<div class="vecx-lists" style="height:{height}px">'
        f'<svg viewBox="0 0 100 {height}" preserveAspectRatio="none" aria-hidden="true">'
        f"{''.join(lines)}</svg>{''.join(lists)}</div>"
    )


def draw_map(
    points: NDArray[np.float32],
    hits: Sequence[tuple[int, str, NDArray[np.float32]]],
    question: NDArray[np.float32] | None,
    *,
    label: str,
    asked: str,
) -> str:
    """Points of the collection, the hits by rank, and the question as a square on its corner.

    Parameters
    ----------
    points : float32, shape (n, 2)
    hits : sequence of (rank, title, position)
    question : float32, shape (2,), optional
    label, asked : str
        Of the picture and of the question, for who can't see them.
    """
    size, edge = 400.0, 22.0
    marked = [position for _, _, position in hits]
    every = np.vstack([points, *marked, *([] if question is None else [question])])
    low, span = every.min(axis=0), np.ptp(every, axis=0)
    scale = (size - 2 * edge) / np.where(span > 0, span, 1)

    def at(position: NDArray[np.float32]) -> tuple[float, float]:
        x, y = (position - low) * scale + edge
        return round(float(x), 1), round(float(size - y), 1)

    dots = "".join(
        f'<circle cx="{x}" cy="{y}" r="2.2"/>' for x, y in (at(point) for point in points)
    )
    parts = [f'<g fill="#90a4ae" opacity="0.6">{dots}</g>']
    for rank, title, position in sorted(hits, key=lambda hit: -hit[0]):
        x, y = at(position)
        colour = _COLOURS[(rank - 1) % len(_COLOURS)]
        parts.append(
            f'<g data-rank="{rank}"><title>{rank}. {escape(title)}</title>'
            f'<circle cx="{x}" cy="{y}" r="9" fill="{colour}" stroke="#fff" stroke-width="1.5"/>'
            f'<text x="{x}" y="{y + 3.8}" text-anchor="middle" font-size="11" font-weight="600" '
            f'fill="#fff">{rank}</text></g>'
        )
    if question is not None:
        x, y = at(question)
        parts.append(
            f'<g data-question="1"><title>{escape(asked)}</title>'
            f'<rect x="{x - 7}" y="{y - 7}" width="14" height="14" fill="#d50000" stroke="#fff" '
            f'stroke-width="1.5" transform="rotate(45 {x} {y})"/></g>'
        )
    return (
        f'<svg class="vecx-map" role="img" aria-label="{escape(label)}" '
        f'viewBox="0 0 {size:.0f} {size:.0f}" style="width:100%;max-width:560px;'
        f'border:1px solid rgba(128,128,128,.35);border-radius:8px">{"".join(parts)}</svg>'
    )


def _middle(rank: int) -> int:
    return _HEAD + (rank - 1) * _ROW + _CARD // 2


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.1f}" if seconds < 0.01 else f"{1000 * seconds:.0f}"


def _score(score: float) -> str:
    return f"{score:.3f}" if abs(score) < 100 else f"{score:.0f}"


def _file(node: BaseNode) -> str:
    return str(node.metadata.get("file_name") or node.metadata.get("file_path") or "")
