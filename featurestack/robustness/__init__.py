"""Whether a run survives changes of the audio."""
