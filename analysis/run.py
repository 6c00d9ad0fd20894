"""What the page shows of one run: facts, confused pairs, classes, figures, sample predictions."""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis import ablations, page, tables
from analysis.clips import THUMBNAIL_COLUMNS, THUMBNAIL_ROWS, mean_pool, read_clip
from analysis.error_browser import by_category
from analysis.figures import SavedFigure, save_figure
from analysis.figures.run import SamplePrediction
from analysis.page import Block, HtmlTable, html_table
from analysis.results import Problem, Run
from analysis.tables import write_table
from features_cache import Cache
from results.scores import Prediction, reliability

CONFUSED_SHOWN = 8
RELIABILITY_BINS = 10  # of a few hundred predictions, more would be thin

CLASS_COLUMNS = {
    "correct": ("Correct", "number"),
    "of": ("Of", "number"),
    "precision": ("Precision", "decimals"),
    "recall": ("Recall", "decimals"),
    "f1": ("F1", "decimals"),
}


@dataclass(frozen=True)
class RunSection:
    """One run, ready for the page's templates; `beside` stand next to the confusions."""

    name: str
    features: str
    model: str
    accuracy: float
    accuracy_sd: float
    facts: list[tuple[str, str]]
    note: str
    figures: list[SavedFigure]
    curves_note: str  # why the training loss lies above the test loss, where it does
    confused: HtmlTable
    counted: str  # what the counts of several seeds are
    beside: list[SavedFigure]
    blocks: list[Block]


def run_section(run: Run, row: Mapping[str, Any], folder: Path, *, drawn: bool, rates: bool) -> RunSection:
    """Write a run's tables, and its figures where `drawn`, into the folder; `row` is its comparison."""
    confused = tables.confused_pairs(run)
    write_table(confused, folder / "tables", f"{run.name}.confused")
    columns = {
        "true": ("True class", "text"),
        "predicted": ("Predicted", "text"),
        "count": ("Count", "number"),
        "of": ("Of", "number"),
        "share": ("% of true class", "percent"),
    }
    blocks = _class_blocks(run, folder)
    if drawn:
        blocks.append(
            Block(
                "Confusion matrix as a figure",
                tables.seeds_note(run),
                figures=[_confusion_matrix(run, folder, rates=rates)],
                folded=True,
            )
        )
    blocks.append(_settings(run))
    return RunSection(
        name=run.name,
        features=run.features,
        model=run.model,
        accuracy=row["accuracy"],
        accuracy_sd=row["accuracy_sd"],
        facts=_facts(run, row),
        note=str(run.config.get("note") or ""),
        figures=_learning_curves(run, folder) if drawn else [],
        curves_note=_curves_note(run) if drawn else "",
        confused=html_table(f"{page.slug(run.name)}-confused", confused.head(CONFUSED_SHOWN), columns),
        counted=tables.seeds_note(run),
        beside=[_reliability(run, folder)] if drawn else [],
        blocks=blocks,
    )


def _class_blocks(run: Run, folder: Path) -> list[Block]:
    """Scores of each class, and of each major category where the run was not trained on those."""
    per_class, per_category = tables.per_class(run), tables.per_category(run)
    write_table(per_class, folder / "tables", f"{run.name}.classes")
    columns = {"class": ("Class", "text"), "category": ("Category", "text"), **CLASS_COLUMNS}
    if not any(run.categories) or run.task == "categories":
        del columns["category"]
    made = [
        Block(
            "Every class",
            f"Over all test clips; the scores above are means of folds. {tables.seeds_note(run)}".strip(),
            tables=[html_table(f"{page.slug(run.name)}-classes", per_class, columns)],
            folded=True,
        )
    ]
    if per_category is not None and run.task == "classes":
        write_table(per_category, folder / "tables", f"{run.name}.categories")
        columns = {"category": ("Category", "text"), **CLASS_COLUMNS}
        shown = html_table(f"{page.slug(run.name)}-categories", per_category, columns)
        about = f"Probabilities of the classes of each category, summed. {tables.seeds_note(run)}".strip()
        made.append(Block("Major categories", about, tables=[shown], folded=True))
    return made


def _facts(run: Run, row: Mapping[str, Any]) -> list[tuple[str, str]]:
    config = run.config
    macro = [page.format_decimals(row[f"macro_{key}"]) for key in ("precision", "recall", "f1")]
    model = run.model
    if row["parameters"] == row["parameters"]:
        model += f", {page.format_count(row['parameters'])} parameters"
    shown = [
        ("Balanced accuracy, mean of folds", f"{page.format_percent(row['balanced_accuracy'])} %"),
        ("Macro precision, recall, F1, mean of folds", " · ".join(macro)),
        ("Top 3", f"{page.format_percent(row['top3'])} %"),
        ("Log loss", page.format_decimals(row["log_loss"])),
        ("Expected calibration error, mean of folds", _calibration(row)),
        ("Folds", f"{row['n']} of {len(run.folders[0].folds)}"),
        ("Seeds" if len(run.seeds) > 1 else "Seed", _seeds(run)),
        ("Protocol", run.protocol),
        ("Task", run.task),
        ("Model", model),
        *([] if run.exact else _schedule(config)),
        (
            "Training, a fold",
            ", ".join(filter(None, [page.format_seconds(row["fold_seconds"]), run.trained_on])),
        ),
        ("Machine", _machine(config)),
    ]
    return [(name, value) for name, value in shown if value]


def _calibration(row: Mapping[str, Any]) -> str:
    """Before and after temperature scaling."""
    before, after = (page.format_decimals(row[f"calibration_error{end}"]) for end in ("", "_scaled"))
    temperature = page.format_decimals(row["temperature"])
    return f"{before}; {after} after temperature scaling by {temperature}, fitted to the other folds"


def _settings(run: Run) -> Block:
    """Every option that the run was trained with, by its name on the command line."""
    options = {key: value for key, value in ablations.run_options(run).items() if key != "seed"}
    names, values = [key.upper() for key in options], [_option_text(value) for value in options.values()]
    columns = {"option": ("Option", "text"), "value": ("Value", "text")}
    table = pd.DataFrame({"option": names, "value": values})
    listed = html_table(f"{page.slug(run.name)}-settings", table, columns)
    return Block("All settings", tables=[listed], folded=True)


def _option_text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if value not in ("", None) else page.UNKNOWN


def _seeds(run: Run) -> str:
    return "none: an exact solution" if run.exact else ", ".join(map(str, run.seeds))


def _schedule(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What only a model that is trained by epochs, from a grid, has a use for."""
    names = {"grid": "Grid", "epochs": "Epochs", "augment": "Augmentation"}
    return [(words, str(config.get(key) or "")) for key, words in names.items()]


def _machine(config: Mapping[str, Any]) -> str:
    """`x86_64, 2 cores, bf16`: what run.json says of where the run was trained."""
    machine = config.get("machine") or {}
    words = {"processor": "{}", "cores": "{} cores", "gpu": "{}"}
    known = [words.get(key, f"{key} {{}}").format(value) for key, value in machine.items() if value]
    return ", ".join([*known, *filter(None, [str(config.get("precision") or "")])])


def fold_histories(run: Run) -> dict[int, pd.DataFrame]:
    """Fold -> its learning curve, seeds averaged epoch by epoch; empty where there was one epoch at most."""
    if run.history["epoch"].nunique() < 2:
        return {}
    mean = run.history.drop(columns="seed").groupby(["fold", "epoch"], as_index=False).mean()
    return {int(fold): frame for fold, frame in mean.groupby("fold")}


def _confusion_matrix(run: Run, folder: Path, *, rates: bool) -> SavedFigure:
    order = by_category(run)
    return save_figure(
        "confusion_matrix",
        folder,
        stem=f"{run.name}.confusion",
        counts=tables.confusion_counts(run)[np.ix_(order, order)],
        classes=[run.classes[place] for place in order],
        categories=[run.categories[place] for place in order],
        rates=rates,
        title=run.name,
    )


def _learning_curves(run: Run, folder: Path) -> list[SavedFigure]:
    curves = fold_histories(run)
    return (
        [save_figure("learning_curves", folder, stem=f"{run.name}.curves", history=curves)] if curves else []
    )


def _curves_note(run: Run) -> str:
    """Why the last epoch's loss is higher on training clips than on the test fold; '' where it is not."""
    curves = fold_histories(run)
    ends = pd.DataFrame([frame[["train_loss", "test_loss"]].ffill().iloc[-1] for frame in curves.values()])
    if ends.empty or not (ends["train_loss"] > ends["test_loss"]).mean() > 0.5:
        return ""
    options = ablations.run_options(run)
    reasons = []
    if str(options.get("augment") or "none") != "none":
        reasons.append(f"its clips are augmented ({options['augment']}), which makes them harder")
    if float(options.get("smoothing") or 0) > 0:
        reasons.append(
            f"its labels are smoothed ({options['smoothing']:g}), so no prediction has a loss of 0"
        )
    reasons.append("it is a mean over the epoch while the network learns, the test fold is scored at its end")
    return f"The training loss lies above the test loss: {'; '.join(reasons)}."


def _reliability(run: Run, folder: Path) -> SavedFigure:
    """The predictions of all seeds together, alike in weight, before and after temperature scaling."""
    target = np.tile(run.target, len(run.seeds))
    before, after = (
        reliability(Prediction(target, values.reshape(-1, len(run.classes))), RELIABILITY_BINS)
        for values in (run.probabilities, tables.scaled_by_fold(run)[1])
    )
    return save_figure(
        "reliability",
        folder,
        stem=f"{run.name}.reliability",
        **{name: before[name] for name in ("confidence", "accuracy", "clips")},
        scaled=(after["confidence"], after["accuracy"], after["clips"]),
    )


SAMPLES_EACH = 4
TOP = 3


def choose_samples(run: Run, cache: Cache, feature: str, rng: np.random.Generator) -> list[SamplePrediction]:
    """Up to four clips that every seed predicted correctly, four that none did, drawn by `rng`, and four of
    the smallest margin; probabilities are means over the seeds.
    """
    probabilities = run.probabilities.mean(axis=0)
    ordered = np.sort(probabilities, axis=1)
    margin = ordered[:, -1] - ordered[:, -2] if ordered.shape[1] > 1 else ordered[:, -1]
    chosen = {
        "correct": _random_rows(np.flatnonzero(run.correct == 1), rng),
        "wrong": _random_rows(np.flatnonzero(run.correct == 0), rng),
        "uncertain": np.argsort(margin, kind="stable")[:SAMPLES_EACH],
    }
    return [
        sample
        for outcome, rows in chosen.items()
        for row in rows
        if (sample := _sample(run, cache, feature, outcome, int(row), probabilities[row])) is not None
    ]


def _random_rows(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.permutation(rows)[:SAMPLES_EACH]


def _sample(
    run: Run, cache: Cache, feature: str, outcome: str, row: int, probabilities: np.ndarray
) -> SamplePrediction | None:
    clip = str(run.clip_ids[row])
    if clip not in set(cache.clips["clip_id"]):
        return None
    values = read_clip(cache, feature, clip)
    if values is None:
        return None
    small = mean_pool(mean_pool(values, 2 * THUMBNAIL_ROWS, axis=0), 2 * THUMBNAIL_COLUMNS, axis=1)
    most_probable = np.argsort(-probabilities, kind="stable")[:TOP]
    top = tuple((run.classes[place], float(probabilities[place])) for place in most_probable)
    return SamplePrediction(outcome, clip, small, cache.duration or 1.0, run.classes[run.target[row]], top)


# What numpy and zipfile raise for a damaged archive:
# an EOFError where it is empty, a RuntimeError for a method of compression that they do not know.
DAMAGED = (OSError, ValueError, LookupError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile)

BeforeAfter = list[tuple[str, np.ndarray, np.ndarray]]


def read_augmented(file: Path) -> BeforeAfter:
    """(augmentation, before, after) of one clip each, both (rows, columns) of the first channel."""
    with file.open("rb") as opened, np.load(opened, allow_pickle=False) as held:
        before = held["before"].astype(np.float32)
        return [
            (
                str(name),
                before[place % len(before), 0],
                held[f"after_{place}"][place % len(before), 0].astype(np.float32),
            )
            for place, name in enumerate(held["augment"])
        ]


def augmentation_figure(run: Run, folder: Path) -> tuple[list[SavedFigure], list[Problem]]:
    """The figure of a run's first fold that has one; nothing where training left none."""
    for file in sorted(run.folders[0].path.glob("fold*/augmented.npz")):
        try:
            pairs = read_augmented(file)
        except DAMAGED as error:
            return [], [Problem(run.name, f"{file} is left out, it cannot be read ({error})", damaged=True)]
        if pairs:
            return [save_figure("augmentations", folder, stem=f"{run.name}.augmented", pairs=pairs)], []
    return [], []


CONSTANT = (
    "An earlier explain set a channel to a constant, far from anything that the model was trained on, so "
    "these figures can overstate a channel: run explain again for permutation importance."
)


def importance_blocks(
    run: Run, attribution: pd.DataFrame | None, retrained: pd.DataFrame | None, folder: Path
) -> list[Block]:
    """The importance of each channel for each class, where `explain` has measured it, by permutation first.

    Beside it the ablation by retraining: rows of `retrained` (feature ablations) that add one channel to a
    ranked run and give this one.
    """
    table = pd.DataFrame() if attribution is None else attribution[attribution["of"] == run.name]
    method = ablations.leading_method(table["method"]) if len(table) else None
    if method is None:
        return []
    chosen = table[table["method"] == method]
    loss = chosen.pivot_table(index="class", columns="channel", values="difference", sort=False)
    drawn = save_figure(
        "channel_importance",
        folder,
        stem=f"{run.name}.attribution",
        classes=list(loss.index),
        channels=list(loss.columns),
        loss=loss.to_numpy(dtype=float),
    )
    seeds = str(chosen["seeds"].iloc[0]).split()
    of = f", seed {', '.join(seeds)} of {len(run.seeds)} seeds" if len(seeds) < len(run.seeds) else ""
    epoch = f"{chosen['selection'].iloc[0]} epoch{of}"
    about = f"Points of recall lost where the channel is {ablations.METHODS[method]} at test time ({epoch})."
    if method == "removed":
        return [Block("Channel importance with constants", f"{about} {CONSTANT}", [drawn], folded=True)]
    numbers = _importance_table(run, chosen, retrained)
    if "without" in numbers:
        about += " Beside it the accuracy lost when the model is trained again without the channel."
    shown = {
        "channel": ("Channel", "text"),
        "lost": (f"Accuracy lost, {method}", "points"),
        "difference": ("Lost, retrained without", "points"),
        "low": ("From", "points"),
        "high": ("To", "points"),
        "differs": ("Significant, retrained", "text"),
        "without": ("Run without", "text"),
    }
    columns = {name: heading for name, heading in shown.items() if name in numbers}
    listed = html_table(f"{page.slug(run.name)}-importance", numbers, columns)
    return [Block("Channel importance", about, [drawn], [listed])]


def _importance_table(run: Run, chosen: pd.DataFrame, retrained: pd.DataFrame | None) -> pd.DataFrame:
    """One row a channel: accuracy lost over all test clips, and by retraining where such a run exists."""
    clips = tables.per_class(run).set_index("class")["clips"]
    weight = chosen["class"].map(clips)
    lost = (chosen["difference"] * weight).groupby(chosen["channel"], sort=False).sum() / clips.sum()
    table = lost.rename("lost").rename_axis("channel").reset_index()
    if retrained is None or not (retrained["with"] == run.name).any():
        return table
    ours = retrained[retrained["with"] == run.name].rename(columns={"changed": "channel"})
    ours = ours.assign(differs=np.where(ours["differs"], "yes", "no"))
    columns = ["channel", "difference", "low", "high", "differs", "without"]
    joined = table.merge(ours[columns], on="channel", how="left")
    if joined["without"].isna().all():
        return table
    return joined.fillna({"differs": "", "without": ""})
