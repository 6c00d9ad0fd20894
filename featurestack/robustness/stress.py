"""`make stress`: what breaks a run. Its test clips are predicted again after each of
CHANGES of their audio, through the features of the run, by the model of their fold.

    runs/<dataset>/<run>/stress.json    `Stress`, written whole after each change
"""

import json
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
import pandas as pd

from featurestack.commandline.errors import RequestError, make_command
from featurestack.commandline.quantities import counted, duration
from featurestack.commandline.terminal import progress, tell
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.names import cache_folder, dataset_name
from featurestack.pipeline import audio
from featurestack.predict.options import StressOptions
from featurestack.results.config import Record, digest, read_config
from featurestack.results.run_folder import PREDICTIONS_FILE, RunFolder, damage_named
from featurestack.results.selection import is_of_today, select_one
from featurestack.scores.calibration import scaled
from featurestack.scores.tasks import require_clips
from featurestack.storage.files import content_hash, is_file
from featurestack.storage.own_files import OwnFiles

if TYPE_CHECKING:
    from featurestack.predict.bundle import Values
    from featurestack.predict.model import Model

FILE = "stress.json"
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
TIMED = 8  # clips that tell in advance how long all take
BATCH = 32  # clips


class Answers(Record):
    """The answers to the test clips after one change, in the order of `scored`."""

    right: tuple[bool, ...]
    claimed: tuple[float, ...]  # the highest probability


class Stress(Record):
    """The content of stress.json."""

    hash: str  # of the predictions, which follow from the weights, and of CHANGES
    changes: Mapping[str, Answers]


# ---- the answers


def measure_stress(options: StressOptions) -> tuple[RunFolder, Stress]:
    """The run, and the answers after every change; those that are there are kept."""
    dataset = dataset_name(options.dataset)
    run = select_one(options.runs, options.run, dataset, data=options.data)
    require_one_label(run)
    own = OwnFiles(run.path)
    own.require(FILE, "RUN")
    try:
        stress = read_stress(run)
    except RequestError:  # none yet, of other weights, or damaged
        stress = Stress(hash=hash_of_run(run), changes={})
    lacking = [name for name in possible() if name not in stress.changes]
    if lacking:
        clips = audible_clips(
            run, cache_folder(options.dataset or run.dataset, options.data)
        )
        model = opened(run, options)
        tell_time(model, clips, lacking)
        for name in progress(lacking, label="stress", unit="changes"):
            new = answers(model, clips, CHANGES[name])
            stress = replace(stress, changes={**stress.changes, name: new})
            own.write({FILE: json.dumps(asdict(stress)) + "\n"})
        tell_other_answers(run, stress)
    return run, stress


def require_one_label(run: RunFolder) -> None:
    """RequestError for a run whose clips have no single right answer."""
    require_clips(run.task, run.name)
    if run.task.multilabel:
        raise RequestError(
            f"{run.name} predicts several labels a clip: stress counts right answers,"
            " and takes runs of one label"
        )
    _ = run.training  # refuses a run that trained nothing


def hash_of_run(run: RunFolder) -> str:
    files = [run.fold(fold) / PREDICTIONS_FILE for fold in run.finished]
    return digest([[content_hash(file) for file in files], CHANGES])


def read_stress(run: RunFolder) -> Stress:
    """What was measured of the run; RequestError if it was of other weights, if the
    file is damaged, or if there is none.
    """
    file, remedy = run.path / FILE, make_command("stress", f"RUN={run.path}")
    with damage_named(file, remedy):
        content = json.loads(file.read_text(encoding="utf-8"))
    stress = read_config(content, Stress, str(file), remedy)
    whole = all(len(of.right) == len(run.scored()) for of in stress.changes.values())
    if stress.hash != hash_of_run(run) or not whole:
        raise RequestError(f"{file} was measured before the run changed: {remedy}")
    return stress


def possible() -> list[str]:
    """The changes that can be made here."""
    from featurestack.pipeline.alterations import writes_mp3

    if writes_mp3():
        return [*CHANGES]
    tell(f"{MP3} is left out: the libsndfile here writes none")
    return [name for name in CHANGES if name != MP3]


def audible_clips(run: RunFolder, folder: Path) -> pd.DataFrame:
    """The test clips, a row each, with their audio; RequestError if it is missing."""
    cache = Cache(folder)
    if not is_of_today(run.training, cache):
        raise RequestError(
            f"{folder} holds other clips or values than {run.name} was trained on:"
            " DATASET= names the cache that trained it"
        )
    tested = run.scored()
    rows = cache.positions(tested["clip_id"].to_numpy())
    clips = cache.clips.iloc[rows][["clip_id", "path", "start", "end"]]
    lacking = [path for path in clips["path"].unique() if not is_file(path)]
    if lacking:
        raise RequestError(
            "stress changes the audio of the test clips, and of"
            f" {counted(len(lacking), 'file')} there is none (the first:"
            f" {lacking[0] or 'the cache names no files'})"
        )
    target = run.task.targets(tested["target"], run.classes)
    return clips.assign(
        fold=tested["fold"].to_numpy(), filled=cache.filled[rows], target=target
    )


def opened(run: RunFolder, options: StressOptions) -> "Model":
    import torch

    from featurestack.predict.model import Model
    from featurestack.train.compute import keep_freed_memory, threads_of

    torch.set_num_threads(threads_of(options.threads))
    keep_freed_memory()
    model = Model(run, device=options.device)
    model.warm()
    return model


def tell_time(model: "Model", clips: pd.DataFrame, changes: Sequence[str]) -> None:
    """Tell in advance how long the changes take; the first clip loads libraries."""
    few = clips.head(TIMED)
    for timed in (clips.head(1), few):
        begun = time.perf_counter()
        for name in changes:
            answers(model, timed, CHANGES[name])
    seconds = (time.perf_counter() - begun) * len(clips) / len(few)
    kept = len(CHANGES) - len(changes)
    tell(
        f"{counted(len(clips), 'clip')}, each in {len(changes)} ways: about"
        f" {duration(seconds)}{f', {kept} are kept' if kept else ''}"
    )


def answers(model: "Model", clips: pd.DataFrame, alteration: str) -> Answers:
    """The answers of each clip's fold's model, scaled as `make predict` has them."""
    networks = model.networks
    right, claimed = [], []
    with ThreadPoolExecutor(joblib.cpu_count()) as pool:
        for fold, batch in batches(clips):
            compute = partial(changed_values, model, alteration)
            each, filled = zip(*pool.map(compute, batch.itertuples()))
            values = [np.stack(channel) for channel in zip(*each, strict=True)]
            x = networks.prepare(fold, values, np.array(filled))
            probabilities = scaled(networks.answers(fold, x), networks.temperature)
            right += (probabilities.argmax(axis=1) == batch["target"]).tolist()
            claimed += probabilities.max(axis=1).astype(float).round(4).tolist()
    return Answers(right=tuple(right), claimed=tuple(claimed))


def batches(clips: pd.DataFrame) -> Iterator[tuple[int, pd.DataFrame]]:
    for fold, of_fold in clips.groupby("fold", sort=False):
        for start in range(0, len(of_fold), BATCH):
            yield int(str(fold)), of_fold.iloc[start : start + BATCH]


def changed_values(
    model: "Model", alteration: str, clip: Any
) -> "tuple[Values, float]":
    """A changed clip's features, and the share of the longest clip that it fills."""
    from featurestack.pipeline.alterations import altered

    rate, samples = model.sample_rate, model.samples
    span = clip.start, clip.end
    try:
        y = audio.load_clip(clip.path, rate, samples, span, model.audio_channel)
    except audio.AudioError as error:
        raise RequestError(f"{clip.path}: {error}") from None
    y = y[: max(1, round(clip.filled * samples))]
    if alteration:
        seed = zlib.crc32(clip.clip_id.encode())
        y = altered(y, rate, alteration.format(seed=seed))[:samples]
    return model.stored_values(y), len(y) / samples


def tell_other_answers(run: RunFolder, stress: Stress) -> None:
    """Tell if the unchanged clips are not answered as in predictions.csv."""
    known, targets = run.answers()
    right = known.argmax(axis=1) == targets
    other = int((right != stress.changes[UNCHANGED].right).sum())
    if other:
        tell(
            f"{other} of {counted(len(targets), 'unchanged clip')} are not answered as"
            " in predictions.csv: the audio is another than when the run was trained"
        )
