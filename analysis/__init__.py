"""Statistics, figures and reports of runs, without torch and librosa."""
