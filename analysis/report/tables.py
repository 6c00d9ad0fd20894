"""The tables of a report about runs, unrounded: settings, classes, errors, ablations.

Every score is computed on the test clips of all folds together and averaged over the
seeds of a configuration. `declare` enters the columns of each file in TABLES, for the
page and the reference.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, permutations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from featurestack.analysis.report.runs import (
    Configuration,
    ConfigurationRanking,
    differing_options,
    setting,
)
from featurestack.base import extras
from featurestack.base.quantities import counted
from featurestack.base.registry import Registry
from featurestack.comparison.metrics import Floats, largest_first
from featurestack.comparison.scores import INTERVALS, Estimate
from featurestack.comparison.significance import DIFFERENCE_INTERVAL, FAMILY_LEVEL
from featurestack.results.tasks import names_of

CONFUSED_PAIRS = 20  # most rows of a table of pairs of classes
# options that count for an exact solution
USED_BY_EXACT = "features", "model", "task", "padding", "val"
# most classes in the small confusion matrix, chosen by the most frequent errors
CLASSES_SHOWN = 12


class Column(NamedTuple):
    """A column of a table; `{score}` in its heading is that of the score."""

    name: str
    heading: str
    kind: str  # of its cells on the page; `file` if only the file has it


class Table(NamedTuple):
    """A table: what a row is for, its columns in the page's order, and the columns that
    differ between reports, one for each of something.
    """

    row: str
    columns: Sequence[Column]
    each: Column | None


# file without .csv -> its declaration
TABLES: Registry[Table] = Registry(
    "table of the report",
    others=[
        "featurestack.analysis.sections",
        "featurestack.answers.section",
        *(place.partition(":")[0] for place, _ in extras.SECTION_PLACES.values()),
    ],
)


def declare(
    name: str,
    row: str,
    each: tuple[str, str, str] | None = None,
    **kinds: Mapping[str, str],
) -> None:
    """Enter the table that reports write as <name>.csv: kind of cell -> column ->
    heading, and the word, heading and kind of columns that differ between reports.
    """
    columns = [
        Column(column, heading, kind)
        for kind, headings in kinds.items()
        for column, heading in headings.items()
    ]
    TABLES[name] = Table(row, columns, Column(*each) if each else None)


def ends(interval: str = "95 % interval") -> Mapping[str, str]:
    """The columns of an interval."""
    return {"low": f"{interval} from", "high": "to"}


def columns_of(name: str, table: pd.DataFrame) -> list[Column]:
    """The declared columns that a table has, in the page's order."""
    run, _, kind = name.rpartition(".")
    _, columns, each = TABLES[f"<run>.{kind}" if run else kind]
    known = [column for column in columns if column.name in table]
    others = [*table.columns.drop([column.name for column in known])]
    if others and not each:
        raise ValueError(f"{name}.csv: no declared column is {', '.join(others)}")
    return known + [each._replace(name=other) for other in others if each]


def cost_of(run: Configuration) -> dict[str, Any]:
    """The cost of a run; what is unknown is empty, None or NaN."""
    computed = run.config.computed
    threads = computed and computed.threads
    trained_on = counted(threads, "thread") if threads else ""
    if run.config.machine and run.config.machine.gpu:
        trained_on = run.config.machine.gpu
    finished = run.history[run.history["fold"].isin(run.folds[0])]
    fold_seconds = finished.groupby(["seed", "fold"])["seconds"].sum(min_count=1)
    return {
        "parameters": run.config.parameters or None,
        "fold_seconds": float(fold_seconds.mean()),
        "trained_on": trained_on,
        "cache_megabytes": run.config.cache_megabytes,
    }


declare(
    "settings",
    "a configuration",
    file={"run": "name of the configuration"},
    each=("option", "its value", "file"),
)


def settings(run: Configuration) -> dict[str, str]:
    """The run's options, without the seed, by their names on the command line."""
    words = {"True": "yes", "False": "no", "None": "–", "": "–"}
    texts = {}
    for key, value in run.options.items():
        if key == "seed" or (run.exact and key not in USED_BY_EXACT):
            continue
        text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
        texts[key.upper()] = words.get(text, text)
    return texts


declare(
    "<run>.classes",
    "a class; the last is their mean",
    text={"class": "Class"},
    decimals={
        "average_precision": "Average precision",
        "low": "From",
        "high": "To",
        "prevalence": "Prevalence",
        "auroc": "AUROC",
        "precision": "Precision",
        "recall": "Recall",
        "recall_low": "From",
        "recall_high": "To",
        "f1": "F1",
    },
    number={"support": "Clips"},
)


def class_report(run: Configuration) -> pd.DataFrame:
    """Precision, recall, F1 and support of each class over all folds, as in
    scikit-learn's report.

    All are means over the seeds. The last row is the mean over the classes with test
    clips, `macro avg`; its support is the sum. Recall has a 95 % interval (recall_low,
    recall_high) by bootstrap over recordings. Tags instead have average_precision with
    its interval (low, high), prevalence and auroc.
    """
    classes = len(run.classes)
    every = run.metric.class_table(run)
    every.insert(0, "class", pd.Series(run.classes))
    table = every.head(classes).copy()
    tested = table[table["support"] > 0]
    means = tested.drop(columns=["class", *INTERVALS], errors="ignore").mean()
    table.loc[classes, ["class", *means.index]] = ["macro avg", *means]
    table.loc[classes, "support"] = tested["support"].sum()
    if len(every) > classes:  # the interval of the mean
        intervals = [name for name in INTERVALS if name in table]
        table.loc[classes, intervals] = every.loc[classes, intervals]
    return table.astype({"support": int})


def confusion_counts(run: Configuration) -> Floats:
    """(K, K) numbers of test clips, means over seeds; rows are true classes."""
    true = run.labels.T.astype(float)
    predicted = run.decisions.sum(axis=0)
    return true @ predicted / len(run.seeds)


def confusion_by_category(run: Configuration) -> dict[str, Any]:
    """`confusion_counts`, classes and categories; each category's are side by side."""
    order = run.class_order
    return {
        "counts": confusion_counts(run)[np.ix_(order, order)],
        "classes": [run.classes[place] for place in order],
        "categories": [run.categories[place] for place in order],
    }


declare(
    "<run>.confusion",
    "a true class, its test clips as means over the seeds",
    file={"true / predicted": "true class"},
    each=("predicted class", "clips", "file"),
)


declare(
    "<run>.confused",
    "a pair of classes, the most frequent errors",
    text={"true": "True class", "predicted": "Predicted"},
    number={"count": "Count", "of": "Of"},
    percent={"share": "% of true class"},
)


def confused_pairs(run: Configuration, most: int = CONFUSED_PAIRS) -> pd.DataFrame:
    """The `most` most frequent errors; counts are means over seeds."""
    counts = confusion_counts(run)
    np.fill_diagonal(counts, 0)
    true, predicted = counts.nonzero()
    names = np.array(run.classes, dtype=object)
    table = pd.DataFrame({"true": names[true], "predicted": names[predicted]})
    table["count"] = counts[true, predicted]
    table["of"] = run.labels.sum(axis=0)[true]
    table["share"] = table["count"] / table["of"]
    return table.sort_values(
        "count", ascending=False, kind="stable", ignore_index=True
    )[:most]


declare(
    "<run>.foreign",
    "a class, had the model not been trained on it",
    text={"class": "Class left out", "answered": "Most often another class"},
    percent={"share": "That one, %", "sure": "Sure of another class, %"},
)


def foreign_table(counts: pd.DataFrame) -> pd.DataFrame:
    """Each class, had the model not been trained on it: the share of its clips that
    get SURE or more for another class, and the commonest such class with its share, the
    highest share first.

    counts  of `RunFolder.foreign`
    """
    clips = counts.sum(axis=1)
    others = counts.mask(np.eye(len(counts), dtype=bool), 0)
    table = pd.DataFrame(
        {
            "sure": others.sum(axis=1) / clips,
            "answered": others.idxmax(axis=1).where(others.any(axis=1), ""),
            "share": others.max(axis=1) / clips,
        }
    )
    table = table[clips > 0].rename_axis("class").reset_index()
    return table.sort_values("sure", ascending=False, ignore_index=True)


def format_p(value: float) -> str:
    """A p-value with three decimals, such as `0.012`, or with four if it would be
    rounded to the level of the tests; `< 0.001` if it is smaller than that.
    """
    if value < 0.001:
        return "< 0.001"
    return f"{value:.4f}" if round(value, 3) == FAMILY_LEVEL else f"{value:.3f}"


def classes_shown(counts: Floats, most: int = CLASSES_SHOWN) -> list[int]:
    """The classes that a confusion matrix shows: those with the most errors."""
    errors = counts - np.diag(counts.diagonal())
    worst = [at for at in largest_first(errors.ravel()).tolist() if errors.flat[at]]
    confused = chain(*(divmod(place, len(errors)) for place in worst))
    others = range(len(counts))
    classes = list(dict.fromkeys([*confused, *others]))
    return sorted(classes[:most])


def common_mistake(run: Configuration) -> dict[str, Any] | None:
    """The most frequent error: true and predicted class, count (a mean over seeds), of
    (the clips of the true class), equals (other errors with the same count), wrong and
    right (the surest clip with this error, and the surest correct clip of the predicted
    class; '' for none). None if the run predicts everything correctly.
    """
    pairs = confused_pairs(run, len(run.classes) ** 2)
    if pairs.empty:
        return None
    first = pairs.to_dict("records")[0]
    true = run.classes.index(first["true"])
    predicted = run.classes.index(first["predicted"])
    probability = run.probabilities.mean(axis=0)[:, predicted]
    as_predicted = run.probabilities.argmax(axis=2) == predicted  # (S, N)
    mistaken = (run.target == true) & as_predicted.any(axis=0)
    correct = (run.target == predicted) & as_predicted.all(axis=0)
    wrong, right = (
        str(run.clip_ids[np.where(chosen, probability, -1).argmax()])
        if chosen.any()
        else ""
        for chosen in (mistaken, correct)
    )
    equals = int((pairs["count"] == first["count"]).sum()) - 1
    return first | {"wrong": wrong, "right": right, "equals": equals}


declare(
    "<run>.errors",
    "a wrong class of a clip with several labels",
    text={"class": "Class", "kind": "Error", "clip_id": "Clip", "labels": "Its labels"},
    decimals={"probability": "Probability of the class"},
)


def error_table(run: Configuration) -> pd.DataFrame:
    """The errors of each class, missed or false positive, the surest of a kind first.

    Probabilities are means over the seeds. A class is predicted if more than half of
    the seeds predict it.
    """
    probabilities = run.probabilities.mean(axis=0)
    predicted = run.decisions.mean(axis=0) > 0.5
    clip, column = np.nonzero(predicted != run.labels)
    extra, probability = predicted[clip, column], probabilities[clip, column]
    texts = [text or "(none)" for text in names_of(run.labels, run.classes)]
    table = pd.DataFrame(
        {
            "class": np.array(run.classes, object)[column],
            "kind": np.where(extra, "false positive", "missed"),
            "clip_id": run.clip_ids[clip],
            "labels": np.array(texts, object)[clip],
            "probability": probability,
        }
    )
    # the surest first: the least probable label, the most probable other class
    surest = np.lexsort((np.where(extra, -probability, probability), extra, column))
    return table.iloc[surest].reset_index(drop=True)


# ---- ablations: the effect of more features

declare(
    "ablations",
    "a pair of runs that differ only in features",
    text={"name": "Change", "verdict": "Verdict"},
    points={"difference": "Points", **ends(DIFFERENCE_INTERVAL)},
    p={"p": f"p, clear below {FAMILY_LEVEL}"},
    file={
        "added": "features that the larger set adds",
        "base": "the smaller set",
        "model": "model",
        "without": "run of the smaller set",
        "with": "run of the larger set",
    },
)


@dataclass(frozen=True)
class Gain:
    """What a feature set gains by more channels. A pair is left out if another
    ranked set lies between the two, because the two smaller steps say more.
    """

    name: str
    added: str  # the added channels
    less: Configuration
    more: Configuration  # the run that has them too
    difference: Estimate  # its score minus the other's
    verdict: str

    @property
    def clear(self) -> bool:
        return self.verdict.startswith("clear")

    def row(self) -> dict[str, object]:
        """The row of ablations.csv."""
        return {
            "name": self.name,
            "added": self.added,
            "base": self.less.features,
            "model": self.less.model,
            "without": self.less.name,
            "with": self.more.name,
            "difference": self.difference.value,
            "low": self.difference.low,
            "high": self.difference.high,
            "p": self.difference.p,
            "verdict": self.verdict,
        }


def ablation_gains(ranking: ConfigurationRanking) -> list[Gain]:
    """The pairs of runs that differ only in features, by rank. A difference from the
    best has the test of the comparison; the others are a family of tests.
    """
    runs = ranking.runs
    inside: dict[tuple[Configuration, Configuration], None] = {}
    for more, less in permutations(runs, 2):
        smaller = less.channels < more.channels
        if smaller and differing_options(less, more) == {"features"}:
            inside[less, more] = None
    pairs = [
        (less, more)
        for less, more in inside
        if not any({(less, run), (run, more)} <= inside.keys() for run in runs)
    ]
    gains = []
    for (less, more), difference in zip(pairs, ranking.gains(pairs)):
        added = "+".join((more.channels - less.channels).elements())
        name = f"{added} added to {less.features} ({setting(less, runs)})"
        verdict = "no clear difference"
        if ranking.untested:
            verdict = "not compared"
        elif difference.p < ranking.level:
            verdict = "clear gain" if difference.value > 0 else "clear loss"
        gains.append(Gain(name, added, less, more, difference, verdict))
    return gains
