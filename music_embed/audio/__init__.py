"""Pure functions from audio files and waveforms to log-mel windows."""
