"""Shows a catalogue as a map in the browser: search it, hear it.

  launch/explore.py --index=demo/index

Serves one page to this machine alone, until Ctrl-C. `--static` writes the same
page to files, `--projector` files for TensorBoard's projector; then nothing is
served.
"""

from __future__ import annotations

from music_embed.runs import cli  # First: sets what TensorFlow reads.

from absl import flags  # isort: skip

_INDEX = flags.DEFINE_string(
  "index", None, "Folder that launch/index.py wrote.", required=True
)
_MODEL = flags.DEFINE_string(
  "model",
  None,
  "Exported model, for sounds that are dropped on the map; by default the one "
  "that made the index.",
)
_HOST = flags.DEFINE_string(
  "host",
  "127.0.0.1",
  "Address to listen at; any but this machine's own lets others in.",
)
_PORT = flags.DEFINE_integer(
  "port", 8765, "Port to listen at; the next free one where it is taken."
)
_LAYOUT = flags.DEFINE_string(
  "layout", "auto", "How the map is laid out: auto, umap or pca."
)
_STATIC = flags.DEFINE_string(
  "static", None, "Folder to write the page to, instead of serving it."
)
_COPY_AUDIO = flags.DEFINE_bool(
  "copy_audio", False, "Copy the recordings into --static, to be moved with it."
)
_PROJECTOR = flags.DEFINE_string(
  "projector", None, "Folder to write files for TensorBoard's projector to."
)
_OPEN = flags.DEFINE_bool("open", False, "Open the page in the browser.")


def main() -> None:
  """Serves the map, or writes it."""
  from music_embed.serving import explore

  explore.explore(
    index=_INDEX.value,
    model=_MODEL.value,
    host=_HOST.value,
    port=_PORT.value,
    layout_kind=_LAYOUT.value,
    static=_STATIC.value,
    copy_audio=_COPY_AUDIO.value,
    projector=_PROJECTOR.value,
    open_browser=_OPEN.value,
  )


if __name__ == "__main__":
  cli.run(main)
