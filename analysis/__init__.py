"""Run folders and the feature cache -> tables, statistics, figures and a report. Never torch, never librosa."""
