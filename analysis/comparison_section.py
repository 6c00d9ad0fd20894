"""Runs beside each other on the page: classes, what was added, curves, cost, what to fuse, augmentation."""

from collections.abc import Mapping, Sequence, Set
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from analysis import page, tables
from analysis.answer import name as short_name
from analysis.answer import names
from analysis.blocks import Block
from analysis.browser import by_category
from analysis.complementarity import fused_matrix
from analysis.figures import Saved, save
from analysis.findings import Findings
from analysis.grid import Grid, cut, grid
from analysis.ranking import Ranking
from analysis.runs_section import histories
from train.scores import Floats

OVERLAID = 6  # more curves in one panel cannot be told apart
SETS = 24  # rows of the picture of classes; the table beside the page has all runs
SQUARE = 12  # runs in the matrix of pairs; more would be too small to read
PAIRS_SHOWN = 40  # the table beside the page has all
COSTS = {"training_seconds": "seconds to train", "extraction_megabytes": "megabytes in the cache"}

Tables = Mapping[str, pd.DataFrame]


def blocks(found: Findings, folder: Path) -> list[Block]:
    """Everything about several runs, the figures written into the report's folder."""
    ranking = found.main
    if ranking is None:
        return []
    made: list[Block] = []
    if len(ranking.runs) > 1:
        made += [_classes(ranking, found.tables["recall_by_class"], folder)]
        made += [*_best_two(ranking, folder), *_additions(found.tables, folder)]
    made += [*_helped(found), *_curves(ranking, folder)]
    if len(ranking.runs) > 1:
        made += _cost(ranking, found.tables["comparison"], folder)
    made += [*_together(ranking, found.tables, folder), *_augmentation(found.tables, folder)]
    return [*made, *_categories(found.tables), *_checkpoints(found.tables), *_literature(found.tables)]


def _classes(ranking: Ranking, recall: pd.DataFrame, folder: Path) -> Block:
    """Which sets tell which classes apart, classes of one category side by side."""
    shown = ranking.runs[:SETS]
    order = by_category(ranking.best)
    square = recall["recall"].to_numpy().reshape(len(ranking.runs), -1)[: len(shown)]
    drawn = save(
        "recall_by_set",
        folder,
        names=names(ranking)[: len(shown)],
        classes=[ranking.best.classes[place] for place in order],
        recall=square[:, order],
    )
    few = f"The best {SETS} of {len(ranking.runs)} sets. " if len(ranking.runs) > SETS else ""
    about = f"{few}One clip is {_clip_share(ranking)} of its class, so differences of a few clips are chance."
    return Block("Which sets tell which classes apart", about, [drawn])


def _clip_share(ranking: Ranking) -> str:
    """How many points of recall one clip is, in a class of middling size."""
    clips = np.bincount(ranking.best.target)
    return f"{100 / np.median(clips[clips > 0]):.1f} points".removesuffix(".0")


def _additions(found: Tables, folder: Path) -> list[Block]:
    """What features did for the sets that they were added to."""
    if "additions" not in found:
        return []
    table = found["additions"]
    joined = found["comparison"].set_index("run")["features"]
    shown = table.head(SETS)
    words = [f"{row['changed']} added to {joined[row['without']]}" for row in shown.to_dict("records")]
    drawn = _differences(shown, words, "additions", folder)
    about = (
        "Pairs of runs that differ in their features alone, those of the best sets first. A bar that leaves "
        "out zero may still not count as shown: p-values are corrected over all "
        f"{len(found['pairs'])} pairs of this report. A comparison that was planned beforehand is made by "
        "naming its runs alone, RUN=."
    )
    return [
        Block("What adding features did", about, [drawn]),
        Block("Added features in numbers", grids=[_paired("additions", table)], folded=True),
    ]


def _differences(table: pd.DataFrame, words: Sequence[str], stem: str, folder: Path) -> Saved:
    """The intervals of paired differences, in points of accuracy."""
    numbers = {"estimate": "difference", "low": "low", "high": "high"}
    data = {name: 100 * table[column].to_numpy(dtype=float) for name, column in numbers.items()}
    shown = table["differs"].to_numpy(dtype=bool)
    return save("intervals", folder, stem=stem, names=words, shown=shown, **data)


def _paired(name: str, table: pd.DataFrame) -> Grid:
    columns = {
        "without": ("Without", "text"),
        "with": ("With", "text"),
        "changed": ("What differs", "text"),
        "difference": ("Difference, points", "points"),
        "low": ("From", "points"),
        "high": ("To", "points"),
        "p_holm": ("p, Holm", "decimals"),
        "differs": ("Shown", "yes"),
    }
    return grid(name, table, columns)


def _curves(ranking: Ranking, folder: Path) -> list[Block]:
    named = zip(names(ranking), ranking.runs, strict=True)
    curves = dict(islice(((name, curve) for name, run in named if (curve := histories(run))), OVERLAID))
    if not curves:
        return []
    about = "The test fold was scored along the way; nothing was chosen by it."
    return [Block("Learning curves", about, [save("learning_curves_overlaid", folder, histories=curves)])]


def _best_two(ranking: Ranking, folder: Path) -> list[Block]:
    pair = ranking.runs[:2]
    first, second = names(ranking)[:2]
    values = {short_name(run, ranking): tables.per_class(run)["f1"].to_numpy() for run in pair}
    drawn = save("class_bars", folder, classes=pair[0].classes, values=values, label="F1")
    about = f"F1 of {first} and {second} in each class."
    return [Block("The best two, class by class", about, [drawn], folded=True)]


def _cost(ranking: Ranking, comparison: pd.DataFrame, folder: Path) -> list[Block]:
    """Accuracy against each cost that is known of at least two runs."""
    rows = comparison[comparison["ranking"] == 1].reset_index(drop=True)
    called = np.array(names(ranking), dtype=object)
    figures: list[Saved] = []
    for column, label in COSTS.items():
        cost = rows[column].to_numpy(dtype=float)
        known = np.isfinite(cost)
        if known.sum() > 1:
            data = {"cost": cost[known], "accuracy": ranking.accuracy[known], "names": list(called[known])}
            figures.append(save("pareto", folder, stem=f"pareto_{column}", label=label, **data))
    about = "A point a run; diamonds are those that nothing cheaper beats."
    return [Block("What accuracy costs", about, figures, beside=True)] if figures else []


def _together(ranking: Ranking, found: Tables, folder: Path) -> list[Block]:
    """Which pairs err on different clips."""
    if "complementarity" not in found:
        return []
    table = found["complementarity"]
    best = table.iloc[0]
    shown = _square(ranking, {best["a"], best["b"]})
    square: Floats = fused_matrix(ranking, table)[np.ix_(shown, shown)]
    called = [names(ranking)[place] for place in shown]
    drawn = save("complementarity", folder, names=called, together=square)
    columns = {
        "a": ("Run", "text"),
        "b": ("With", "text"),
        "agreement": ("Agree %", "percent"),
        "double_fault": ("Both wrong %", "percent"),
        "oracle": ("Either right %", "percent"),
        "fused": ("Averaged %", "percent"),
        "gain": ("Gain, points", "points"),
    }
    gain = f"{page.percent(abs(best['gain']))} points {'more' if best['gain'] >= 0 else 'less'}"
    about = (
        f"Averaging the probabilities of {best['a']} and {best['b']} gets {page.percent(best['fused'])} %, "
        f"{gain} than the better one alone. "
        "That pair is selected on test: a proposal, which a new run decides. "
        f'FUSE="{best["a"]} {best["b"]}" writes it as a run of its own; FUSE="RUN RUN RUN" PICK=3 picks each '
        "fold’s members on the other folds, a score that choosing does not flatter."
    )
    listed = grid("complementarity", table.head(PAIRS_SHOWN), columns)
    return [
        Block("What to fuse or stack next", about, [drawn]),
        Block(
            "Every pair of runs together",
            cut(table, "complementarity", PAIRS_SHOWN).strip(),
            grids=[listed],
            folded=True,
        ),
    ]


def _square(ranking: Ranking, wanted: Set[str]) -> list[int]:
    """Places of the best runs, SQUARE at most, those wanted among them."""
    first = [place for place, run in enumerate(ranking.runs) if run.name in wanted]
    others = [place for place, run in enumerate(ranking.runs) if run.name not in wanted]
    return sorted([*first, *others[: SQUARE - len(first)]])


def _helped(found: Findings) -> list[Block]:
    """Which classes a channel or an augmentation helps or hurts, in words."""
    return [Block("What helps which classes", items=list(found.sentences))] if found.sentences else []


def _augmentation(found: Tables, folder: Path) -> list[Block]:
    if "augmentation" not in found:
        return []
    table = found["augmentation"]
    words = [f"{run}: {changed}" for run, changed in zip(table["with"], table["changed"], strict=True)]
    drawn = _differences(table, words, "augmentation", folder)
    about = "Runs that differ in augmentation and in nothing else."
    return [Block("Effect of augmentation", about, [drawn], [_paired("augmentation", table)])]


def _categories(found: Tables) -> list[Block]:
    """Runs over classes, their probabilities summed, beside runs that were trained on the categories."""
    if "categories" not in found:
        return []
    columns = {
        "run": ("Run", "text"),
        "accuracy": ("Accuracy %", "percent"),
        "accuracy_sd": ("± sd", "percent"),
        "n": ("Folds", "number"),
        "macro_f1": ("Macro F1", "decimals"),
        "verdict": ("Verdict", "text"),
    }
    about = "Runs over classes are scored on the categories by summing the probabilities of their classes."
    listed = grid("categories", found["categories"], columns)
    return [Block("On the major categories", about, grids=[listed], folded=True)]


def _checkpoints(found: Tables) -> list[Block]:
    if "checkpoints" not in found:
        return []
    columns = {
        "run": ("Run", "text"),
        "last": ("Last epoch %", "percent"),
        "best": ("Best on validation %", "percent"),
        "peeked": ("Peeked %", "percent"),
        "n": ("Folds", "number"),
    }
    about = (
        "Peeked is the highest test accuracy of any epoch, fold by fold. It is too high by construction and "
        "stands here only because much of the literature reports it."
    )
    listed = grid("checkpoints", found["checkpoints"], columns)
    return [Block("Which epoch counts", about, grids=[listed], folded=True)]


def _literature(found: Tables) -> list[Block]:
    if "literature" not in found:
        return []
    columns = {
        "method": ("Method", "text"),
        "accuracy": ("Accuracy %", "percent"),
        "weights": ("Weights", "text"),
        "protocol": ("Protocol", "text"),
        "source": ("Source", "text"),
        "confirmed": ("Looked up", "text"),
    }
    about = "Published figures with their protocol; they compare only as far as the protocols agree."
    return [Block("Beside the literature", about, grids=[grid("literature", found["literature"], columns)])]


def attribution(name: str, found: Findings, folder: Path) -> list[Block]:
    """What each channel of a run is worth to each class, where `explain` has measured it."""
    table = found.tables.get("attribution", pd.DataFrame({"of": []}))
    table = table[table["of"] == name]
    if table.empty:
        return []
    method = str(table["method"].iloc[0])
    chosen = table[table["method"] == method]
    loss = chosen.pivot_table(index="class", columns="channel", values="difference", sort=False)
    drawn = save(
        "attribution",
        folder,
        stem=f"{name}.attribution",
        classes=list(loss.index),
        channels=list(loss.columns),
        loss=loss.to_numpy(dtype=float),
    )
    about = f"Points of recall lost where the channel is {method} at test time; above zero it helps."
    return [Block("What each channel is worth", about, [drawn])]
