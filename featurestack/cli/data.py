"""Clips, caches, runs and predictions in `import featurestack as fs`, for notebooks."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from featurestack.base import DATA
from featurestack.base.options import DatasetOptions
from featurestack.base.terminal import tell_once
from featurestack.cli.commands import command, documented
from featurestack.cli.parser import options_from
from featurestack.pipeline.options import SourceOptions

if TYPE_CHECKING:
    import pandas as pd

    from featurestack.features_cache.cache import Cache
    from featurestack.predict.model import Model
    from featurestack.results.run_folder import RunFolder


@command
@documented(SourceOptions)
def clips(
    dataset: str = "esc50",
    data: Path | str = "data",
    *,
    runs: Path | str = "runs",
    name: str = "",
    archive: str = "",
    audio_dir: str = "",
    group: str | None = None,
    label: str | None = None,
    sample_rate: int | None = None,
    duration: float | None = None,
    channel: int | None = None,
    seed: int = 0,
    quiet: bool = False,
) -> "pd.DataFrame":
    """The table of a dataset, one row per clip.

    Parameters
    ----------
    dataset : str
        `synth` (made if it is missing), `esc50` and `esc10` (downloaded), a folder of
        audio files, a CSV.

    Returns
    -------
    DataFrame
        clip_id, path, label, category, fold, group and the rest.

    Examples
    --------
    >>> table = fs.clips("synth", quiet=True)
    >>> len(table), table["label"].nunique()
    (200, 10)
    """
    from featurestack.pipeline.datasets.load import load

    loaded = load(options_from(SourceOptions, locals()))
    if loaded.field:
        tell_once(loaded.field.sentence)
    return loaded.table


@command
@documented(DatasetOptions)
def cache(
    dataset: str = "esc50",
    data: Path | str = "data",
    *,
    name: str = "",
    quiet: bool = False,
) -> "Cache":
    """The feature cache of a dataset.

    Parameters
    ----------
    dataset : str
        A name, a folder, a CSV, or the folder of a cache.

    Returns
    -------
    Cache
        `.clips`, `.features`, and `.read(feature, clip_ids)` -> (B, rows, frames).

    Examples
    --------
    >>> stored = fs.cache("synth")
    >>> stored.read("rms", stored.clips["clip_id"][:8]).shape
    (8, 1, 431)
    """
    from featurestack.features_cache.cache import cache_of

    options = options_from(DatasetOptions, locals())
    return cache_of(options.dataset, options.data, options.name)


@command
def run(
    name: "str | Path | RunFolder" = "last", folder: Path | str = "runs"
) -> "RunFolder":
    """A finished or unfinished run.

    Parameters
    ----------
    name : str, path or Answer
        Its name, its path, a unique prefix, or `last`; or what `fs.answer` returns.
    folder : path
        Where runs are.

    Returns
    -------
    RunFolder
        `.config` has the keys of run.json as attributes; `.history(fold)` and
        `.predictions()` are pandas frames.

    Examples
    --------
    >>> fs.run("last").name
    'rms+zcr-ridge'
    """
    from featurestack.results.run_names import select_one

    return select_one(folder, str(name), predicting=False)


@command
def predict_audio(
    trained: "RunFolder | Model | Path | str",
    files: Path | str | Sequence[Path | str],
    *,
    quiet: bool = False,
) -> "pd.DataFrame":
    """Predict the classes of audio files.

    Parameters
    ----------
    trained : RunFolder, Model, Answer, path or str
        From `fs.fit`, `fs.run` or `fs.answer`, or as `fs.Model` takes it; predictions
        of a run's folds are averaged.
    files : path, or list of path
        Audio files, or folders of them with their sub-folders.
    quiet : bool
        Print nothing; warnings stay.

    Returns
    -------
    DataFrame
        A row for each readable file, its class and the probability of each class.

    Examples
    --------
    >>> answers = fs.predict_audio("last", fs.cache("synth").clips["path"][:2])
    >>> answers.columns[:2].tolist(), len(answers)
    (['file', 'predicted'], 2)
    """
    from featurestack.pipeline.datasets.readers import find_recordings
    from featurestack.predict.files import predict_files, tell_model
    from featurestack.predict.model import Model

    files = [files] if isinstance(files, str | Path) else files
    paths = [
        path
        for file in files
        for path in find_recordings(Path(file), str(file)).values()
    ]
    model = trained if isinstance(trained, Model) else Model(trained)
    named = {str(path): path for path in paths}
    tell_model(model, named, DATA)
    return predict_files(model, named).reset_index(names="file")
