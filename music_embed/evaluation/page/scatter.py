"""The map of recordings: colour and shape by topic, title on hover."""

from __future__ import annotations

from music_embed.evaluation import topic_map
from music_embed.evaluation.page import svg

_WIDTH, _HEIGHT, _MARGIN = 940, 560, 22


def figure(points: topic_map.TopicMap, of: str) -> str:
  """Key and map.

  Args:
    points: positions and topics.
    of: name of the embeddings, for the accessible title.
  """
  title = (
    f"{points.method} map of {len(points.titles)} evaluation recordings by "
    f"their {of} embeddings"
  )
  # Recordings without a topic first, so that they lie below the others.
  order = sorted(range(len(points.titles)), key=lambda i: points.topic[i] >= 0)
  body = [_point(points, index) for index in order]
  return _key(points) + svg.drawing(_WIDTH, _HEIGHT, title, body)


def _point(points: topic_map.TopicMap, index: int) -> str:
  x = _MARGIN + points.positions[index, 0] * (_WIDTH - 2 * _MARGIN)
  y = _MARGIN + points.positions[index, 1] * (_HEIGHT - 2 * _MARGIN)
  topic = int(points.topic[index])
  hover = points.titles[index] or "(no title)"
  if topic < 0:
    shape, cls, fill = svg.mark(0, x, y, 3.2), "none", "var(--neutral)"
  else:
    shape, cls, fill = svg.mark(topic, x, y, 5), f"c{topic}", ""
    hover = f"{hover} [{points.topics[topic]}]"
  paint = f' fill="{fill}"' if fill else ""
  return (
    f'<path d="{shape}" class="point {cls}"{paint}>'
    f"<title>{svg.escape(hover)}</title></path>"
  )


def _key(points: topic_map.TopicMap) -> str:
  items = []
  for topic, name in enumerate(points.topics):
    count = int((points.topic == topic).sum())
    items.append(
      f'<li class="k{topic}"><svg viewBox="0 0 14 14" aria-hidden="true">'
      f'<path d="{svg.mark(topic, 7, 7, 5)}" class="c{topic}"/></svg>'
      f'{svg.escape(name)} <span class="soft">{count}</span></li>'
    )
  others = int((points.topic < 0).sum())
  if others:
    items.append(
      '<li><svg viewBox="0 0 14 14" aria-hidden="true">'
      f'<path d="{svg.mark(0, 7, 7, 3.2)}" fill="var(--neutral)" '
      'opacity=".55"/></svg>'
      f'none of these <span class="soft">{others}</span></li>'
    )
  return f'<ul class="key">{"".join(items)}</ul>'
