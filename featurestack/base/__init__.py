"""Options, messages, progress and errors of the commands; the place of the packages."""

from pathlib import Path

VERSION = "0.1.0"
NAME = "featurestack"  # the installed package, its distribution and its command
HOME = Path(__file__).resolve().parents[2]  # where featurestack/ lies
# otherwise an installed copy, which has no Makefile
CLONE = (HOME / "pyproject.toml").exists()
# files of LOAD= in this process, as they were given -> the name of each one's module
LOADED: dict[str, str] = {}
# files of the user's own that have entered something in a registry
DEFINING: dict[str, None] = {}
DATA = Path("data")  # the folder of datasets unless DATA= names another
SYNTHETIC = ("synth", "synth_mix")  # datasets that are made by this project
NAMED = ("esc50", "esc10", *SYNTHETIC)  # datasets with a name of their own
