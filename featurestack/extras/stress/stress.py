"""`make stress`: what breaks a run. Its test clips are predicted again after each of
CHANGES of their audio, through the features of the run, by the model of their fold.

    runs/<dataset>/<run>/stress.json    hash, and for each change whether each clip of
        `scored` was predicted right, and the highest probability, claimed; written
        whole after each change

What a change costs is tested like the difference between two runs: by sign flips of
source recordings, all changes of a run as one family.
"""

import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from featurestack.analysis.page import Report, Section
from featurestack.analysis.report.tables import declare, ends
from featurestack.base.errors import RequestError
from featurestack.base.files import require_writable
from featurestack.base.json_content import digest, read_json
from featurestack.base.options import Auto, report_line
from featurestack.base.own_files import OwnFiles
from featurestack.base.quantities import counted, listed, percent
from featurestack.base.table_files import csv_text
from featurestack.base.terminal import progress, tell, text_table
from featurestack.cli.commands import command, documented
from featurestack.cli.parser import options_from
from featurestack.comparison.ranking import ModelRanking
from featurestack.comparison.significance import few_groups, gain_tests
from featurestack.extras.alterations import altered, writes_mp3
from featurestack.extras.stress import StressOptions
from featurestack.features_cache.cache import Cache, find_cache
from featurestack.features_cache.source_changes import source_changes
from featurestack.pipeline import audio
from featurestack.results.calibration import scaled
from featurestack.results.dataset_folders import named_dataset
from featurestack.results.run_folder import RunFolder, tested_run
from featurestack.results.run_list import select_one
from featurestack.results.same_run import require_trained_on

if TYPE_CHECKING:
    from featurestack.predict.model import Model

STRESS_FILE = "stress.json"
UNCHANGED = "unchanged"
MP3 = "MP3 at 32 kbit/s"
CHANGES = {  # change -> alteration; every clip has a seed of its own
    UNCHANGED: "",
    "noise at 20 dB": "noise(snr_db=20,seed={seed})",
    "noise at 10 dB": "noise(snr_db=10,seed={seed})",
    "low-pass at 3 kHz": "lowpass(hertz=3000)",
    MP3: "mp3(kbit=32)",
    "a room of 0.5 s": "room(seconds=0.5,seed={seed})",
    "20 dB quieter": "gain(db=-20)",
    "40 dB quieter": "gain(db=-40)",
    "12 dB over full scale": "overload(db=12)",
    "5 % faster": "stretch(rate=1.05)",
    "1 s of silence in front": "delay(seconds=1)",
}
NEAR_TIE = 1e-3  # rounding may turn answers whose probabilities differ by less
HALF = "at least half of the lead over chance"
TESTED_BATCH = 32  # clips


@dataclass(frozen=True)
class AlteredPredictions:
    """The answers of the test clips after a change."""

    right: tuple[bool, ...]
    claimed: tuple[float, ...]  # the highest probability of each


@dataclass(frozen=True)
class Stress:
    """The content of stress.json."""

    hash: str
    changes: Mapping[str, AlteredPredictions]

    def __post_init__(self) -> None:
        each = [
            part for change in self.changes.values() for part in vars(change).values()
        ]
        if len({*map(len, each)}) > 1:
            raise ValueError("changes have different numbers of clips")


Changes = dict[str, AlteredPredictions]


# ---- the answers


def measure_stress(options: StressOptions) -> tuple[RunFolder, Changes]:
    """The run, and the answers after every change; those that are there are kept."""
    dataset = named_dataset(options.dataset, options.data, options.name)
    run = select_one(options.runs, options.run, *dataset, data=options.data)
    if run.task.multilabel:
        raise RequestError(
            f"{run.name} predicts several labels per clip, and stress needs one"
        )
    changes = read_stress(run)
    own_files = OwnFiles(run.path)
    own_files.require(STRESS_FILE, "RUN=")
    absent = [name for name in CHANGES if name not in changes]
    if not writes_mp3() and MP3 in absent:
        tell(f"{MP3} is left out: the libsndfile here writes none")
        absent.remove(MP3)
    if not absent:
        return run, changes
    require_writable(run.path)
    _, cache = find_cache(options.dataset, options.data, options.name)
    cache = cache or Cache(options.data / run.dataset / "features")
    require_trained_on(run, cache)
    if edited := source_changes(cache.sources, cache.settings, cache.folds_csv):
        raise RequestError(
            f"{run.name} was trained on other sounds than {cache.sounds[0]} has now"
            f" ({edited}): {cache.remedy(' '.join(run.config.cache))}, and train again"
        )
    tested = run.scored()
    positions = cache.positions(tested["clip_id"].to_numpy())
    clips = cache.clips.iloc[positions][["clip_id", "path", "start", "end"]]
    target = run.task.targets(tested["target"], run.classes)
    fold = tested["fold"].to_numpy()
    clips = clips.assign(fold=fold, filled=cache.filled[positions], target=target)
    from featurestack.predict.model import Model, set_threads  # loads torch

    set_threads(options.threads)
    model = Model(run, device=options.device)
    kept = f", {len(changes)} are kept" if changes else ""
    tell(f"{counted(len(clips), 'clip')}, each in {len(absent)} versions{kept}")
    for name in progress(absent, label="stress", unit="changes"):
        changes[name] = predict_altered(model, clips, CHANGES[name])
        if name == UNCHANGED:
            changes[name] = as_tested(run, changes[name])
        content = Stress(hash_of_run(run), changes)
        own_files.write({STRESS_FILE: json.dumps(asdict(content)) + "\n"})
    return run, changes


def as_tested(run: RunFolder, unchanged: AlteredPredictions) -> AlteredPredictions:
    """The answers without a change, right where the run's own predictions are;
    RequestError if they differ by more than rounding.
    """
    probabilities, target = run.probabilities()
    tested = probabilities.argmax(axis=1) == target
    second, first = np.sort(probabilities, axis=1)[:, -2:].T
    other = (tested != np.array(unchanged.right)) & (first - second > NEAR_TIE)
    if number := int(other.sum()):
        raise RequestError(
            f"{run.name} answers {counted(number, 'clip')} otherwise than when it was"
            " trained, although nothing was changed: their sounds, or what decodes"
            " them, are other ones; extract their features and train again"
        )
    return replace(unchanged, right=tuple(tested.tolist()))


def hash_of_run(run: RunFolder) -> str:
    """The digest of the predictions, which follow from the weights, and of CHANGES."""
    return digest([csv_text(run.scored()), CHANGES])


def read_stress(run: RunFolder) -> Changes:
    """The measurements of this run; empty if there are none for its weights;
    RequestError if their file is damaged.
    """
    file = run.path / STRESS_FILE
    if not file.exists():
        return {}
    remedy = "remove it, and stress makes it again"
    content = read_json(file, Stress, remedy)
    return {**content.changes} if content.hash == hash_of_run(run) else {}


def predict_altered(
    model: "Model", clips: pd.DataFrame, alteration: str
) -> AlteredPredictions:
    """The answers of each clip's fold's model, scaled as `make predict` has them."""
    from featurestack.predict.bundle import RunModel

    networks = model.networks
    assert isinstance(networks, RunModel), "it is opened from a run"
    right, claimed = [], []
    number = np.arange(len(clips)) // TESTED_BATCH
    for (fold, _), batch in clips.groupby(["fold", number], sort=False):
        values = model.batch(
            [changed(model, alteration, c) for c in batch.itertuples()]
        )
        probabilities = scaled(
            networks.probabilities(fold, *values), networks.temperature
        )
        right += (probabilities.argmax(axis=1) == batch["target"]).tolist()
        claimed += probabilities.max(axis=1).astype(float).round(4).tolist()
    return AlteredPredictions(tuple(right), tuple(claimed))


def changed(model: "Model", alteration: str, clip: Any) -> audio.Samples:
    rate, samples = model.sample_rate, model.samples
    span = clip.start, clip.end
    try:
        y = audio.load_clip(clip.path, rate, samples, span)
    except audio.AudioError as error:
        named = clip.path or "the cache names no files"
        raise RequestError(
            f"stress changes the audio of the test clips: {named}: {error}"
        ) from None
    y = y[: max(1, round(clip.filled * samples))]
    if not alteration:
        return y
    seed = zlib.crc32(clip.clip_id.encode())
    return altered(y, rate, alteration.format(seed=seed))[:samples]


# ---- the table


declare(
    "stress",
    "a change of the audio",
    text={"run": "Run", "change": "Change", "loss": "Loss"},
    percent={"score": "{score} %", **ends(), "claimed": "Claims %"},
    file={"clear": "whether the change clearly costs accuracy"},
)


def stress_table(run: RunFolder, changes: Changes) -> pd.DataFrame:
    """A row for each change. The score is accuracy, or balanced accuracy if classes are
    uneven; claimed is the mean highest probability; loss is clear, HALF, or ''.
    """
    tested = tested_run([run])
    groups, weights = tested.groups, tested.weights
    order = np.argsort(run.scored()["clip_id"])  # of `tested`
    right = np.array([of.right for of in changes.values()], float).T[order]
    intervals = tested.interval_of(right)
    parts = right * weights[:, None]
    table = pd.DataFrame({"run": run.name, "change": [*changes]})
    table["score"] = parts.mean(axis=0).round(12)
    table[["low", "high"]] = intervals
    table["claimed"] = [np.mean(of.claimed) for of in changes.values()]
    table["clear"] = False
    if len(table) > 1:
        gains = parts[:, :1] - parts[:, 1:]
        # the models are the same, so that no difference comes from training
        tests = gain_tests(gains[None], groups, weights=weights, variance=1.0)
        clear = tests["significant"] & (tests["mean"] > 0)
        crossed = len(np.unique(tested.folds)) > 1
        clear &= ModelRanking(runs=(tested,), crossed=crossed).against_chance.clear
        table.loc[1:, "clear"] = clear.to_numpy()
    lead = table["score"].iloc[0] - tested.metric.chance(tested).mean()
    lost = table["score"].iloc[0] - table["score"]
    half = table["clear"] & ((2 * lost - lead).round(9) >= 0)
    table["loss"] = np.select([half, table["clear"]], [HALF, "clear"], "")
    return table


def make_stress(options: StressOptions) -> None:
    """Measure what breaks a run, and print the table."""
    run, changes = measure_stress(options)
    table = stress_table(run, changes)
    rows = []
    for row in table.itertuples():
        interval = f"{percent(row.low)} to {percent(row.high)}"
        scores = percent(row.score), interval, percent(row.claimed)
        rows.append([row.change, *scores, row.loss])
    tested = tested_run([run])
    header = "", tested.metric.title, "95 % interval", "claims", "loss"
    print(text_table(rows, header))
    if few := few_groups(len(np.unique(tested.groups))):
        print(few)
    print(report_line(replace(options, dataset=options.dataset or run.dataset)))


def stress_section(report: Report) -> Section | None:
    folders = [folder for run in report.found.runs for folder in run.folders]
    measured = [(folder, read_stress(folder)) for folder in folders]
    stressed = [(folder, changes) for folder, changes in measured if changes]
    tables = [stress_table(folder, changes) for folder, changes in stressed]
    if not tables:
        return None
    tested = tested_run([stressed[0][0]])
    return Section(
        "Stress",
        "What breaks it",
        tables={"stress": pd.concat(tables, ignore_index=True)},
        values={
            "stressed": listed([folder.name for folder, _ in stressed]),
            "several": len(stressed) > 1,
            "few": few_groups(len(np.unique(tested.groups))),
            "heading": tested.metric.heading,
        },
    )


@command
@documented(StressOptions)
def stress(
    run: str = "last",
    *,
    data: Path | str = "data",
    dataset: str = "",
    name: str = "",
    runs: Path | str = "runs",
    device: str = "cpu",
    threads: int | Auto = "auto",
    quiet: bool = False,
) -> pd.DataFrame:
    """`make stress`: the accuracy of a run on its own test clips after each of ten
    changes of their audio, balanced if its classes are uneven.

    Parameters
    ----------
    run : str
        From `fs.fit`, or its name, path or unique prefix, or `last`.

    Returns
    -------
    DataFrame
        A row for each change: `score` with its interval, `claimed`, the mean highest
        probability, and whether the loss is `clear`.

    Examples
    --------
    ::

        fs.stress("last").query("clear")["change"]
    """
    return stress_table(*measure_stress(options_from(StressOptions, locals())))
