"""Runs beside each other on the page: curves, cost, what to fuse, what augmentation and channels did."""

from collections.abc import Mapping
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from analysis import page, tables
from analysis.answer import name as short_name
from analysis.blocks import Block
from analysis.complementarity import fused_matrix
from analysis.figures import Saved, save
from analysis.findings import Findings
from analysis.grid import grid
from analysis.metrics import Floats
from analysis.ranking import Ranking
from analysis.runs_section import histories
from analysis.significance import Friedman

OVERLAID = 6  # more curves in one panel cannot be told apart
SQUARE = 12  # runs in the matrix of pairs and in the diagram of ranks; more would be too small to read
PAIRS_SHOWN = 40  # the table beside the page has all
COSTS = {"training_seconds": "seconds to train", "extraction_megabytes": "megabytes in the cache"}

Tables = Mapping[str, pd.DataFrame]


def blocks(found: Findings, folder: Path) -> list[Block]:
    """Everything about several runs, the figures written into the report's folder."""
    ranking = found.main
    if ranking is None:
        return []
    made = _curves(ranking, folder)
    if len(ranking.runs) > 1:
        made += [*_best_two(ranking, folder), *_cost(ranking, found.tables["comparison"], folder)]
    made += [*_together(ranking, found.tables, folder), *_helped(found), *_augmentation(found.tables, folder)]
    return [*made, *_categories(found.tables), *_checkpoints(found.tables), *_literature(found.tables)]


def _names(ranking: Ranking) -> list[str]:
    return [short_name(run, ranking) for run in ranking.runs]


def _curves(ranking: Ranking, folder: Path) -> list[Block]:
    named = zip(_names(ranking), ranking.runs, strict=True)
    curves = dict(islice(((name, curve) for name, run in named if (curve := histories(run))), OVERLAID))
    if not curves:
        return []
    about = "The test fold was scored along the way; nothing was chosen by it."
    return [Block("Learning curves", about, [save("learning_curves_overlaid", folder, histories=curves)])]


def _best_two(ranking: Ranking, folder: Path) -> list[Block]:
    names, pair = _names(ranking)[:2], ranking.runs[:2]
    values = {name: tables.per_class(run)["f1"].to_numpy() for name, run in zip(names, pair, strict=True)}
    drawn = save("class_bars", folder, classes=pair[0].classes, values=values, label="F1")
    about = f"F1 of {names[0]} and {names[1]} in each class."
    return [Block("The best two, class by class", about, [drawn], folded=True)]


def _cost(ranking: Ranking, comparison: pd.DataFrame, folder: Path) -> list[Block]:
    """Accuracy against each cost that is known of at least two runs."""
    rows = comparison[comparison["ranking"] == 1].reset_index(drop=True)
    names = np.array(_names(ranking), dtype=object)
    figures: list[Saved] = []
    for column, label in COSTS.items():
        cost = rows[column].to_numpy(dtype=float)
        known = np.isfinite(cost)
        if known.sum() > 1:
            data = {"cost": cost[known], "accuracy": ranking.accuracy[known], "names": list(names[known])}
            figures.append(save("pareto", folder, stem=f"pareto_{column}", label=label, **data))
    about = "A point a run; diamonds are those that nothing cheaper beats."
    return [Block("What accuracy costs", about, figures, beside=True)] if figures else []


def _together(ranking: Ranking, found: Tables, folder: Path) -> list[Block]:
    """Which pairs err on different clips."""
    if "complementarity" not in found:
        return []
    table = found["complementarity"]
    shown = min(len(ranking.runs), SQUARE)
    square: Floats = fused_matrix(ranking, table)[:shown, :shown]
    drawn = save("complementarity", folder, names=_names(ranking)[:shown], together=square)
    columns = {
        "a": ("Run", "text"),
        "b": ("With", "text"),
        "agreement": ("Agree %", "percent"),
        "double_fault": ("Both wrong %", "percent"),
        "oracle": ("Either right %", "percent"),
        "fused": ("Averaged %", "percent"),
        "gain": ("Gain, points", "points"),
    }
    best = table.iloc[0]
    gain = f"{page.percent(abs(best['gain']))} points {'more' if best['gain'] >= 0 else 'less'}"
    about = (
        f"Averaging the probabilities of {best['a']} and {best['b']} gets {page.percent(best['fused'])} %, "
        f"{gain} than the better one alone (selected on test: a proposal, which a new run decides). "
        f'FUSE="{best["a"]} {best["b"]}" writes it as a run of its own.'
    )
    listed = grid("complementarity", table.head(PAIRS_SHOWN), columns)
    return [
        Block("What to fuse or stack next", about, [drawn]),
        Block("Every pair of runs together", grids=[listed], folded=True),
    ]


def _helped(found: Findings) -> list[Block]:
    """Which classes a channel or an augmentation helps or hurts, in words."""
    return [Block("What helps which classes", items=list(found.sentences))] if found.sentences else []


def _augmentation(found: Tables, folder: Path) -> list[Block]:
    if "augmentation" not in found:
        return []
    table = found["augmentation"]
    numbers = {"estimate": "difference", "low": "low", "high": "high"}
    data = {name: 100 * table[column].to_numpy(dtype=float) for name, column in numbers.items()}
    names = [f"{run}: {changed}" for run, changed in zip(table["with"], table["changed"], strict=True)]
    drawn = save(
        "intervals", folder, stem="augmentation", names=names, zero=0.0, label="points of accuracy", **data
    )
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
    about = "Runs that differ in augmentation and in nothing else."
    return [Block("Effect of augmentation", about, [drawn], [grid("augmentation", table, columns)])]


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


def tests(found: Findings, folder: Path) -> list[Block]:
    """The verdict on every pair, and the tests that others use."""
    ranking = found.main
    if ranking is None or "pairs" not in found.tables:
        return []
    columns = {
        "a": ("Higher", "text"),
        "b": ("Lower", "text"),
        "difference": ("Difference, points", "points"),
        "low": ("From", "points"),
        "high": ("To", "points"),
        "p_holm": ("p, Holm", "decimals"),
        "verdict": ("Verdict", "text"),
    }
    about = (
        "Bootstrap of the paired difference by source recording; p-values of all pairs are corrected "
        "together by Holm’s method."
    )
    return [
        Block(
            "One verdict a pair", about, grids=[grid("pairs", found.tables["pairs"], columns)], folded=True
        ),
        *_other_tests(found),
        *_ranks(found, ranking, folder),
    ]


def _other_tests(found: Findings) -> list[Block]:
    if "other_tests" not in found.tables:
        return []
    other = found.tables["other_tests"]
    columns = {
        "a": ("Higher", "text"),
        "b": ("Lower", "text"),
        "difference": ("Difference, points", "points"),
    }
    columns |= {column: (_heading(column), "decimals") for column in other.columns[len(columns) :]}
    about = " ".join(f"{_heading(name)}: {applies}" for name, applies in found.tests.items())
    return [Block("Tests that others use", about, grids=[grid("other-tests", other, columns)], folded=True)]


def _heading(column: str) -> str:
    words = column.removesuffix("_p_holm").removesuffix("_p").replace("_", " ")
    return words[0].upper() + words[1:]


def _ranks(found: Findings, ranking: Ranking, folder: Path) -> list[Block]:
    """The critical-difference diagram, where there are runs and folds enough."""
    ranks = found.friedman
    if ranks is None:
        return []
    shown = np.argsort(ranks.ranks, kind="stable")[:SQUARE]
    names = [_names(ranking)[place] for place in shown]
    drawn = save(
        "critical_difference",
        folder,
        ranks=dict(zip(names, ranks.ranks[shown].tolist(), strict=True)),
        p_values=pd.DataFrame(ranks.nemenyi[np.ix_(shown, shown)], names, names),
    )
    return [Block("Critical differences", _in_words(ranks), [drawn], folded=True)]


def _in_words(ranks: Friedman) -> str:
    return (
        f"Friedman’s test over folds: p = {page.decimals(ranks.p)}. Bars join runs that Nemenyi’s test "
        f"cannot tell apart; mean ranks differ from {page.decimals(ranks.critical_difference, 2)} on."
    )
