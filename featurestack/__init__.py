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

# In a clone the packages are links to the folders beside this one. A source
# distribution, of which the wheel is built, has no links: it has the folders alone.
if not (Path(__file__).parent / "train").is_dir():
    __path__.insert(0, str(Path(__file__).resolve().parents[1]))

from featurestack.commandline import rooms as offered
from featurestack.commandline.errors import Error, Failed, RequestError

__version__ = "0.1.0"
__all__ = [
    "FIGURES",
    "RATE",
    "Clip",
    "Error",
    "Failed",
    "Model",
    "RequestError",
    "alter",
    "bundle",
    "cache",
    "check",
    "clips",
    "compute",
    "confusion",
    "curves",
    "draw",
    "extract",
    "feature",
    "fit",
    "model",
    "own_run",
    "play",
    "predict_audio",
    "read",
    "report",
    "run",
    "show",
    "sweep",
    "tone",
    "verify",
    "write",
]
LOADED_LATER = {  # name -> the module that it comes from, if not interface.py
    "Clip": "featurestack.pipeline.clip_spectra",
    "Model": "featurestack.predict.model",
    "alter": "featurestack.pipeline.copies",
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
    if not name.startswith("_") and name in offered.names("functions"):
        return offered.load("functions", name)
    raise AttributeError(f"module 'featurestack' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, *offered.names("functions")]
