"""Errors that a user can act on: launchers print them as one line."""


class MusicEmbedError(Exception):
  """Base of all errors that name a culprit and say what to do."""


class ConfigError(MusicEmbedError):
  """A wrong flag, gin file or gin binding. Launchers exit with 2."""


class DataError(MusicEmbedError):
  """A wrong or damaged input: names the file, and the row where it has one."""


class AudioError(DataError):
  """An audio file that cannot be used: says why, in words of a person."""


class PeerError(MusicEmbedError):
  """Another worker of the same job is gone, hangs, or never came."""
