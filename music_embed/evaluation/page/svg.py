"""Small helpers for drawings as text."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

from music_embed.evaluation.arrays import Array


def escape(text: object) -> str:
  """Makes text from data safe in HTML, in content and in attributes."""
  return html.escape(str(text), quote=True)


def ticks(low: float, high: float, most: int = 5) -> list[float]:
  """Round numbers that divide a range into at most `most` steps."""
  span = max(high - low, 1e-12)
  power = 10.0 ** math.floor(math.log10(span / most))
  step = next(
    factor * power
    for factor in (1.0, 2.0, 5.0, 10.0)
    if span / (factor * power) <= most
  )
  first = math.ceil(low / step - 1e-9)
  last = math.floor(high / step + 1e-9)
  return [round(k * step, 12) for k in range(first, last + 1)]


def tick_label(value: float) -> str:
  """Short text of a tick: `.2`, `1`, `1,000`, `20 k`."""
  if abs(value) >= 10_000:
    return f"{value / 1000:g} k"
  if abs(value) >= 1:
    return f"{value:,g}"
  return f"{value:g}".replace("0.", ".", 1)


def text(
  x: float, y: float, content: object, cls: str = "", anchor: str = "start"
) -> str:
  """A text element."""
  return (
    f'<text x="{x:.1f}" y="{y:.1f}" class="{cls}" text-anchor="{anchor}">'
    f"{escape(content)}</text>"
  )


def line(x1: float, y1: float, x2: float, y2: float, cls: str) -> str:
  """A straight line."""
  return (
    f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
    f'class="{cls}"/>'
  )


def polyline(x: Sequence[float] | Array, y: Sequence[float] | Array) -> str:
  """The `points` of a polyline."""
  return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))


def drawing(
  width: float, height: float, title: str, body: Sequence[str]
) -> str:
  """An SVG element that screen readers announce by its title."""
  return (
    f'<svg viewBox="0 0 {width:g} {height:g}" role="img" '
    f'aria-label="{escape(title)}">{"".join(body)}</svg>'
  )


def mark(shape: int, x: float, y: float, radius: float) -> str:
  """The geometry of a marker, all of about the same area.

  Args:
    shape: 0 to 7: circle, square, triangle, diamond, triangle upside down,
      plus, pentagon, cross; repeats after that.
    x: centre.
    y: centre.
    radius: of the circle.

  Returns:
    The value of a path's `d`.
  """
  if shape % 8 == 0:
    r = radius
    return (
      f"M{x - r:.1f} {y:.1f}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 {-2 * r} 0z"
    )
  corners = _CORNERS[shape % 8 - 1]
  path = "L".join(
    f"{x + radius * size * math.sin(math.radians(angle)):.1f} "
    f"{y - radius * size * math.cos(math.radians(angle)):.1f}"
    for angle, size in corners
  )
  return f"M{path}z"


def _polygon(num_corners: int, turn: float, size: float) -> list[_Corner]:
  return [(turn + 360 * k / num_corners, size) for k in range(num_corners)]


def _plus(turn: float) -> list[_Corner]:
  arm = [(-20.0, 1.3), (20.0, 1.3), (45.0, 0.63)]
  return [
    (turn + 90 * k + angle, size) for k in range(4) for angle, size in arm
  ]


_Corner = tuple[float, float]
"""Angle in degrees clockwise from the top, and distance in radii."""

_CORNERS = (
  _polygon(4, 45, 1.25),
  _polygon(3, 0, 1.45),
  _polygon(4, 0, 1.3),
  _polygon(3, 180, 1.45),
  _plus(0),
  _polygon(5, 0, 1.2),
  _plus(45),
)
