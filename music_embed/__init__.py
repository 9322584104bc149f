"""music_embed: content embeddings of music from weak signals.

```python
import music_embed

model = music_embed.load("path/to/export")
vector = model.embed("song.mp3")
```
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from music_embed.core.errors import (
  AudioError,
  ConfigError,
  DataError,
  MusicEmbedError,
)

if TYPE_CHECKING:
  from music_embed.serving.model import Model

__version__ = "0.1.0"

__all__ = [
  "AudioError",
  "ConfigError",
  "DataError",
  "Model",
  "MusicEmbedError",
  "load",
]


def load(directory: str | os.PathLike[str]) -> Model:
  """Opens an exported model.

  Args:
    directory: that `launch/export.py` wrote.

  Returns:
    The model: `embed`, `embed_windows`, `labels`, `label_vector` and
    `similarity` take paths, waveforms and lists of them.

  Raises:
    ConfigError: no exported model is there, or one of another format.
    DataError: it is damaged.
  """
  return _model_class()(directory)


def __getattr__(name: str) -> Any:
  if name == "Model":
    return _model_class()
  raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
  return sorted([*__all__, *(name for name in globals() if name[:2] == "__")])


def _model_class() -> type[Model]:
  """The class, whose module imports TensorFlow: seconds, and only if asked."""
  if "tensorflow" not in sys.modules:
    # Without an NVIDIA driver nobody need hear so; nor of compiler flags.
    has_driver = os.path.exists("/dev/nvidiactl")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1" if has_driver else "3")
  from music_embed.serving import model

  return model.Model
