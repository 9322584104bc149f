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
  """The geometry of a marker: circle, square, triangle, diamond in turn.

  Args:
    shape: any whole number; shapes repeat after four.
    x: centre.
    y: centre.
    radius: of the circle; the others have about its area.

  Returns:
    The value of a path's `d`.
  """
  r = radius
  if shape % 4 == 0:
    return (
      f"M{x - r:.1f} {y:.1f}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 {-2 * r} 0z"
    )
  if shape % 4 == 1:
    s = 0.88 * r
    return f"M{x - s:.1f} {y - s:.1f}h{2 * s:.1f}v{2 * s:.1f}h{-2 * s:.1f}z"
  if shape % 4 == 2:
    s = 1.25 * r
    return f"M{x:.1f} {y - s:.1f}L{x + s:.1f} {y + 0.8 * s:.1f}H{x - s:.1f}z"
  s = 1.25 * r
  return (
    f"M{x:.1f} {y - s:.1f}l{s:.1f} {s:.1f} {-s:.1f} {s:.1f} {-s:.1f} {-s:.1f}z"
  )
