"""A small map of a site: its outline (or the square it lies in), planting reports as dots, a scale. Drawn here as SVG
without styles, scripts and links, so that no tile server learns who looks at which trees. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import cos, floor, log10, radians

from partners.core.ground import METRES_PER_DEGREE
from partners.public.ground import Ground

WIDTH, HEIGHT, MARGIN = 480.0, 320.0, 34.0
SPAN_M_MIN = 20.0
POINTS_MAX = 200
INK, LAND, DOT = "#1d3b2a", "#cfe3c6", "#b3541e"


def site_map(ground: Ground, points: Sequence[Sequence[float]], zh: str, en: str) -> bytes:
    """The map as an SVG document; `points` are longitude and latitude."""
    west, south, east, north = ground.box
    squeeze = cos(radians((south + north) / 2))
    wide_m = max((east - west) * squeeze * METRES_PER_DEGREE, SPAN_M_MIN)
    high_m = max((north - south) * METRES_PER_DEGREE, SPAN_M_MIN)
    per_m = min((WIDTH - 2 * MARGIN) / wide_m, (HEIGHT - 2 * MARGIN) / high_m)
    middle = ((west + east) / 2, (south + north) / 2)

    def place(point: Sequence[float]) -> str:
        x = WIDTH / 2 + (point[0] - middle[0]) * squeeze * METRES_PER_DEGREE * per_m
        y = HEIGHT / 2 - (point[1] - middle[1]) * METRES_PER_DEGREE * per_m
        return f"{x:.1f} {y:.1f}"

    outline = " ".join(
        f"M{' L'.join(place(point) for point in ring[:-1])} Z" for rings in ground.polygons for ring in rings
    )
    dashes = "" if ground.shown_m == 0 else ' stroke-dasharray="6 4"'
    dots = "".join(_dot(place(point)) for point in points[:POINTS_MAX])
    about = (
        "outline 边界" if ground.shown_m == 0 else f"within this square of {ground.shown_m:,} m 位于此方格内"
    )
    where = f"{abs(middle[1]):.3f}°{'NS'[middle[1] < 0]} {abs(middle[0]):.3f}°{'EW'[middle[0] < 0]}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH:.0f}" height="{HEIGHT:.0f}" '
        f'viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" role="img" font-family="sans-serif" font-size="12">'
        f"<title>{escape(en)} {escape(zh)}</title><desc>{about}, {where}</desc>"
        f'<rect width="{WIDTH:.0f}" height="{HEIGHT:.0f}" fill="#f6f3ea"/>'
        f'<path d="{outline}" fill="{LAND}" fill-rule="evenodd" stroke="{INK}" stroke-width="1.5"{dashes}/>{dots}'
        f"{_scale(per_m)}"
        f'<text x="{WIDTH - 18:.0f}" y="18" fill="{INK}" text-anchor="middle">N</text>'
        f'<path d="M{WIDTH - 18:.0f} 22 l-5 13 l5 -4 l5 4 Z" fill="{INK}"/>'
        f'<text x="10" y="18" fill="{INK}">{where} · {about}</text></svg>'
    ).encode()


def _dot(place: str) -> str:
    x, _, y = place.partition(" ")
    return f'<circle cx="{x}" cy="{y}" r="4" fill="{DOT}" stroke="#fff"/>'


def _scale(per_m: float) -> str:
    """A bar of a round length, about a quarter of the map."""
    wish_m = WIDTH / 4 / per_m
    power = 10 ** floor(log10(wish_m))
    length_m = max(step * power for step in (1, 2, 5) if step * power <= wish_m)
    told = f"{length_m / 1000:g} km" if length_m >= 1000 else f"{length_m:g} m"
    y = HEIGHT - 12
    return (
        f'<path d="M10 {y - 5:.0f} v5 h{length_m * per_m:.1f} v-5" fill="none" stroke="{INK}"/>'
        f'<text x="{16 + length_m * per_m:.1f}" y="{y:.0f}" fill="{INK}">{told}</text>'
    )
