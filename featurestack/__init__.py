"""The project from Python.

    import featurestack as fs

    fs.clips("my sounds")    # a table, one row per clip
    fs.extract("my sounds", "mel mfcc")    # features, into the cache
    run = fs.fit(dataset="my sounds", features="mel+mfcc", model="texturenet")
    fs.importance("my sounds", "mel mfcc")["features"]
    fs.report("my sounds").page    # an HTML file
    fs.predict_audio(run, ["new.wav"])    # classes of new audio
    fs.Model(run).predict(y, 44_100)    # classes of samples, in a service

cli/functions.py has the commands, cli/audio.py one audio file and its features,
cli/notebook.py clips, caches, runs and figures, base/extras.py the functions of extras.
docs/reference/python.md shows all functions. A function loads its libraries when it is
called, so that importing this module and `featurestack --help` are fast.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

# In a clone the packages are links to the folders next to this one. A source
# distribution, of which the wheel is built, has no links, only the folders.
if not (Path(__file__).parent / "train").is_dir():
    __path__.insert(0, str(Path(__file__).resolve().parents[1]))

from featurestack.base import VERSION, extras
from featurestack.base.errors import Error as Error
from featurestack.base.errors import Failed as Failed
from featurestack.base.errors import RequestError as RequestError
from featurestack.base.errors import closest
from featurestack.base.registry import object_at

if TYPE_CHECKING:  # loaded by __getattr__ when they are used
    from featurestack.analysis.figures import FIGURES as FIGURES
    from featurestack.cli.audio import *  # noqa: F403
    from featurestack.cli.functions import *  # noqa: F403
    from featurestack.cli.notebook import *  # noqa: F403
    from featurestack.comparison.compare import compare as compare
    from featurestack.pipeline.clip_spectra import Clip as Clip
    from featurestack.pipeline.features import feature as feature
    from featurestack.predict.model import Model as Model
    from featurestack.train.models import model as model

__version__ = VERSION
HOMES = {  # module of the core -> names of `featurestack` that it has
    "featurestack.analysis.figures": "FIGURES",
    "featurestack.cli.functions": "answer bundle check extract fit report",
    "featurestack.cli.audio": "RATE compute play read show tone write",
    "featurestack.cli.notebook": (
        "cache clips confusion curves draw predict_audio run"
    ),
    "featurestack.comparison.compare": "compare",
    "featurestack.pipeline.clip_spectra": "Clip",
    "featurestack.pipeline.features": "feature",
    "featurestack.predict.model": "Model",
    "featurestack.train.models": "model",
}
PLACES = {
    name: f"{home}:{name}" for home, names in HOMES.items() for name in names.split()
}
PLACES |= extras.FUNCTIONS
__all__ = sorted([*PLACES, "Error", "Failed", "RequestError"])


def __getattr__(name: str) -> Any:
    if name in PLACES:
        entry = object_at(PLACES[name])
        return entry.complete() if name == "FIGURES" else entry
    message = f"module 'featurestack' has no attribute {name!r}"
    if not name.startswith("_"):
        meant = closest(name, __all__)
        message += f"; did you mean fs.{meant}?" if meant else ""
    raise AttributeError(message)


def __dir__() -> list[str]:
    return __all__
