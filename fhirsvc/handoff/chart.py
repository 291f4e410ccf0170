"""A trend as SVG that needs no script, reads well in grey, and says in words what it shows. Pure.

https://www.w3.org/TR/svg-aam-1.0/ for how it is read aloud.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from html import escape

from fhirsvc.ehr.phrases import moment, words
from fhirsvc.handoff.trends import Point, Trend

WIDTH, HEIGHT = 500, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 136, 12, 26
_SHADES = ("#ffffff", "#f1f3f5", "#e3e7eb", "#d3d9df", "#c2cad2")
_DAY = 10  # letters of an ISO date


def chart(trend: Trend) -> str:
    """The chart of one instrument's totals, with its bands and what the goals are after."""
    return "".join(_parts(trend))


def said(trend: Trend) -> str:
    """The same in a sentence."""
    one = trend.instrument
    scores = ", ".join(f"{point.value:g} on {moment(point.at[:_DAY])}" for point in trend.points)
    aims = "".join(f"; the aim is {aim:g}" for aim in trend.aims)
    return f"{one.title}, from {one.low} to {one.high}: {scores}{aims}."


def _parts(trend: Trend) -> Iterator[str]:
    high = trend.instrument.high
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" role="img">'
    )
    yield f"<title>{escape(trend.instrument.title)}</title><desc>{escape(said(trend))}</desc>"
    bands = trend.instrument.bands
    for at, (low, word) in enumerate(bands):
        top = bands[at + 1][0] if at + 1 < len(bands) else high
        upper, lower = _y(top, trend), _y(low, trend)
        shade = _SHADES[min(at, len(_SHADES) - 1)]
        yield _rectangle(_LEFT, upper, WIDTH - _LEFT - _RIGHT, lower - upper, shade)
        middle = (upper + lower) / 2 + 3
        yield _text(WIDTH - _RIGHT + 8, middle, words(word), "start")
    for value in (trend.instrument.low, high):
        yield _text(_LEFT - 6, _y(value, trend) + 3, f"{value}", "end")
    yield _line(_LEFT, HEIGHT - _BOTTOM, WIDTH - _RIGHT, HEIGHT - _BOTTOM, "#667", "")
    for aim in trend.aims:
        y = _y(aim, trend)
        yield _line(_LEFT, y, WIDTH - _RIGHT, y, "#0b6e69", "4 3")
        yield _text(_LEFT + 4, y - 3, f"aim {aim:g}", "start", "#0b6e69")
    places = [(_x(point, trend), _y(point.value, trend)) for point in trend.points]
    if len(places) > 1:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        yield f'<polyline points="{path}" fill="none" stroke="#1c2321" stroke-width="1.8"/>'
    for x, y in places:
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.8" fill="#1c2321"/>'
    for point, (x, y) in _marked(trend, places):
        yield _text(x, y - 6, f"{point.value:g}", "middle", weight="bold")
    yield _text(_LEFT, HEIGHT - 8, moment(trend.first.at[:_DAY]), "start")
    if len(places) > 1:
        yield _text(WIDTH - _RIGHT, HEIGHT - 8, moment(trend.last.at[:_DAY]), "end")
    yield "</svg>"


def _marked(
    trend: Trend, places: list[tuple[float, float]]
) -> Iterator[tuple[Point, tuple[float, float]]]:
    """The first and the last score."""
    yield trend.first, places[0]
    if len(places) > 1:
        yield trend.last, places[-1]


def _x(point: Point, trend: Trend) -> float:
    first, last, here = (_ordinal(one.at) for one in (trend.first, trend.last, point))
    share = (here - first) / (last - first) if last > first else 0.0
    return _LEFT + 10 + share * (WIDTH - _LEFT - _RIGHT - 20)


def _y(value: float, trend: Trend) -> float:
    low, high = trend.instrument.low, trend.instrument.high
    share = (min(max(value, low), high) - low) / (high - low)
    return HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM)


def _ordinal(at: str) -> int:
    return date.fromisoformat(at[:_DAY]).toordinal()


def _rectangle(x: float, y: float, width: float, height: float, fill: str) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{fill}"/>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, stroke: str, dashes: str) -> str:
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}"{dashed}/>'
    )


def _text(
    x: float, y: float, text: str, anchor: str, fill: str = "#334", weight: str = "normal"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-family="sans-serif" '
        f'font-size="10" font-weight="{weight}" fill="{fill}">{escape(text)}</text>'
    )
