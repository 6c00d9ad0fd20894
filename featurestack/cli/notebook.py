"""Clips, caches, runs, predictions and figures in `import featurestack as fs`, for
notebooks.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featurestack.base.errors import RequestError
from featurestack.base.options import DatasetOptions
from featurestack.base.terminal import tell_once
from featurestack.cli.commands import command, documented
from featurestack.cli.parser import options_from
from featurestack.pipeline.options import SourceOptions

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from featurestack.features_cache.cache import Cache
    from featurestack.pipeline.clip_spectra import ClipLike
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
    from featurestack.results.run_list import select_one

    return select_one(folder, str(name), predicting=False)


@command
def predict_audio(
    run: "RunFolder | Model | Path | str",
    files: "ClipLike | Sequence[ClipLike]",
    *,
    sample_rate: float | None = None,
    quiet: bool = False,
) -> "pd.DataFrame":
    """Predict the classes of audio files, clips or samples.

    Parameters
    ----------
    run : RunFolder, Model, Answer, path or str
        From `fs.fit`, `fs.run` or `fs.answer`, or as `fs.Model` takes it; predictions
        of a run's folds are averaged.
    files : path, Clip or array (samples,), or list of them
        Audio files, folders of them with their sub-folders, clips, or samples. A clip
        is named by its place in the list, "0" the first.
    sample_rate : int, optional
        Hz of samples.
    quiet : bool
        Print nothing; warnings stay.

    Returns
    -------
    DataFrame
        A row for each readable file, its class and the probability of each class; of
        files that are clearly longer than the model's clips, a row for each window.

    Examples
    --------
    >>> answers = fs.predict_audio("last", fs.cache("synth").clips["path"][:2])
    >>> answers.columns[:2].tolist(), len(answers)
    (['file', 'predicted'], 2)
    """
    from tempfile import TemporaryDirectory

    import soundfile

    from featurestack.pipeline.clip_spectra import clip_of, is_one
    from featurestack.pipeline.datasets.readers import find_recordings
    from featurestack.predict.model import Model
    from featurestack.predict.predict_audio import (
        longer_files,
        predict_each,
        tell_model,
    )

    model = run if isinstance(run, Model) else Model(run)
    several = isinstance(files, Iterable) and not is_one(files)
    each: Any = files if several else [files]
    named: dict[str, Path] = {}
    with TemporaryDirectory() as folder:  # a clip is predicted as its file would be
        for place, file in enumerate(each):
            if isinstance(file, str | Path):
                paths = find_recordings(Path(file), str(file)).values()
                named |= {str(path): path for path in paths}
                continue
            clip = clip_of(file, sample_rate)
            path = named[str(place)] = Path(folder, f"{place}.wav")
            soundfile.write(path, clip.y, clip.sample_rate, subtype="FLOAT")
        tell_model(model, named)
        return predict_each(model, named, longer_files(model, named))


@command
def draw(name: str, **data: Any) -> "Figure":
    """A figure of the report by its name.

    Parameters
    ----------
    name : str
        One of `list(fs.FIGURES)`.
    **data
        Arguments of its drawing function: `help(fs.FIGURES[name].draw)`.

    Returns
    -------
    Figure
        A matplotlib figure.

    Examples
    --------
    >>> import numpy as np
    >>> counts = np.array([[9, 1], [2, 8]])
    >>> classes = ["dog", "rain"]
    >>> figure = fs.draw("confusion_matrix", counts=counts, classes=classes)
    """
    from featurestack.analysis.figures import draw

    return draw(str(name), **data)


@command
def curves(trained: "RunFolder | Path | str") -> "Figure":
    """Learning curves of a run: mean accuracy and loss over the folds by epoch.

    Parameters
    ----------
    trained : RunFolder, Answer, path or str
        From `fs.fit`, `fs.run` or `fs.answer`, or a run's name or path.

    Returns
    -------
    Figure
        A matplotlib figure.

    Examples
    --------
    >>> fs.curves("last").savefig("curves.png")
    """
    opened = run(trained)
    history = {fold: opened.history(fold) for fold in opened.finished}
    return draw("learning_curves", history=history)


@command
def confusion(trained: "RunFolder | Path | str") -> "Figure":
    """Confusion matrix of a run's test predictions on all finished folds.

    Parameters
    ----------
    trained : RunFolder, Answer, path or str
        From `fs.fit`, `fs.run` or `fs.answer`, or a run's name or path.

    Returns
    -------
    Figure
        A matplotlib figure.

    Examples
    --------
    >>> fs.confusion("last").savefig("confusion.png")
    """
    from featurestack.analysis.report.runs import load_runs
    from featurestack.analysis.report.tables import confusion_counts

    runs, problems = load_runs([run(trained)])
    if not runs:
        raise RequestError("; ".join(problem.text for problem in problems))
    (loaded,) = runs
    if loaded.metric.multilabel:
        raise RequestError(
            f"{loaded.name} predicts several labels per clip, which are not confused"
            " with each other: a report lists its errors by class"
        )
    return draw(
        "confusion_matrix",
        counts=confusion_counts(loaded),
        classes=loaded.classes,
        categories=loaded.categories,
    )
