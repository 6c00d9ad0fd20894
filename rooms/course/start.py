"""The first cell of every notebook: `from featurestack.rooms.course.start import *`.

DATA, RUNS and REPORTS lie in the folder of the clone. Without a clone they lie in the
working folder, in Colab too.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import featurestack as fs
from featurestack.commandline.packages import CLONE, HOME
from featurestack.rooms.course.checks import answered, check, reveal

FOLDER = HOME if CLONE else Path.cwd()
DATA = FOLDER / "data"
RUNS = FOLDER / "runs"
REPORTS = FOLDER / "reports"

__all__ = ["DATA", "REPORTS", "RUNS", "Path", "answered", "check"]
__all__ += ["fs", "np", "pd", "plt", "reveal"]
