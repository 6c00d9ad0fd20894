"""The page's comparison of runs: classes, ablations, curves, cost, ensembles, statistics of each pair."""

from collections import Counter
from collections.abc import Mapping, Set
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis import page, tables
from analysis.answer import UNCLEAR
from analysis.error_browser import by_category
from analysis.figures import SavedFigure, save_figure
from analysis.findings import Findings
from analysis.naming import display_name, display_names
from analysis.page import Block, HtmlTable, html_table, rows_shown_of
from analysis.ranking import Ranking, level_sentence
from analysis.run import fold_histories
from analysis.significance import CLASSES_LEVEL, LEVEL, Friedman
from results.scores import Floats

AXIS_RUNS = 5  # of them at least the intervals are drawn whole
CURVES_SHOWN = 5  # more curves in one panel cannot be read
SETS_SHOWN = 24  # rows of the recall figure; the table beside the page has all runs
RUNS_IN_FIGURE = 12  # of the ensembles; more would be too small to read
ENSEMBLES_SHOWN = 40  # the table beside the page has all
COSTS = {"fold_seconds": "seconds to train a fold", "extraction_megabytes": "megabytes in the cache"}

Tables = Mapping[str, pd.DataFrame]


VERDICTS = {
    "best": "best",
    "worse": "worse",
    "alone": "nothing to compare with",
    "untested": "too few recordings",
}


def comparison_rows(comparison: pd.DataFrame, *, few: bool = False) -> list[dict[str, Any]]:
    """The page's table: rows with the verdict as text, their `order`, and whether features and model are
    `distinct` among the rows, so that no row needs its run's name to be found. Of too `few` clips no tie is
    said.
    """
    rows = comparison.to_dict("records")
    called = Counter((row["features"], row["model"]) for row in rows)
    for order, row in enumerate(rows, start=1):
        row |= {"order": order, "distinct": called[row["features"], row["model"]] == 1}
        leads = row["verdict"] == "tied" and row["rank"] == 1  # of the tied, the one of the highest accuracy
        tie = ("best so far" if leads else UNCLEAR) if few else "best, but tied" if leads else "tied"
        row["verdict_text"] = VERDICTS[row["verdict"]] if row["verdict"] != "tied" else tie
        if row["not_compared"]:
            row["verdict_text"], row["verdict"] = "not compared", "alone"
    return rows


def interval_axis(comparison: pd.DataFrame) -> tuple[float, float]:
    """The ends of the axis of the drawn intervals: it holds those of the leaders, so that they can be read.

    Leaders are the best and all that tie with it, AXIS_RUNS at least; what lies beyond is cut at the edge.
    """
    main = comparison[comparison["ranking"] == 1]
    leaders = main[main["verdict"].isin(["best", "tied"]) | (main["rank"] <= AXIS_RUNS)]
    low, high = (leaders[["accuracy", f"accuracy_{end}"]].to_numpy() for end in ("low", "high"))
    return float(np.floor(np.nanmin(low) * 20) / 20), min(
        1.0, float(np.ceil(np.nanmax(high) * 20 + 1e-9) / 20)
    )


def comparison_blocks(found: Findings, folder: Path) -> list[Block]:
    """The blocks about several runs, their figures written into the report's folder."""
    ranking = found.main
    if ranking is None:
        return []
    made: list[Block] = []
    if len(ranking.runs) > 1:
        made += [_classes(ranking, found.tables["recall_by_class"], folder)]
        made += [*_best_two(ranking, folder), *_feature_ablations(ranking, found.tables, folder)]
    made += [*_class_sentences(found), *_curves(ranking, folder)]
    if len(ranking.runs) > 1:
        made += _cost(ranking, found.tables["comparison"], folder)
    made += [
        *_ensembles(ranking, found.tables, folder),
        *_augmentation_ablations(ranking, found.tables, folder),
    ]
    return [*made, *_categories(found.tables), *_checkpoints(found.tables), *_literature(found.tables)]


def _classes(ranking: Ranking, recall: pd.DataFrame, folder: Path) -> Block:
    """Recall of each run in each class, classes of one category side by side."""
    shown = ranking.runs[:SETS_SHOWN]
    order = by_category(ranking.best)
    square = recall["recall"].to_numpy().reshape(len(ranking.runs), -1)[: len(shown)]
    drawn = save_figure(
        "recall_by_set",
        folder,
        names=display_names(ranking)[: len(shown)],
        classes=[ranking.best.classes[place] for place in order],
        recall=square[:, order],
    )
    best = f"The best {SETS_SHOWN} of {len(ranking.runs)} runs. " if len(ranking.runs) > SETS_SHOWN else ""
    about = (
        f"{best}The first row is the recall of the best run in percent, the others its differences in "
        f"points. One clip is {_clip_share(ranking)} of recall, so differences of a few clips may be chance."
    )
    return Block("Recall by class and run", about, [drawn])


def _clip_share(ranking: Ranking) -> str:
    """How many points of recall one clip is, in a class of median size."""
    clips = np.bincount(ranking.best.target)
    return f"{page.format_percent(1 / np.median(clips[clips > 0])).removesuffix('.0')} points"


def _feature_ablations(ranking: Ranking, found: Tables, folder: Path) -> list[Block]:
    """The effect of adding features to a set."""
    if "additions" not in found:
        return []
    table = found["additions"]
    drawn = _ablation_figure(table.head(SETS_SHOWN), "additions", folder)
    about = (
        "Pairs of runs that differ only in their features, those of the best sets first. "
        + _ablation_family(ranking, found)
    )
    if not ranking.planned:
        about += (
            f" A comparison of two runs that was planned beforehand has a level of {LEVEL:g} in a report on "
            'them alone: RUN="A B".'
        )
    return [
        Block("Feature ablations", about, [drawn]),
        Block(
            "Feature ablations in numbers", tables=[_ablation_table(ranking, "additions", table)], folded=True
        ),
    ]


def _ablation_family(ranking: Ranking, found: Tables) -> str:
    """What the p-values of ablations are corrected for."""
    tested = sum(len(found[name]) for name in ("additions", "augmentation") if name in found)
    level = f"level {ranking.ablations_level:g}"
    if tested == 1:
        return f"It is the only ablation of this report, so p is not corrected ({level})."
    return (
        f"P-values are corrected together for all ablations of this report, {tested} of features and "
        f"augmentation ({level}), so an interval without zero may still not be significant."
    )


def _ablation_figure(table: pd.DataFrame, stem: str, folder: Path) -> SavedFigure:
    """The intervals of paired differences, in points of accuracy."""
    numbers = {"estimate": "difference", "low": "low", "high": "high"}
    data = {name: 100 * table[column].to_numpy(dtype=float) for name, column in numbers.items()}
    significant = table["differs"].to_numpy(dtype=bool)
    models = table["model"].tolist()
    several = len(set(models)) > 1  # the figure then has a group each, headed by the model
    names = [
        name.removesuffix(f" ({model})") if several else name
        for name, model in zip(table["name"], models, strict=True)
    ]
    given = {"names": names, "models": models, "significant": significant}
    return save_figure("intervals", folder, stem=stem, **given, **data)


def _ablation_table(ranking: Ranking, name: str, table: pd.DataFrame) -> HtmlTable:
    columns = {
        "without": ("Without", "text"),
        "with": ("With", "text"),
        "model": ("Model", "text"),
        "changed": ("What differs", "text"),
        "difference": ("Difference, points", "points"),
        "low": ("From", "points"),
        "high": ("To", "points"),
        "p_adjusted": ("p, adjusted", "p"),
        "differs": (f"Significant (level {ranking.ablations_level:g})", "yes"),
    }
    return html_table(name, table, columns)


def _curves(ranking: Ranking, folder: Path) -> list[Block]:
    named = zip(display_names(ranking), ranking.runs, strict=True)
    curves = dict(
        islice(((name, curve) for name, run in named if (curve := fold_histories(run))), CURVES_SHOWN)
    )
    if not curves:
        return []
    shown = f"Of the best {CURVES_SHOWN} runs. " if len(ranking.runs) > CURVES_SHOWN else ""
    about = f"{shown}The test fold was scored during training; nothing was selected by it."
    return [
        Block("Learning curves", about, [save_figure("learning_curves_compared", folder, histories=curves)])
    ]


def _best_two(ranking: Ranking, folder: Path) -> list[Block]:
    pair = ranking.runs[:2]
    first, second = display_names(ranking)[:2]
    values = {display_name(run, ranking): tables.per_class(run)["f1"].to_numpy() for run in pair}
    drawn = save_figure("class_bars", folder, classes=pair[0].classes, values=values, label="F1")
    about = f"F1 of {first} and {second} in each class."
    return [Block("The best two, class by class", about, [drawn], folded=True)]


def _cost(ranking: Ranking, comparison: pd.DataFrame, folder: Path) -> list[Block]:
    """Accuracy against each cost that is known of at least two runs."""
    rows = comparison[comparison["ranking"] == 1].reset_index(drop=True)
    labels = np.array(display_names(ranking), dtype=object)
    figures: list[SavedFigure] = []
    for column, label in COSTS.items():
        cost = rows[column].to_numpy(dtype=float)
        known = np.isfinite(cost)
        if known.sum() > 1:
            data = {"cost": cost[known], "accuracy": ranking.accuracy[known], "names": list(labels[known])}
            figures.append(save_figure("pareto", folder, stem=f"pareto_{column}", label=label, **data))
    about = "A point a run. Numbered diamonds are the Pareto front: no cheaper run is as accurate."
    hardware = sorted(set(rows["trained_on"]) - {""})
    if len(hardware) > 1:
        about += (
            f" Seconds compare only on equal hardware; these runs were trained on: {', '.join(hardware)}."
        )
    return [Block("Accuracy against cost", about, figures)] if figures else []


def _ensembles(ranking: Ranking, found: Tables, folder: Path) -> list[Block]:
    """Which pairs err on different clips."""
    if "complementarity" not in found:
        return []
    table = found["complementarity"]
    best = table.iloc[0]
    shown = _runs_in_figure(ranking, {best["a"], best["b"]})
    accuracy: Floats = ensemble_matrix(ranking, table)[np.ix_(shown, shown)]
    labels = [display_names(ranking)[place] for place in shown]
    drawn = save_figure("ensemble_accuracy", folder, names=labels, accuracy=accuracy)
    columns = {
        "a": ("Run", "text"),
        "b": ("With", "text"),
        "agreement": ("Agree %", "percent"),
        "double_fault": ("Both wrong %", "percent"),
        "oracle": ("Either correct %", "percent"),
        "ensemble": ("Ensemble %", "percent"),
        "gain": ("Gain, points", "points"),
    }
    about = (
        f"{_best_pair(ranking, best)} This pair is selected on the test folds, so confirm it with a new run. "
        f'ENSEMBLE="{best["a"]} {best["b"]}" writes it as a run of its own; ENSEMBLE="RUN RUN RUN" '
        "MEMBERS=3 selects each fold’s members on the other folds, which gives an unbiased score."
    )
    listed = html_table("complementarity", table.head(ENSEMBLES_SHOWN), columns)
    return [
        Block("Ensembles of two runs", about, [drawn]),
        Block(
            "Ensembles of all pairs",
            rows_shown_of(table, "complementarity", ENSEMBLES_SHOWN).strip(),
            tables=[listed],
            folded=True,
        ),
    ]


def _best_pair(ranking: Ranking, best: pd.Series) -> str:
    """The most accurate ensemble of two, and first of all whether it beats the best single run."""
    score = f"{page.format_percent(best['ensemble'])} % accuracy"
    if best["ensemble"] <= ranking.accuracy[0]:
        single = f"{display_name(ranking.best, ranking)} alone ({page.format_percent(ranking.accuracy[0])} %)"
        pair = f"the most accurate, of {best['a']} and {best['b']}, has {score}"
        return f"No ensemble of two runs is more accurate than {single}: {pair}."
    gain = f"{page.format_percent(best['gain'])} points more than the better one alone"
    return f"The ensemble of {best['a']} and {best['b']} has {score}, {gain}."


def ensemble_matrix(ranking: Ranking, table: pd.DataFrame) -> Floats:
    """Accuracies (R, R) of each pair's ensemble, in the ranking's order; of each alone on the diagonal."""
    place = {run.name: number for number, run in enumerate(ranking.runs)}
    square = np.diag(ranking.accuracy)
    a, b = table["a"].map(place), table["b"].map(place)
    square[a, b] = square[b, a] = table["ensemble"]
    return square


def _runs_in_figure(ranking: Ranking, wanted: Set[str]) -> list[int]:
    """Places of the best runs, RUNS_IN_FIGURE at most, those wanted among them."""
    first = [place for place, run in enumerate(ranking.runs) if run.name in wanted]
    others = [place for place, run in enumerate(ranking.runs) if run.name not in wanted]
    return sorted([*first, *others[: RUNS_IN_FIGURE - len(first)]])


def _class_sentences(found: Findings) -> list[Block]:
    """Which classes a channel, a feature or an augmentation helps or hurts, in sentences."""
    if not found.sentences:
        return []
    by_class = ("attribution", "augmentation_by_class", "additions_by_class")
    tested = sum(len(found.tables[name]) for name in by_class if name in found.tables)
    about = (
        f"P-values are corrected together for the {tested:,} differences in recall of all tables by class "
        f"(sign-flip test by source recording, level {CLASSES_LEVEL:g})."
    )
    return [Block("Classes that change", about, items=list(found.sentences))]


def _augmentation_ablations(ranking: Ranking, found: Tables, folder: Path) -> list[Block]:
    if "augmentation" not in found:
        return []
    table = found["augmentation"]
    drawn = _ablation_figure(table, "augmentation", folder)
    about = f"Runs that differ in augmentation and in nothing else. {_ablation_family(ranking, found)}"
    return [
        Block("Effect of augmentation", about, [drawn], [_ablation_table(ranking, "augmentation", table)])
    ]


def _categories(found: Tables) -> list[Block]:
    """Runs over classes, their probabilities summed, beside runs that were trained on the categories."""
    if "categories" not in found:
        return []
    columns = {
        "run": ("Run", "text"),
        "accuracy": ("Accuracy %", "percent"),
        "accuracy_sd": ("± SD", "percent"),
        "n": ("Folds", "number"),
        "macro_f1": ("Macro F1", "decimals"),
    }
    about = (
        "Runs over classes are scored on the categories by summing the probabilities of their classes; "
        "differences are not tested."
    )
    listed = html_table("categories", found["categories"], columns)
    return [Block("Major categories", about, tables=[listed], folded=True)]


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
        "Peeked is the highest test accuracy of any epoch, fold by fold. It is optimistic by "
        "construction and is shown only because much of the literature reports it."
    )
    listed = html_table("checkpoints", found["checkpoints"], columns)
    return [Block("Last, best and peeked epoch", about, tables=[listed], folded=True)]


def _literature(found: Tables) -> list[Block]:
    if "literature" not in found:
        return []
    columns = {
        "method": ("Method", "text"),
        "accuracy": ("Accuracy %", "percent"),
        "weights": ("Weights", "text"),
        "protocol": ("Protocol", "text"),
        "source": ("Source", "text"),
        "doi": ("DOI", "text"),
    }
    about = "Published results with their protocols; compare only results with the same protocol."
    return [
        Block("Published results", about, tables=[html_table("literature", found["literature"], columns)])
    ]


RANKS_SHOWN = 12  # runs in the critical difference diagram; more would be too small to read
PAIRS_SHOWN = 100  # the tables beside the page have all


def statistics_blocks(found: Findings, folder: Path) -> list[Block]:
    """The verdict on every pair, and other common tests."""
    ranking = found.main
    if ranking is None or "pairs" not in found.tables:
        return []
    columns = {
        "a": ("Higher", "text"),
        "b": ("Lower", "text"),
        "difference": ("Difference, points", "points"),
        "low": ("From", "points"),
        "high": ("To", "points"),
        "p": ("p, not corrected", "p"),
        "p_holm": ("p, Holm over all pairs", "p"),
        "p_best": ("p, best against the others", "p"),
        "verdict": (f"Verdict (level {ranking.level:g})", "text"),
    }
    about = (
        "Sign-flip test of the paired difference by source recording. Only the best run is tested against "
        f"the others: p is corrected for all {len(ranking.runs) - 1} comparisons and for the selection of "
        f"the best. {level_sentence(ranking)} Holm’s correction over all pairs stands beside it for other "
        "questions."
        if len(ranking.runs) > 2
        else "Sign-flip test of the paired difference by source recording. One comparison, so p is not "
        f"corrected. {level_sentence(ranking)}"
    )
    pairs = found.tables["pairs"]
    listed = html_table("pairs", pairs.head(PAIRS_SHOWN), columns)
    return [
        Block(
            "Verdict on each pair",
            about + rows_shown_of(pairs, "pairs", PAIRS_SHOWN),
            tables=[listed],
            folded=True,
        ),
        *_other_tests(found),
        *_critical_differences(found, ranking, folder),
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
    columns |= {column: (_p_heading(column, found.tests), "p") for column in other.columns[len(columns) :]}
    about = rows_shown_of(other, "other_tests", PAIRS_SHOWN).strip()
    there = set(map(_test_of, other.columns))
    applies = [f"{title}: {when}" for name, (title, when) in found.tests.items() if name in there]
    listed = html_table("other-tests", other.head(PAIRS_SHOWN), columns)
    return [Block("Other common tests", about, tables=[listed], folded=True, items=applies)]


def _p_heading(column: str, tests: Mapping[str, tuple[str, str]]) -> str:
    """`McNemar: p, Holm over all pairs`."""
    corrected = ", Holm over all pairs" if column.endswith("_p_holm") else ""
    return f"{tests[_test_of(column)][0]}: p{corrected}"


def _test_of(column: str) -> str:
    return column.removesuffix("_p_holm").removesuffix("_p")


def _critical_differences(found: Findings, ranking: Ranking, folder: Path) -> list[Block]:
    """The critical difference diagram, where there are enough runs and folds."""
    ranks = found.friedman
    if ranks is None:
        return []
    shown = np.argsort(ranks.ranks, kind="stable")[:RANKS_SHOWN]
    labels = [display_names(ranking)[place] for place in shown]
    drawn = save_figure(
        "critical_difference_diagram",
        folder,
        ranks=dict(zip(labels, ranks.ranks[shown].tolist(), strict=True)),
        p_values=pd.DataFrame(ranks.nemenyi[np.ix_(shown, shown)], labels, labels),
    )
    return [Block("Critical difference diagram", _friedman_sentence(ranks), [drawn], folded=True)]


def _friedman_sentence(ranks: Friedman) -> str:
    critical = page.format_decimals(ranks.critical_difference, 2)
    return (
        f"Friedman’s test over folds: {tables.p_text(ranks.p)}. Bars join runs that do not differ "
        f"by Nemenyi’s test: their mean ranks are within {critical}."
    )
