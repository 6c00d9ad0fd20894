"""Scores, intervals, tests and verdicts: arrays in, verdicts out, without sound.

`fs.compare` is the function of compare.py; docs/explanation/comparing.md says what a
verdict means and how often it is wrong. Nothing is written.
"""
