"""The commands as functions: `fs.extract`, `fs.fit`, `fs.report` and the others.

A function's keywords are its command's options, with the same defaults; `make help
train`, or where there is no clone `featurestack help train`, explains them. Folders are
`data`, `runs` and `reports` in the current one unless given. `quiet=True` prints
nothing; warnings stay. A function loads its libraries when it is called.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from featurestack.analysis.report.jobs import AnalysisOptions
from featurestack.answers import AnswerOptions
from featurestack.base.errors import RequestError
from featurestack.base.options import Auto
from featurestack.base.terminal import warn
from featurestack.cli.commands import command, documented
from featurestack.cli.parser import options_from
from featurestack.cli.words import function_of
from featurestack.pipeline.options import FeaturesCommand, SourceOptions
from featurestack.predict.options import BundleOptions
from featurestack.train.options import TrainOptions

if TYPE_CHECKING:
    from featurestack.analysis.page import Report
    from featurestack.answers.answer import Answer
    from featurestack.features_cache.cache import Cache
    from featurestack.results.run_folder import RunFolder


@command
@documented(FeaturesCommand)
def extract(
    dataset: str = "esc50",
    features: str | Sequence[str] = "all",
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
    frame: float | None = None,
    jobs: int | None = None,
    part: str = "1/1",
    dtype: Literal["float16", "float32"] | None = None,
    scheduler: str = "",
    yes: bool = False,
    quiet: bool = False,
) -> "Cache":
    """Compute what the cache lacks, as `make features` does, and open the cache.

    Parameters
    ----------
    dataset : str
        A name, a folder or a CSV.
    features : str, or list of str
        Features separated by spaces, or `all` or `small`.

    Returns
    -------
    Cache
        A warning names the table of clips that failed.

    Examples
    --------
    >>> cache = fs.extract("synth", "rms zcr", jobs=1, quiet=True)
    >>> {"rms", "zcr"} <= {*cache.features}
    True
    """
    from featurestack.features_cache.cache import cache_of
    from featurestack.features_cache.index_file import FAILURES
    from featurestack.pipeline.extract import extract_features

    options = options_from(FeaturesCommand, locals())
    failed = extract_features(options)
    stored = cache_of(options.dataset, options.data, options.name)
    if failed:
        warn(f"clips failed: {stored.folder / FAILURES} says which, and why")
    return stored


@command
@documented(TrainOptions)
def fit(
    dataset: str = "esc50",
    features: str | Sequence[str] = "mel+mfcc+chroma",
    *,
    runs: Path | str = "runs",
    data: Path | str = "data",
    name: str = "",
    model: str | Sequence[str] = "resnet18",
    task: str | Sequence[str] = "auto",
    seed: int | Sequence[int] = 0,
    epochs: int | Auto | Sequence[int] = "auto",
    batch: int | Sequence[int] = 32,
    grid: str | Sequence[str] = "auto",
    padding: str | Sequence[str] = "auto",
    norm: str | Sequence[str] = "auto",
    augment: str | Sequence[str] = "auto",
    balance: str | Sequence[str] = "none",
    lr: float | Auto | Sequence[float] = "auto",
    val: str | Sequence[str] = "none",
    select: str | Sequence[str] = "val_loss",
    patience: int | Sequence[int] = 0,
    weights: str | Sequence[str] = "auto",
    device: str | Sequence[str] = "auto",
    precision: str | Sequence[str] = "auto",
    threads: int | Auto | Sequence[int] = "auto",
    folds: int | Sequence[int] = (),
    curve: int = 20,
    tag: str = "",
    note: str = "",
    tracker: Literal["", "tensorboard", "wandb"] = "",
    schedule: Literal["onecycle", "cosine", "step", "plateau", "constant"]
    | Sequence[
        Literal["onecycle", "cosine", "step", "plateau", "constant"]
    ] = "onecycle",
    quiet: bool = False,
) -> "RunFolder | list[RunFolder]":
    """Train a model on each fold, as `make train` does, or open the finished run.

    Every option that can change predictions takes a list, and each combination is a
    run.

    Parameters
    ----------
    dataset : str
        A name, a folder, a CSV, or the cache that `fs.extract` returns.
    features : str
        Names joined by +, each a channel, such as "mel+mfcc+chroma".
    model : str
        A network, or "linear" or "ridge", which are solved in seconds; `make models`
        lists all.

    Returns
    -------
    RunFolder, or list of RunFolder
        One run, or a list if an option has several values.

    Examples
    --------
    >>> cache = fs.extract("synth", "rms zcr", jobs=1, quiet=True)
    >>> run = fs.fit(cache, "rms+zcr", model="ridge", quiet=True)
    >>> run.name, len(run.finished)
    ('rms+zcr-ridge', 5)
    """
    from featurestack.train.training import fit as train_runs

    return train_runs(options_from(TrainOptions, locals()))


@command
@documented(AnalysisOptions)
def report(
    dataset: str = "",
    data: Path | str = "data",
    runs: Path | str = "runs",
    reports: Path | str = "reports",
    *,
    name: str = "",
    paper: bool = False,
    quiet: bool = False,
) -> "Report":
    """Write the report of a dataset's runs, as `make analysis` does.

    Parameters
    ----------
    dataset : str
        By default the only dataset that has runs or a cache.

    Returns
    -------
    Report
        `.page` is the HTML file, next to the folder `tables`; `.headline` is the
        finding in one sentence.

    Examples
    --------
    >>> fs.report("synth", quiet=True).page.name
    'index.html'
    """
    from featurestack.analysis.report.build import build_report
    from featurestack.analysis.report.jobs import jobs

    datasets = jobs(options_from(AnalysisOptions, locals()))
    if len(datasets) > 1:
        names = ", ".join(job.dataset for job in datasets)
        raise RequestError(f"fs.report takes one dataset: dataset= one of {names}")
    (job,) = datasets
    built = build_report(job)
    if changed := built.found.warnings.get("W5"):
        warn(changed)
    return built


@command
@documented(BundleOptions)
def bundle(
    run: str = "last",
    out: Path | str | None = None,
    *,
    dataset: str = "",
    name: str = "",
    data: Path | str = "data",
    runs: Path | str = "runs",
    quiet: bool = False,
) -> Path:
    """Write one file with all that prediction needs, as `make bundle` does.

    Parameters
    ----------
    run : str
        From `fs.fit`, or its name, path or unique prefix, or `last`.
    out : path, optional
        The file; by default the run's name and .bundle.pt.

    Returns
    -------
    Path
        The file.

    Examples
    --------
    >>> fs.bundle("last", quiet=True).name
    'rms+zcr-ridge.bundle.pt'
    """
    file: Any = function_of("bundle")(options_from(BundleOptions, locals()))
    return file


@command
@documented(SourceOptions)
def check(
    dataset: str = "esc50",
    *,
    runs: Path | str = "runs",
    data: Path | str = "data",
    name: str = "",
    archive: str = "",
    audio_dir: str = "",
    group: str | None = None,
    label: str | None = None,
    sample_rate: int | None = None,
    duration: float | None = None,
    seed: int = 0,
    quiet: bool = False,
) -> bool:
    """Look for faults of a dataset: leaks, silent or clipped clips, artefacts.

    Parameters
    ----------
    dataset : str
        A name, a folder or a CSV.

    Returns
    -------
    bool
        False if a leak is nearly certain.

    Examples
    --------
    >>> fs.check("synth", quiet=True)
    True
    """
    return not function_of("check")(options_from(SourceOptions, locals()))


@command
@documented(AnswerOptions)
def answer(
    dataset: str = "",
    data: Path | str = "data",
    *,
    reports: Path | str = "reports",
    runs: Path | str = "runs",
    name: str = "",
    archive: str = "",
    audio_dir: str = "",
    group: str | None = None,
    label: str | None = None,
    sample_rate: int | None = None,
    duration: float | None = None,
    seed: int = 0,
    features: str | Sequence[str] = "all",
    frame: float | None = None,
    jobs: int | None = None,
    task: str = "auto",
    network: str = "auto",
    yes: bool = False,
    quiet: bool = False,
) -> "Answer":
    """`make answer`: from a folder of sounds to the report. The same call resumes what
    was interrupted.

    Parameters
    ----------
    dataset : str
        A folder of sounds, a table, or a cache folder.
    data : path
        Folder of datasets.

    Returns
    -------
    Answer
        `.score` is the choice's: each fold is tested by the set in `.chosen`, which was
        chosen without this fold. `.recommended` is the set for later use and
        `.run` the name of its run, which `fs.run(found)` opens. `.alone` has each
        feature's own score, `.page` is the HTML file, `.headline` its finding in one
        sentence.

    Examples
    --------
    ::

        found = fs.answer("my sounds")
        found.score.value, found.recommended
    """
    from featurestack.answers.answer import find_answer

    return find_answer(options_from(AnswerOptions, locals()))
