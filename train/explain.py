"""`python -m train explain`: what each channel is worth to a trained run, without training again.

Each fold's model predicts its test clips once more, several times for each channel, and each time every clip
gets that channel of another test clip. Of these predictions

    permuted      the mean share that is correct: permutation importance (Breiman 2001)
    marginalised  whether the class with the highest mean probability is correct: the channel is
                  averaged out over its values in other clips (Robnik-Sikonja and Kononenko 2008)

Values that a channel really has are valid for every model and every standardisation. A constant in its place
is not: to the modulation spectrum of texture statistics a channel at its mean lies many deviations off.

A model that was trained without the channel may do better than one that loses it: this measures what the
model uses, a sweep what it needs.

Writes fold*/attribution.csv, one row a channel, method and test clip: channel, method, clip_id, correct (the
share of its repeats that were correct), selection (the epoch whose weights they are: the one that counts).
"""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from commandline.files import replace_file
from commandline.options import make_command, words
from commandline.registry import RequestError
from commandline.terminal import counted, percent, points, progress, text_table
from features_cache import Cache, Channel, cache_folder
from features_cache.names import parse_set
from results import run_folder
from train.bundle import AGREES, BATCH, TrainedModel, bundle_of_run
from train.compute import device_of
from train.data import input_width
from train.options import ExplainOptions

WHOLE = ("", "")  # the channel and method of what nothing was changed in

Correct = NDArray[np.float64]  # (N,) share of repeats that were correct
# The true class of each test clip (N,), and (channel, method) -> (N,)
Explained = tuple[NDArray[np.str_], dict[tuple[str, str], Correct]]
CLASSES_NAMED = 3  # of a channel, those that lose most without it
LEGEND = (  # of the printed table
    "permuted: another test clip's channel in its place, the mean of repeats; "
    "marginalised: the channel averaged out over these repeats"
)


def explain_runs(options: ExplainOptions) -> int:
    """Write attribution.csv of every finished fold of the runs named; print what each channel is worth.

    explain_runs(ExplainOptions(run="last", repeats=10))
    """
    for run in run_folder.select(options.runs, options.run):
        cache = Cache(cache_folder(run.dataset, options.data, run.dataset))
        model = TrainedModel(bundle_of_run(run), device_of(options.device))
        outcomes = [
            _explain_fold(run, fold, model, cache, options)
            for fold in progress(run.finished, label=run.name, unit="folds")
        ]
        print(_summary(run, outcomes))
        given = [word for word in words(options, ("data", "runs")) if word]
        print(f"next: {make_command('analysis', f'DATASET={run.dataset}', *given)}")
    return 0


def _explain_fold(
    run: run_folder.RunFolder, fold: int, model: TrainedModel, cache: Cache, options: ExplainOptions
) -> Explained:
    """The fold's attribution.csv, and what stands in it."""
    rows, selection = run.predictions(fold), run.selection()
    rows = rows[(rows["split"] == "test") & (rows["selection"] == selection)]
    ids = rows["clip_id"].tolist()
    channels = parse_set(run.config["features"])
    chunks = [ids[start : start + BATCH] for start in range(0, len(ids), BATCH)]
    filled = [cache.filled[cache.positions(chunk)] for chunk in chunks]
    x = torch.cat([model.input(fold, cache.batch(channels, one), own) for one, own in zip(chunks, filled)])
    target = np.array([model.classes.index(name) for name in rows["target"]])
    whole = model.of_input(fold, x)
    if np.abs(whole - rows[model.classes].to_numpy()).max() > AGREES:
        raise RequestError(
            f"fold {fold} of {run.name}: the cache {cache.folder} gives other predictions than in training: "
            "it was made again; train again, or give DATA=the folder of the one trained on"
        )
    random = np.random.default_rng([options.seed, fold])
    outcome = {WHOLE: (whole.argmax(axis=1) == target).astype(float)}
    for name, place in _places(model, cache, channels, x):
        changed, predicted = x.clone(), []
        for _ in range(options.repeats):
            changed[:, place] = x[random.permutation(len(x))][:, place]
            predicted.append(model.of_input(fold, changed))
        probabilities = np.array(predicted)  # (repeats, N, K)
        outcome[name, "permuted"] = (probabilities.argmax(axis=2) == target).mean(axis=0)
        outcome[name, "marginalised"] = (probabilities.mean(axis=0).argmax(axis=1) == target).astype(float)
    _write(run.fold(fold) / "attribution.csv", ids, outcome, selection)
    return rows["target"].to_numpy(dtype=str), outcome


def _places(
    model: TrainedModel, cache: Cache, channels: tuple[Channel, ...], x: torch.Tensor
) -> Iterator[tuple[str, slice]]:
    """Each channel's name (a second one of the same name is numbered) and its place in dimension 1 of x."""
    seen: Counter[str] = Counter()
    start = 0
    for channel, described in zip(channels, model.config["channels"], strict=True):
        first, last = described["rows"]
        width = input_width(model.kind, (last - first + 1, cache[channel].frames))
        seen[str(channel)] += 1
        again = f" ({seen[str(channel)]})" if seen[str(channel)] > 1 else ""
        yield f"{channel}{again}", slice(start, start + width)
        start += width
    assert start == x.shape[1]


def _write(file: Path, ids: list[str], outcome: dict[tuple[str, str], Correct], selection: str) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["channel", "method", "clip_id", "correct", "selection"])
    for (channel, method), correct in outcome.items():
        if channel:
            pairs = zip(ids, correct)
            writer.writerows((channel, method, clip, f"{share:g}", selection) for clip, share in pairs)
    replace_file(file, text.getvalue().encode("utf-8"))


def _summary(run: run_folder.RunFolder, outcomes: list[Explained]) -> str:
    """The clips that are correct over all folds, as it is and without each channel, and by class."""
    keys = outcomes[0][1]
    pooled = {key: np.concatenate([outcome[key] for _, outcome in outcomes]) for key in keys}
    target = np.concatenate([classes for classes, _ in outcomes])
    whole = pooled.pop(WHOLE)
    rows = [
        (channel, method, percent(correct.mean()), points(correct.mean() - whole.mean()))
        for (channel, method), correct in pooled.items()
    ]
    head = (
        f"{run.name}: {whole.sum():.0f} of {counted(len(whole), 'test clip')} correct "
        f"in {len(outcomes)} of {counted(len(run.folds), 'fold')}"
    )
    table = text_table(rows, ("channel", "method", "correct %", "change, points"))
    by_class = [
        f"{channel} helps most: {_helped(whole - correct, target)}"
        for (channel, method), correct in pooled.items()
        if method == "permuted"
    ]
    return "\n".join([head, table, LEGEND, *by_class])


def _helped(lost: Correct, target: NDArray[np.str_]) -> str:
    """`dog 25.0, rain 12.5 (points of recall lost, permuted)`: the classes that lose most."""
    recall = sorted(
        ((float(lost[target == name].mean()), str(name)) for name in np.unique(target)), reverse=True
    )
    named = [f"{name} {percent(one)}" for one, name in recall[:CLASSES_NAMED] if one > 0]
    return f"{', '.join(named)} (points of recall lost, permuted)" if named else "no class"
