"""How a run's result was obtained, in words for a paper, and the command that trains it again.

Everything is read from run.json; what an older run does not record is left out of the sentences.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.ablations import run_options
from analysis.answer import listed
from analysis.ranking import Ranking
from analysis.results import Run
from commandline.options import make_command
from commandline.terminal import count, counted
from results.bootstrap import REPLICATES

OPTIMISERS = {"adamw": "AdamW", "sgd": "SGD with Nesterov momentum"}
NORMS = {
    "row": "standardised row by row over the training clips",
    "feature": "standardised feature by feature over the training clips",
    "clip": "standardised clip by clip",
}


def methods_text(ranking: Ranking) -> str:
    """A paragraph about the best run of a ranking: data, features, model, training, protocol and so on."""
    run = ranking.best
    parts = [_data(run, ranking.recordings), _extraction(run), _network(run), _training(run), _protocol(run)]
    return " ".join(filter(None, [*parts, _statistics(ranking), _versions(run)]))


def train_again(run: Run, where: Sequence[str]) -> str:
    """The command that trains all seeds of a run anew; '' for an ensemble and where run.json does not say.

    `where` are the words that name the dataset and the folders.
    """
    words = run.config.get("command")
    if words is None or not run.trained:
        return ""
    seeds = [seed for seed in run.seeds if run.seeds != (0,)]
    listed = [f"SEED={' '.join(map(str, seeds))}"] if seeds else []
    return make_command("sweep" if len(seeds) > 1 else "train", *where, *words, *listed)


def _data(run: Run, recordings: int) -> str:
    """Dataset, clips, classes."""
    config, name = run.config, Path(str(run.config["dataset"])).name
    made = " of synthetic data" if run.synthetic else ""
    clip = f", {config['duration']:g} s at {config['sample_rate']:,} Hz each" if "duration" in config else ""
    return (
        f"Data: {name}{made}, {len(run.clip_ids):,} test clips{clip}, of {recordings:,} source recordings "
        f"and {len(run.classes)} {run.task}."
    )


def _extraction(run: Run) -> str:
    """The features with the parameters that they were computed with."""
    channels = run.config.get("channels") or []
    if not channels:
        return f"Features: {run.features}."
    listed = "; ".join(_channel(channel) for channel in channels)
    kinds = ", ".join(sorted({str(channel.get("dtype", "")) for channel in channels} - {""}))
    stored = f", stored as {kinds}" if kinds else ""
    return f"Features, by the definitions of librosa 0.11: {listed}{stored}."


def _channel(channel: Mapping[str, Any]) -> str:
    """`mel (hop_length 512, n_fft 2048, n_mels 128)`: defaults of librosa that are None are left out."""
    given = {key: value for key, value in (channel.get("parameters") or {}).items() if value is not None}
    inside = ", ".join(f"{key} {value}" for key, value in sorted(given.items()))
    return f"{channel['stored']}{f' ({inside})' if inside else ''}"


def _network(run: Run) -> str:
    config, options = run.config, run_options(run)
    if not run.trained:
        return f"Model: the ensemble, by mean probability, of {', '.join(config['members'])}."
    size = f" with {count(config['parameters'])} parameters" if "parameters" in config else ""
    weights = f", pretrained weights {options['weights']}" if options.get("weights") else ""
    prepared = [NORMS[str(options["norm"])]] if options.get("norm") in NORMS else []
    if options.get("padding") == "drop":
        prepared.insert(0, "cut to each clip's own frames, without padding")
    if "x" in (grid := str(options.get("grid") or "")):
        prepared.append(f"resized to {grid.replace('x', ' rows and ')} frames")
    maps = f" Feature maps were {listed(prepared, len(prepared))}." if prepared else ""
    return f"Model: {run.model}{size}{weights}.{maps}"


def _training(run: Run) -> str:
    """Optimiser, schedule and augmentation; nothing for an exact solution, which has none."""
    options = run_options(run)
    if run.exact or "optimizer" not in options:
        return "Training: the minimum of a convex loss, so no seed and no schedule." if run.exact else ""
    optimiser = OPTIMISERS.get(str(options["optimizer"]), str(options["optimizer"]))
    return (
        f"Training: {optimiser}, learning rate {options['lr']:g} ({options['schedule']} schedule), "
        f"weight decay {options['decay']:g}, batches of {options['batch']}, {options['epochs']} epochs, "
        f"label smoothing {options['smoothing']:g}, augmentation {options.get('augment') or 'none'}."
    )


def _protocol(run: Run) -> str:
    seeds = (
        "" if run.exact else f" Seeds: {', '.join(map(str, run.seeds))}; scores are averaged over them first."
    )
    folds = len(run.folders[0].folds)
    missing = f" Folds {', '.join(map(str, run.missing_folds))} are missing." if run.missing_folds else ""
    return f"Protocol: {counted(folds, 'fold')}; {run.protocol}.{missing}{seeds}"


def _statistics(ranking: Ranking) -> str:
    others = len(ranking.runs) - 1
    corrected = "corrected for all these comparisons (step-down maxT) and for the selection of the best, "
    tests = (
        f" The best run was compared with the {others} other{'s' if others > 1 else ''} by a sign-flip test "
        f"of the paired difference by source recording, {corrected if others > 1 else ''}at a level of "
        f"{ranking.level:g}."
    )
    return (
        "Statistics: accuracy is the mean over folds, SD the sample standard deviation over folds, and the "
        f"95 % CI a percentile bootstrap over source recordings ({REPLICATES:,} replicates), which holds the "
        "variation between test clips and not that of training again."
        f"{tests if others and ranking.testable else ''}"
    )


def _versions(run: Run) -> str:
    versions = run.config.get("versions") or {}
    listed = ", ".join(f"{name} {version}" for name, version in versions.items())
    machine = run.config.get("machine") or {}
    on = f" on {machine.get('gpu') or machine.get('processor')}" if machine else ""
    precision = f", {run.config['precision']}" if run.config.get("precision") else ""
    return f"Software: {listed}{on}{precision}." if listed else ""
