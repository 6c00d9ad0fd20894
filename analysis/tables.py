"""The tables of a report as data frames, and as files: unrounded CSV, rounded Markdown and LaTeX.

Accuracies are from 0 to 1. Every score is averaged over the seeds of a configuration first. `n` counts
folds, `_sd` is the sample standard deviation over them (empty for one fold).

literature.csv holds published figures with their protocols and DOI, each looked up in the paper, its authors'
repository or the dataset's own list.
"""

import math
import re
from collections.abc import Collection, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.ablations import run_options
from analysis.ranking import Ranking, not_compared
from analysis.results import Run, summed_to_categories
from analysis.significance import NEMENYI, PAIR_TESTS, RunPair, friedman, holm
from commandline.files import replace_file
from commandline.terminal import HALVES_UP, as_csv
from features_cache.splits import VALIDATION_FRACTION
from results.bootstrap import fold_weights
from results.scores import (
    Floats,
    Ints,
    Prediction,
    all_metrics,
    calibration_error,
    class_scores,
    confusion_matrix,
    cross_fitted_temperatures,
    log_loss,
    most_confused,
    scaled,
)

CONFUSED_PAIRS = 20


def comparison(rankings: Sequence[Ranking]) -> pd.DataFrame:
    """One row a configuration, the main ranking first, best first; `not_compared` says why one is outside."""
    reasons = {problem.run: problem.text for problem in not_compared(rankings)}
    rows = [
        _comparison_row(ranking, place) | {"ranking": number, "not_compared": reasons.get(run.name, "")}
        for number, ranking in enumerate(rankings, start=1)
        for place, run in enumerate(ranking.runs)
    ]
    return pd.DataFrame(rows)


def _comparison_row(ranking: Ranking, place: int) -> dict[str, Any]:
    run = ranking.runs[place]
    by_fold = fold_scores(run)
    mean, deviation = by_fold.mean(), by_fold.std(ddof=1)
    low, high = ranking.interval[place]
    others = [name for name in by_fold.columns if name != "accuracy"]
    return {
        "run": run.name,
        "accuracy": mean["accuracy"],
        "accuracy_sd": deviation["accuracy"],
        "n": len(by_fold),
        "accuracy_low": low,
        "accuracy_high": high,
        **{
            key: value
            for name in others
            for key, value in ((name, mean[name]), (f"{name}_sd", deviation[name]))
        },
        "seeds": len(run.seeds),
        "epochs": np.nan if run.exact else run.config.get("epochs", np.nan),
        "seed_sd": run.seed_deviation if len(run.seeds) > 1 else np.nan,
        "clips": len(run.clip_ids),
        "rank": place + 1,
        "verdict": verdict(ranking, run),
        **_costs(run),
        "features": run.features,
        "model": run.model,
        "task": run.task,
        "protocol": run.protocol,
        "checkpoint": run.selection,
        "missing_folds": " ".join(map(str, run.missing_folds)),
        "synthetic": run.synthetic,
    }


def verdict(ranking: Ranking, run: Run) -> str:
    """best, tied or worse, by the tests against the best; untested or alone where there is no verdict."""
    if len(ranking.runs) == 1:
        return "alone"
    if not ranking.testable:
        return "untested"
    if run is ranking.best:
        return "best" if not ranking.tied else "tied"
    return "tied" if run in ranking.tied else "worse"


def _costs(run: Run) -> dict[str, Any]:
    """What a run cost, a finished fold's training and on what; NaN or '' where nothing says so."""
    extraction = run.config.get("extraction") or {}
    return {
        "parameters": run.config.get("parameters", np.nan),
        "extraction_seconds": extraction.get("seconds", np.nan),
        "extraction_megabytes": extraction.get("megabytes", np.nan),
        "fold_seconds": run.fold_seconds,
        "trained_on": run.trained_on,
    }


def fold_scores(run: Run) -> pd.DataFrame:
    """Every metric (columns) in each fold (rows), seeds averaged.

    `temperature` is fitted to the other folds; `…_scaled` are scores of the probabilities scaled by it.
    """
    rows = {}
    temperatures, probabilities = scaled_by_fold(run)
    for fold in np.unique(run.folds):
        here = run.folds == fold
        seeds = [all_metrics(run.target[here], values[here]) for values in run.probabilities]
        for one, of_seed, values in zip(seeds, temperatures, probabilities):
            one["temperature"] = of_seed[int(fold)]
            after = Prediction(run.target[here], values[here])
            one |= {"log_loss_scaled": log_loss(after), "calibration_error_scaled": calibration_error(after)}
        rows[int(fold)] = {name: float(np.mean([one[name] for one in seeds])) for name in seeds[0]}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("fold")


def scaled_by_fold(run: Run) -> tuple[list[dict[int, float]], Floats]:
    """Of each seed: fold -> temperature, fitted to the other folds; (S, N, K) probabilities scaled by it."""
    fitted = [cross_fitted_temperatures(run.target, values, run.folds) for values in run.probabilities]
    after = np.empty_like(run.probabilities)
    for of_seed, values, filled in zip(fitted, run.probabilities, after):
        for fold, temperature in of_seed.items():
            filled[run.folds == fold] = scaled(values[run.folds == fold], temperature)
    return fitted, after


def pairs(ranking: Ranking) -> pd.DataFrame:
    """Each pair: a (the higher), b, difference, its interval, p-values, and the verdict on the best run's."""
    table = ranking.pairs.copy()
    tested = table["p_best"].notna() & ranking.testable  # the best against the others
    words = np.where(table["differs"], table["a"] + " is better", "no difference shown")
    words = np.where(tested, words, "not tested")
    return table.drop(columns="differs").assign(verdict=words)


def other_tests(ranking: Ranking) -> pd.DataFrame:
    """Every pair by the other tests: p-values corrected by Holm within each test, and Nemenyi's."""
    table = ranking.pairs[["a", "b", "difference"]].copy()
    compared = [_pair(ranking, a, b) for a, b in combinations(range(len(ranking.runs)), 2)]
    for name, test in PAIR_TESTS.items():
        p_values = np.array([test.p_value(pair) for pair in compared], dtype=float)
        table[f"{name}_p_holm"] = holm(p_values)
    ranks = friedman(ranking.fold_accuracy.T)
    if ranks is not None:
        table[f"{NEMENYI}_p"] = ranks.nemenyi[np.triu_indices(len(ranking.runs), k=1)]
    return table


def _pair(ranking: Ranking, a: int, b: int) -> RunPair:
    first, second = ranking.runs[a], ranking.runs[b]
    return RunPair(
        correct_a=first.predicted[0] == first.target,
        correct_b=second.predicted[0] == second.target,
        folds_a=ranking.fold_accuracy[a],
        folds_b=ranking.fold_accuracy[b],
        test_share=tested_share(first),
    )


def tested_share(run: Run) -> float:
    """Test clips over training clips of a fold, from the protocol's folds, finished or not; NaN for one."""
    val = run.config.get("val")
    folds = len(run.folders[0].folds) - 1 - (val == "next")
    training = folds * (1 - VALIDATION_FRACTION * (val == "group"))
    return 1 / training if training > 0 else np.nan


def complementarity(ranking: Ranking) -> pd.DataFrame:
    """Every pair: agreement, double fault, oracle, the ensemble's accuracy and its gain over the better one.

    Sorted by the ensemble's accuracy. That order is selected on the test folds: confirm it with a new run.
    """
    rows = [{"a": a.name, "b": b.name, **overlap(a, b)} for a, b in combinations(ranking.runs, 2)]
    columns = ["a", "b", "agreement", "double_fault", "oracle", "ensemble", "gain"]
    return pd.DataFrame(rows, columns=columns).sort_values("ensemble", ascending=False, kind="stable")


def overlap(a: Run, b: Run) -> dict[str, float]:
    """How two runs complement each other.

    agreement: both predict the same class; double_fault: both are wrong; oracle: at least one is correct;
    ensemble: the mean of their probabilities is correct; gain: that less the better one's accuracy.
    """
    weights = fold_weights(a.folds)
    seeds = range(max(len(a.seeds), len(b.seeds)))
    shares = [
        _pair_shares(
            a.probabilities[seed % len(a.seeds)], b.probabilities[seed % len(b.seeds)], a.target, weights
        )
        for seed in seeds
    ]
    means = {name: float(np.mean([one[name] for one in shares])) for name in shares[0]}
    better = max(float(weights @ run.correct) for run in (a, b))
    return {**means, "gain": means["ensemble"] - better}


def _pair_shares(a: Floats, b: Floats, target: Ints, weights: Floats) -> dict[str, float]:
    first, second = a.argmax(axis=1), b.argmax(axis=1)
    right_a, right_b = first == target, second == target
    shares = {
        "agreement": first == second,
        "double_fault": ~right_a & ~right_b,
        "oracle": right_a | right_b,
        "ensemble": (a + b).argmax(axis=1) == target,
    }
    return {name: float(weights @ share) for name, share in shares.items()}


def per_class(run: Run) -> pd.DataFrame:
    """Each class over all folds: correct predictions `of` all of them (every seed counts), clips, and the
    precision, recall and F1, seeds averaged.
    """
    counts = confusion_counts(run)
    seeds = [class_scores(run.target, predicted, len(run.classes)) for predicted in run.predicted]
    scores = {name: np.mean([one[name] for one in seeds], axis=0) for name in ("precision", "recall", "f1")}
    columns: dict[str, Any] = {"class": run.classes, "category": run.categories}
    columns |= {"correct": counts.diagonal(), "of": counts.sum(axis=1), **scores}
    return pd.DataFrame(columns).assign(clips=seeds[0]["support"].astype(int))


def recall_by_class(ranking: Ranking) -> pd.DataFrame:
    """Recall of every run in every class, run by run, best first: columns run, class, category, recall."""
    parts = [per_class(run)[["class", "category", "recall"]] for run in ranking.runs]
    for run, part in zip(ranking.runs, parts, strict=True):
        part.insert(0, "run", run.name)
    return pd.concat(parts, ignore_index=True)


def per_category(run: Run) -> pd.DataFrame | None:
    """The same for the major categories, by summed probabilities; None where classes have none."""
    summed = run if run.task == "categories" else summed_to_categories(run)
    if summed is None:
        return None
    return per_class(summed).drop(columns="category").rename(columns={"class": "category"})


def confusion_counts(run: Run) -> Ints:
    """Counts (K, K), rows the true class, seeds added: S seeds predict each clip S times."""
    counts = [confusion_matrix(run.target, predicted, len(run.classes)) for predicted in run.predicted]
    return np.sum(counts, axis=0)


def seeds_note(run: Run) -> str:
    """What stands beside counts of several seeds; nothing for one."""
    seeds = len(run.seeds)
    return f"Counts add {seeds} seeds: every clip is predicted {seeds} times." if seeds > 1 else ""


def confused_pairs(run: Run, most: int = CONFUSED_PAIRS) -> pd.DataFrame:
    """The most frequent errors: true class, predicted class, count `of` all of the true class, share."""
    counts = confusion_counts(run)
    of = counts.sum(axis=1)
    rows = [
        (run.classes[true], run.classes[predicted], counts[true, predicted], of[true])
        for true, predicted in most_confused(counts, most)
    ]
    table = pd.DataFrame(rows, columns=["true", "predicted", "count", "of"])
    return table.assign(share=table["count"] / table["of"])


def checkpoints(runs: Sequence[Run]) -> pd.DataFrame:
    """Accuracy of the last epoch, of the best on validation, and peeked, side by side, one row a run.

    `peeked` is each fold's best epoch on its own test fold: the literature reports it, nothing here uses it.
    """
    return pd.DataFrame([{"run": run.name, **_checkpoint_row(run)} for run in runs])


def _checkpoint_row(run: Run) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name in ("last", "best"):
        predictions = run.checkpoints.get(name)
        folds = np.full(1, np.nan)
        if predictions is not None:
            correct = (predictions.argmax(axis=2) == run.target).mean(axis=0)
            folds = np.array([correct[run.folds == fold].mean() for fold in np.unique(run.folds)])
        row |= {name: folds.mean(), f"{name}_sd": folds.std(ddof=1) if len(folds) > 1 else np.nan}
    return row | {"peeked": _peeked(run), "n": len(np.unique(run.folds))}


def _peeked(run: Run) -> float:
    """Mean over folds of the highest test accuracy of any epoch; NaN where a fold has no curve."""
    highest = run.history.groupby(["seed", "fold"])["test_accuracy"].max()
    cells = [(seed, fold) for seed in run.seeds for fold in np.unique(run.folds)]
    return float(np.mean([highest.get(cell, np.nan) for cell in cells]))


LITERATURE = Path(__file__).with_name("literature.csv")
# A run on fewer classes, or on the categories, is another task.
LITERATURE_CLASSES = {"esc10": 10, "esc50": 50}
OWN_SOURCE = "this project"


def published_results(dataset: str) -> pd.DataFrame:
    """The rows about one dataset, lowest accuracy first; none where it has none."""
    table = pd.read_csv(LITERATURE)
    known = table[table["dataset"] == dataset.lower().replace("-", "")]
    return known.drop(columns="dataset").sort_values("accuracy", kind="stable", ignore_index=True)


def literature(ranking: Ranking) -> pd.DataFrame:
    """Published results and our best run of each kind of weights, lowest first; empty if not comparable."""
    dataset = Path(str(ranking.best.config["dataset"])).name
    known = published_results(dataset)
    comparable = ranking.best.task == "classes" and len(ranking.best.classes) == LITERATURE_CLASSES.get(
        dataset
    )
    if known.empty or not comparable:
        return known.iloc[:0]
    by_weights: dict[str, list[int]] = {}  # places in the ranking, best first
    for place, run in enumerate(ranking.runs):
        by_weights.setdefault(str(run_options(run).get("weights") or "from scratch"), []).append(place)
    ours = pd.DataFrame(
        [
            {
                "method": ranking.runs[places[0]].name,
                "weights": weights,
                "accuracy": float(ranking.accuracy[places[0]]),
                "protocol": _own_protocol(ranking, places),
                "source": OWN_SOURCE,
                "doi": "",
            }
            for weights, places in by_weights.items()
        ]
    )
    return pd.concat([known, ours]).sort_values("accuracy", kind="stable", ignore_index=True)


def _own_protocol(ranking: Ranking, places: Sequence[int]) -> str:
    """Protocol of the first of `places`, and that it is the highest of several on the test folds."""
    run = ranking.runs[places[0]]
    folds = len(ranking.folds)
    of = f" of {folds + len(run.missing_folds)}" if run.missing_folds else ""
    selected = f"; highest of {len(places)} runs, selected on the test folds" if len(places) > 1 else ""
    return f"{folds}{of} fold{'s' if folds != 1 or of else ''}, {run.protocol}{selected}"


DECIMALS = 3
PARAGRAPH = r"p{55mm}"


def format_p(value: float) -> str:
    """A p-value: 0.012, and < 0.001 where three decimals would show none."""
    return f"< {10**-DECIMALS}" if value < 10**-DECIMALS else f"{value:.{DECIMALS}f}"


def p_text(value: float) -> str:
    """In a sentence: `p = 0.012`, `p < 0.001`."""
    return f"p {text}" if (text := format_p(value)).startswith("<") else f"p = {text}"


def write_table(table: pd.DataFrame, folder: Path, name: str) -> None:
    """Write <name>.csv, <name>.md and <name>.tex into the folder, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    for suffix, text in (("csv", as_csv(table)), ("md", as_markdown(table)), ("tex", as_latex(table))):
        replace_file(folder / f"{name}.{suffix}", text.encode("utf-8"), durable=False)


def as_markdown(table: pd.DataFrame) -> str:
    """A pipe table, as GitHub and Jupyter show it; nothing in a cell is read as markup."""
    cells = [[_markdown_cell(word) for word in row] for row in rounded(table).itertuples(index=False)]
    header = [_markdown_cell(str(word)) for word in table.columns]
    rule = ["---:" if _is_number(table[column]) else "---" for column in table.columns]
    return "".join(f"| {' | '.join(row)} |\n" for row in [header, rule, *cells])


def as_latex(table: pd.DataFrame, paragraphs: Collection[str] = ()) -> str:
    """A booktabs tabular, every special character escaped; columns of `paragraphs` are broken into lines.

    Written line by line: pandas' own way goes through a template engine, 50 ms a table.
    """
    text = {column: PARAGRAPH if column in paragraphs else "l" for column in table.columns}
    alignment = "".join("r" if _is_number(table[column]) else text[column] for column in table.columns)
    header = [latex_text(str(column).replace("_", " ")) for column in table.columns]
    cells = [[latex_text(word) for word in row] for row in rounded(table).itertuples(index=False)]
    lines = [" & ".join(row) + r" \\" for row in [header, *cells]]
    begin, end = rf"\begin{{tabular}}{{{alignment}}}", r"\end{tabular}"
    return "\n".join([begin, r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule", end, ""])


def rounded(table: pd.DataFrame) -> pd.DataFrame:
    """The table as text: three decimals, counts as whole numbers, nothing for an unknown number."""
    return pd.DataFrame({column: _rounded_column(table[column]) for column in table.columns}, dtype=str)


def _rounded_column(column: pd.Series) -> list[str]:
    if re.search(r"(^|_)p(_[a-z]+)?$", str(column.name)):
        return ["" if pd.isna(value) else format_p(value) for value in column]
    numbers = [value for value in column if isinstance(value, float) and np.isfinite(value)]
    # A column of shares that all happen to be 0 or 1 still shows its decimals.
    counts = all(value.is_integer() for value in numbers) and max(numbers, default=0) > 1
    return [_rounded_cell(value, 0 if counts else DECIMALS) for value in column]


def _rounded_cell(value: object, decimals: int) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value + math.copysign(HALVES_UP, value):.{decimals}f}"
    return "" if value is None else str(value)


def _is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _markdown_cell(text: str) -> str:
    for special in "\\`*_|<>[]":
        text = text.replace(special, "\\" + special)
    return text.replace("\n", " ")


LATEX_ESCAPES = {
    "\\": r"\textbackslash{}",
    **{special: "\\" + special for special in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "→": r"$\rightarrow$",
    "−": "$-$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    # After the end of a row TeX takes these for its options.
    **{special: f"{{{special}}}" for special in "[*"},
    "\n": " ",
}


def latex_text(text: str) -> str:
    """Any text as LaTeX shows it."""
    return "".join(LATEX_ESCAPES.get(letter, letter) for letter in text)
