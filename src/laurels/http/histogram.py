"""The distribution of a board's scores as a chart: SVG of our own, because ten bars need no library."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from laurels.http.shown import format_score, show_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from laurels.definition import Display
    from laurels.stores.contract import Standing, Summary

WIDTH, HEIGHT, PIN, GAP = 640, 160, 14, 4
LEAST = 2
"""How high the bar of a bucket is that is not empty, however few there are."""


def draw_histogram(summary: Summary, display: Display, standing: Standing | None, player: str) -> Iterator[str]:
    """Yield a figure of how many entries have which scores, with a player's place in it if there is one."""
    buckets = summary.histogram
    most = max(bucket.count for bucket in buckets)
    step = WIDTH / len(buckets)
    low, high = buckets[0].low, buckets[-1].high
    edges = [escape(format_score(edge, display)) for edge in (low, *(bucket.high for bucket in buckets))]
    width = f"{step - GAP:.1f}"
    median = summary.percentiles.get("50")
    about = f"Scores from {edges[0]} to {edges[-1]}"
    if median is not None:
        about += f"; the median is {escape(format_score(median, display))}"
    if standing is not None and standing.rank is None:
        standing = None
    mine = f"; {show_name(player)} is in the marked bar" if standing else ""
    yield f'<figure class="chart" id="chart"><figcaption>How the scores are spread{mine}</figcaption>'
    yield f'<svg viewBox="0 0 {WIDTH} {HEIGHT + PIN}" preserveAspectRatio="none" role="img" '
    yield f'aria-label="{about}.">'
    for place, bucket in enumerate(buckets):
        height = max(LEAST, HEIGHT * bucket.count / most) if bucket.count else 0
        holds = (
            standing is not None
            and bucket.low <= standing.score
            and (standing.score < bucket.high or place == len(buckets) - 1)
        )
        yield (
            f'<rect class="{"mine" if holds else "bar"}" x="{place * step + GAP / 2:.1f}" y="{HEIGHT - height:.1f}" '
            f'width="{width}" height="{height:.1f}" rx="2" '
            f'data-low="{bucket.low}" data-high="{bucket.high}" data-count="{bucket.count}">'
            f"<title>{edges[place]} to {edges[place + 1]}: {bucket.count:,}</title></rect>"
        )
    yield f'<line x1="0" x2="{WIDTH}" y1="{HEIGHT}" y2="{HEIGHT}"/>'
    if standing is not None and high > low:
        x = min(1.0, max(0.0, (standing.score - low) / (high - low))) * WIDTH
        yield f'<path class="pin" d="M{x:.1f} {HEIGHT + 2}l-6 10h12z"/>'
    both = f'<span data-end="{low}">{edges[0]}</span><span data-end="{high}">{edges[-1]}</span>'
    yield f'</svg><p class="axis">{both}</p></figure>'
