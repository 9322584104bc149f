"""Parameters of the map's questions: numbers, rows, switches."""

from __future__ import annotations

from starlette import exceptions, requests

Request = requests.Request


def number(
  request: Request,
  name: str,
  default: int | None = None,
  least: int = 0,
  most: int = 1 << 62,
) -> int:
  """A whole number of the query; raises 400."""
  text = request.query_params.get(name)
  if text is None and default is not None:
    return default
  if text is None or not text.isdecimal() or len(text) > 18:
    raise exceptions.HTTPException(400, f"{name}: must be a whole number")
  if not least <= int(text) <= most:
    raise exceptions.HTTPException(
      400, f"{name}={int(text)}: must be {least} to {most}"
    )
  return int(text)


def rows(request: Request, most: int) -> list[int]:
  """Rows of the query, `rows=3,1,2`; raises 400."""
  texts = request.query_params.get("rows", "").split(",")
  if len(texts) > most:
    raise exceptions.HTTPException(400, f"rows: at most {most} at once")
  if not all(text.isdecimal() and len(text) <= 18 for text in texts):
    raise exceptions.HTTPException(400, "rows: must be numbers such as 1,2,3")
  return [int(text) for text in texts]


def switch(request: Request, name: str) -> bool:
  """A switch of the query, 0 or 1; raises 400."""
  return bool(number(request, name, 0, 0, 1))
