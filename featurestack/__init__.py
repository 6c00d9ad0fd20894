"""The project from Python.

    import featurestack as fs

    fs.clips("my sounds")    # a table, one row per clip
    fs.extract("mel mfcc", "my sounds")    # features, into the cache
    run = fs.fit(dataset="my sounds", features="mel+mfcc", model="texturenet")
    fs.importance("mel mfcc", dataset="my sounds")["features"]
    fs.report("my sounds").page    # an HTML file
    fs.predict_audio(run, ["new.wav"])    # classes of new audio
    fs.Model(run).predict(y, 44_100)    # classes of samples, in a service

The functions stand in interface.py.
docs/reference/python.md shows all functions. A function loads its libraries when it is
called, so that importing this module and `featurestack --help` are fast.
"""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

# In a clone the packages are links to the folders beside this one. A source
# distribution, of which the wheel is built, has no links: it has the folders alone.
if not (Path(__file__).parent / "train").is_dir():
    __path__.insert(0, str(Path(__file__).resolve().parents[1]))

from featurestack.commandline import VERSION
from featurestack.commandline.errors import Error, Failed, RequestError

if TYPE_CHECKING:  # loaded by __getattr__ when they are used
    from featurestack.analysis.figures import FIGURES as FIGURES
    from featurestack.answers.functions import answer as answer
    from featurestack.feature_importance.functions import curve as curve
    from featurestack.feature_importance.functions import importance as importance
    from featurestack.interface import RATE as RATE
    from featurestack.interface import bundle as bundle
    from featurestack.interface import cache as cache
    from featurestack.interface import check as check
    from featurestack.interface import clips as clips
    from featurestack.interface import compute as compute
    from featurestack.interface import confusion as confusion
    from featurestack.interface import curves as curves
    from featurestack.interface import draw as draw
    from featurestack.interface import export as export
    from featurestack.interface import extract as extract
    from featurestack.interface import fit as fit
    from featurestack.interface import own_run as own_run
    from featurestack.interface import play as play
    from featurestack.interface import predict_audio as predict_audio
    from featurestack.interface import read as read
    from featurestack.interface import report as report
    from featurestack.interface import run as run
    from featurestack.interface import show as show
    from featurestack.interface import tone as tone
    from featurestack.interface import verify as verify
    from featurestack.interface import write as write
    from featurestack.pipeline.clip_spectra import Clip as Clip
    from featurestack.pipeline.copies import alter as alter
    from featurestack.pipeline.features import feature as feature
    from featurestack.predict.model import Model as Model
    from featurestack.predictions import compare as compare
    from featurestack.sound_events.functions import detections as detections
    from featurestack.sound_events.functions import events as events
    from featurestack.train.models import model as model
    from featurestack.transformer import Features as Features

__version__ = VERSION
__all__ = [
    "FIGURES",
    "RATE",
    "Clip",
    "Error",
    "Failed",
    "Features",
    "Model",
    "RequestError",
    "alter",
    "answer",
    "bundle",
    "cache",
    "check",
    "clips",
    "compare",
    "compute",
    "confusion",
    "curve",
    "curves",
    "detections",
    "draw",
    "events",
    "export",
    "extract",
    "feature",
    "fit",
    "importance",
    "model",
    "own_run",
    "play",
    "predict_audio",
    "read",
    "report",
    "run",
    "show",
    "tone",
    "verify",
    "write",
]
LOADED_LATER = {  # name -> the module that it comes from, if not interface.py
    "Clip": "featurestack.pipeline.clip_spectra",
    "Features": "featurestack.transformer",
    "Model": "featurestack.predict.model",
    "alter": "featurestack.pipeline.alterations",
    "answer": "featurestack.answers.functions",
    "compare": "featurestack.predictions",
    "curve": "featurestack.feature_importance.functions",
    "detections": "featurestack.sound_events.functions",
    "events": "featurestack.sound_events.functions",
    "importance": "featurestack.feature_importance.functions",
    "feature": "featurestack.pipeline.features",
    "model": "featurestack.train.models",
}


def __getattr__(name: str) -> object:
    if name == "FIGURES":
        return importlib.import_module(
            "featurestack.analysis.figures"
        ).FIGURES.complete()
    if name in __all__:
        home = LOADED_LATER.get(name, "featurestack.interface")
        return getattr(importlib.import_module(home), name)
    raise AttributeError(f"module 'featurestack' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
