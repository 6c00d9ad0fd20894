"""Comparisons with the alternatives, and tests of kills and damage: `python -m bench
--help` lists them.
"""
