"""`python -m train explain`: what each channel is worth to a trained run, without training again.

Each fold's model is asked about its test clips once more, with one channel at a time `removed` (at its
mean everywhere) or `permuted` (every clip gets that channel of another test clip, several times over).
A model that was trained without the channel may do better than one that has it taken away: this measures
what the model uses, a sweep what it needs.

Writes fold*/attribution.csv, one row a channel, method and test clip: channel, method, clip_id, correct (the
share of its repeats that were right).
"""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from commandline import RequestError, progress, text_table
from features_cache import Cache, Channel, cache_folder
from features_cache.names import parse_set
from train import bundle, runs
from train.answers import AGREES
from train.compute import device_of
from train.models.linear import LinearNet
from train.trained import AT_ONCE, Trained
from train.trained_options import ExplainOptions

Correct = NDArray[np.float64]  # (N,) share of repeats that were right


def explain(options: ExplainOptions) -> int:
    """Write attribution.csv of every finished fold of the runs named; print what each channel is worth."""
    for run in runs.select(options.runs, options.run):
        cache = Cache(cache_folder(run.dataset, options.data, run.dataset))
        trained = Trained(bundle.of_run(run), device_of(options.device))
        channels = parse_set(run.config["features"])
        outcomes = [
            _explain_fold(run, fold, trained, cache, channels, options)
            for fold in progress(run.finished, label=run.name, unit="folds")
        ]
        print(_summary(run, outcomes))
    return 0


def _explain_fold(
    run: runs.RunFolder,
    fold: int,
    trained: Trained,
    cache: Cache,
    channels: tuple[Channel, ...],
    options: ExplainOptions,
) -> dict[tuple[str, str], Correct]:
    """The fold's attribution.csv, and what stands in it: (channel, method) -> (N,); ("", "") is the whole."""
    rows = run.predictions(fold)
    rows = rows[(rows["split"] == "test") & (rows["selection"] == "last")]
    ids = rows["clip_id"].tolist()
    x = torch.cat(
        [
            trained.input(fold, cache.batch(channels, ids[start : start + AT_ONCE]))
            for start in range(0, len(ids), AT_ONCE)
        ]
    )
    target = np.array([trained.classes.index(name) for name in rows["target"]])
    whole = _answers(trained, fold, x)
    if np.abs(whole - rows[trained.classes].to_numpy()).max() > AGREES:
        raise RequestError(
            f"fold {fold} of {run.name}: the cache {cache.folder} gives other predictions than in training: "
            "it was made again; train again, or give DATA=the folder of the one trained on"
        )
    chance = np.random.default_rng([options.seed, fold])
    outcome = {("", ""): (whole.argmax(axis=1) == target).astype(float)}
    for name, place in _places(trained, fold, channels, x):
        for method, changes in (
            ("removed", [_neutral(trained, fold, x, place)]),
            ("permuted", (x[chance.permutation(len(x))][:, place] for _ in range(options.repeats))),
        ):
            right = [_with(trained, fold, x, place, change).argmax(axis=1) == target for change in changes]
            outcome[name, method] = np.mean(right, axis=0)
    _write(run.fold(fold) / "attribution.csv", ids, outcome)
    return outcome


def _places(
    trained: Trained, fold: int, channels: tuple[Channel, ...], x: torch.Tensor
) -> Iterator[tuple[str, slice]]:
    """Each channel's name (a second one of the same name is numbered) and its place in dimension 1 of x."""
    seen: Counter[str] = Counter()
    start = 0
    for channel, described in zip(channels, trained.config["channels"], strict=True):
        first, last = described["rows"]
        width = 2 * (last - first + 1) if trained.kind == "linear" else 1  # mean and deviation of each row
        seen[str(channel)] += 1
        again = f" ({seen[str(channel)]})" if seen[str(channel)] > 1 else ""
        yield f"{channel}{again}", slice(start, start + width)
        start += width
    assert start == x.shape[1]


def _neutral(trained: Trained, fold: int, x: torch.Tensor, place: slice) -> torch.Tensor:
    """What stands for a channel that is not there: its mean over the training clips."""
    network = trained.members[fold].network
    if isinstance(network, LinearNet):
        return network.mean[place].cpu().expand_as(x[:, place])
    return torch.zeros_like(x[:, place])  # the mean after standardising


def _with(trained: Trained, fold: int, x: torch.Tensor, place: slice, change: torch.Tensor) -> NDArray:
    changed = x.clone()
    changed[:, place] = change
    return _answers(trained, fold, changed)


def _answers(trained: Trained, fold: int, x: torch.Tensor) -> NDArray[np.float32]:
    return np.concatenate([trained.answer(fold, part) for part in x.split(AT_ONCE)])


def _write(file: Path, ids: list[str], outcome: dict[tuple[str, str], Correct]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["channel", "method", "clip_id", "correct"])
    for (channel, method), correct in outcome.items():
        if channel:
            writer.writerows((channel, method, clip, f"{share:g}") for clip, share in zip(ids, correct))
    runs.replace_file(file, text.getvalue().encode("utf-8"))


def _summary(run: runs.RunFolder, outcomes: list[dict[tuple[str, str], Correct]]) -> str:
    """Accuracy over all folds, as it is and without each channel."""
    pooled = {key: np.concatenate([outcome[key] for outcome in outcomes]).mean() for key in outcomes[0]}
    whole = pooled.pop(("", ""))
    clips = sum(len(outcome["", ""]) for outcome in outcomes)
    rows = [
        (channel, method, f"{accuracy:.3f}", f"{accuracy - whole:+.3f}")
        for (channel, method), accuracy in pooled.items()
    ]
    head = (
        f"{run.name}: accuracy {whole:.3f} of {clips} test clips in {len(outcomes)} of {len(run.folds)} folds"
    )
    return f"{head}\n{text_table(rows, ('channel', 'method', 'accuracy', 'change'))}"
