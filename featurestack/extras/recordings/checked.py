"""`predict CHECKED=table`: what the answers to a check say about all detections.

A threshold chosen by its estimate would flatter, so it is chosen by the lower end of
its interval. A class has few answers, so one threshold is proposed for all classes.
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from featurestack.base.csv_files import read_csv
from featurestack.base.errors import RequestError, make_command
from featurestack.base.next_step import explained, without
from featurestack.base.options import option_words
from featurestack.base.quantities import counted, listed, percent
from featurestack.base.terminal import text_table
from featurestack.compare.significance import (
    CONFIDENCE,
    effective_recordings,
    recording_sums,
    wilson_ends,
)
from featurestack.extras.recordings.check import FOLDER, read_checked
from featurestack.extras.recordings.dataset import POWERS
from featurestack.extras.recordings.options import DetectionOptions
from featurestack.extras.recordings.scores import FEW
from featurestack.features_cache.feature_names import parse_set
from featurestack.results.run_folder import RunFolder

LEAST_ANSWERS = 10  # with fewer, no precision is given while checks lack an answer
CLEARLY_MORE = 1.1  # times the detections; if so many, other thresholds are proposed


@dataclass(frozen=True)
class Checked:
    """The answers in a table, and the precision that is promised."""

    file: Path
    checks: pd.DataFrame  # of `read_checked`
    promise: float

    @cached_property
    def answered(self) -> pd.DataFrame:
        """The checks that have an answer."""
        return self.checks.dropna(subset="correct")

    @cached_property
    def predicted(self) -> pd.DataFrame:
        """The answered detections above their classes' thresholds."""
        return self.answered[self.answered["predicted"] == 1]

    @cached_property
    def recordings(self) -> int:
        """The number of recordings with an answer."""
        return self.answered["recording"].nunique()

    @cached_property
    def words(self) -> list[str]:
        """The words of `predict` that found the checked detections."""
        with suppress(ValueError):  # if a user changed them
            if words := shlex.split(self.checks["command"].iloc[0]):
                return words
        return ["AUDIO=FILE"]

    @cached_property
    def elsewhere(self) -> list[str]:
        """The words of `predict` for other recordings."""
        return ["AUDIO=FILE", *without(self.words, "AUDIO", "OUT")]

    @cached_property
    def promise_words(self) -> list[str]:
        """PROMISE=, if it is not the default."""
        return option_words(DetectionOptions(promise=self.promise), ["promise"])

    @property
    def other_answers(self) -> str:
        """What to do about the checks without an answer."""
        left = f"answer the other {len(self.checks) - len(self.answered):,}"
        # the page does not know answers by hand
        if not re.search(r"-answers( ?\(\d+\))?\.csv$", self.file.name):
            return f"{left} in {self.file}, then type the same command"
        page = self.checks["page"].iloc[0] or f"the page of the {FOLDER}"
        return f"{left} on {page}, then type the command that it shows"


def tell_checked(file: Path, promise: float) -> int:
    """Print what the answers in a table say about all detections; returns 0."""
    checked = Checked(file, read_checked(file), promise)
    if len(checked.answered) < min(LEAST_ANSWERS, len(checked.checks)):
        number = f"{len(checked.answered)} of your {len(checked.checks)} are answered"
        print(f"{number}: too few for a precision")
        print(f"next: {checked.other_answers}")
        return 0
    rows = all_rows(checked)
    lines = [*counts(checked), *weighting(checked, rows)]
    lines += [precision_table(checked, rows), *conclusion(checked, rows)]
    print(*lines, sep="\n")
    return 0


# ---- precision


def precision_above(checks: pd.DataFrame) -> pd.DataFrame:
    """`precision` of the checks above each lower end of a range, the lowest first;
    ranges below one without an answer have no row.
    """
    rows = []
    for end in sorted(checks["above"].unique(), reverse=True):
        above = checks[checks["above"] >= end]
        if np.isinf(above["weight"]).any():
            break
        rows.append({"above": end, **precision(above)})
    return pd.DataFrame(rows[::-1])


def precision(checks: pd.DataFrame) -> dict[str, float]:
    """detections, checks, precision, low and high (its 95 % interval, which holds only
    for this recording if there is only one).
    """
    from scipy.special import stdtrit

    checks = checks.dropna(subset="correct")
    right, weights = checks["correct"].to_numpy(), checks["weight"].to_numpy()
    units = checks["recording"].to_numpy(str)
    if len({*units}) == 1:
        units = np.arange(len(right))
    mean = np.average(right, weights=weights)
    apart = weights * (right - mean)
    sums = recording_sums(np.column_stack([apart, weights]), units)
    recordings = max(effective_recordings(sums[:, 1:]).item(), 2.0)
    variance = np.square(sums[:, 0]).sum() / weights.sum() ** 2
    variance *= recordings / (recordings - 1)
    number = weights.sum() ** 2 / np.square(weights).sum()  # independent checks
    if variance > 0:
        number = min(number, mean * (1 - mean) / variance)
    quantile = stdtrit(recordings - 1, (1 + CONFIDENCE) / 2)
    low, high = wilson_ends(np.array([mean]), number, quantile)[0]
    whole = {"detections": round(weights.sum()), "checks": len(right)}
    return {**whole, "precision": mean, "low": low, "high": high}


def all_rows(checked: Checked) -> pd.DataFrame:
    """The rows of `precision_above`, after a row for the detections as predicted, whose
    `above` is NaN because each class has its own threshold.
    """
    rows, checks = precision_above(checked.checks), checked.checks
    if rows.empty:
        top = checks[checks["above"] == checks["above"].max()]
        lacking = [f"{line - 1:03d}" for line in top.index[top["correct"].isna()]]
        raise RequestError(
            f"{checked.file} has {counted(len(checked.answered), 'answer')}, and none"
            " of the highest scores: write yes or no into correct of"
            f" {listed(lacking)} first"
        )
    if checked.predicted.empty or np.isinf(checks["weight"]).any():
        return rows
    first = {"above": np.nan, **precision(checked.predicted)}
    return pd.concat([pd.DataFrame([first]), rows], ignore_index=True)


def checks_needed(rows: pd.DataFrame, answers: int, promise: float) -> pd.Series:
    """How many checks may bring the lower end of each row's interval to the promise."""
    mean, low = rows["precision"], rows["low"]
    times = (mean - low) ** 2 / (low * (1 - low)) * promise * (1 - promise)
    times = (times / (mean - promise) ** 2).where(mean > promise, np.inf)
    return np.ceil(answers * times)


# ---- sentences


def counts(checked: Checked) -> Iterator[str]:
    """How many answers there are, and in how many recordings."""
    candidates = checked.answered.drop(checked.predicted.index)
    for own, noun, where in (
        (checked.predicted, "detection", ""),
        (candidates, "candidate", " below the thresholds"),
    ):
        if len(own):
            right, recordings = int(own["correct"].sum()), own["recording"].nunique()
            yield (
                f"{counted(len(own), noun)}{where} checked in"
                f" {counted(recordings, 'recording')}: {right:,} right,"
                f" {len(own) - right:,} wrong"
            )
    if checked.recordings == 1:
        yield "one recording: the intervals hold only for its detections"
    elif checked.recordings < FEW:
        yield (
            f"intervals from {checked.recordings} recordings are wide: more recordings"
            " help more than more checks"
        )


def weighting(checked: Checked, rows: pd.DataFrame) -> Iterator[str]:
    """Why the precision as predicted is not the share of right answers."""
    weighted, share = rows["precision"].iloc[0], checked.predicted["correct"].mean()
    if np.isnan(rows["above"].iloc[0]) and abs(weighted - share) >= 0.02:
        yield (
            f"precision is {weighted:.3f}, not {share:.3f}: checks are drawn by range"
            " of scores, and each stands for the detections of its range"
        )


def precision_table(checked: Checked, rows: pd.DataFrame) -> str:
    """The precision as predicted, above each end of a range, and of each class."""
    table = [
        [
            "as predicted" if np.isnan(row["above"]) else f"{row['above']:.3f}",
            f"{row['detections']:,.0f}",
            f"{row['checks']:,.0f}",
            f"{row['precision']:.0f} of 1" if row["checks"] == 1 else interval(row),
        ]
        for row in rows.to_dict("records")
    ]
    by_class = checked.predicted.groupby("label")
    for name, own in by_class if np.isnan(rows["above"].iloc[0]) else ():
        number, text = len(own), interval(precision(own))
        if (recordings := own["recording"].nunique()) < FEW:
            text = f"{own['correct'].sum():.0f} of {number:,}"
            text += f", in {counted(recordings, 'recording')}" * (number > 1)
        table.append([f"{name}, as predicted", "-", f"{number:,}", text])
    return text_table(
        table, ["score above", "detections", "checks", "precision (95 % interval)"]
    )


def interval(row: Mapping[str, float]) -> str:
    """A precision and its interval, as `0.900 (0.812 to 0.950)`."""
    return "{precision:.3f} ({low:.3f} to {high:.3f})".format(**row)


def conclusion(checked: Checked, rows: pd.DataFrame) -> Iterator[str]:
    """Which thresholds keep the promise, and the next command."""
    first, promise = rows.iloc[0], checked.promise
    shares = first[["low", "precision", "high"]]
    kept_already = np.isnan(first["above"]) and first["low"] >= promise
    if kept_already:
        least, share, most = map(percent, shares)
        yield (
            f"The thresholds of the check keep PROMISE={promise:g}: {share} %"
            f" ({least} to {most}) are right."
            f" {where_results_are(checked, round(first['detections']))}"
        )
    low, right, high = shares * first["detections"]
    yield (
        f"about {right:,.0f} of {first['detections']:,.0f} detections are right (95 %"
        f" interval {low:,.0f} to {high:,.0f}); missed sounds are not counted"
    )
    kept = rows[rows["low"] >= promise]
    if (rows["high"] < promise).all():
        yield (
            f"no threshold reaches {percent(promise, 0)} %: every interval ends below"
            " it; train with annotations of this place, or with its sounds:"
        )
        command = training_command(checked.words)
    elif kept.empty:
        lines, command = too_few(checked, rows)
        yield from lines
    else:
        row = kept.loc[kept["detections"].idxmax()]
        if kept_already and row["detections"] < CLEARLY_MORE * first["detections"]:
            command = make_command("predict", *checked.elsewhere)
        else:
            where, but, command = with_threshold(checked, row)
            yield (
                f"{where} keeps a precision of at least {percent(promise, 0)} % with"
                f" {counted(round(row['detections']), 'detection')}{but}"
            )
    yield f"next: {explained(command)}"


def with_threshold(checked: Checked, row: pd.Series) -> tuple[str, str, str]:
    """A row's threshold in words, or ''; the classes that it loses; and the command of
    `predict` with it.
    """
    if np.isnan(row["above"]):
        return "", "", make_command("predict", *checked.words)
    threshold, but = f"THRESHOLD={row['above']:.3f}", ""
    highest = checked.checks.groupby("label")["highest"].max()
    if lost := [*highest.index[highest <= row["above"]]]:
        number = f"of {len(lost)} of {counted(len(highest), 'class')}"
        but = f", but no detection {number} is above it: {listed(lost)}"
    words = [*without(checked.words, "THRESHOLD"), threshold]
    return f"{threshold}, one for all classes,", but, make_command("predict", *words)


def too_few(checked: Checked, rows: pd.DataFrame) -> tuple[list[str], str]:
    """Sentences on how many more answers the promise needs, and the next command."""
    answers, promise = len(checked.answered), checked.promise
    rows = rows.assign(total=checks_needed(rows, answers, promise))
    reached = rows[rows["high"] >= promise]
    row = reached.sort_values(["total", "low"], ascending=[True, False]).iloc[0]
    where, but, _ = with_threshold(checked, row)
    useful = where and answers >= LEAST_ANSWERS
    nearest = f"; {where} comes nearest{but}" if useful else ""
    number = counted(answers, "check")
    lines = [f"{number}: too few to promise {percent(promise, 0)} %{nearest}"]
    ranges = checked.checks.drop_duplicates(["above", "predicted"])
    whole, wanted = ranges["detections"].sum(), checked.promise_words
    in_others = make_command("predict", *checked.elsewhere, "CHECK=100", *wanted)
    if answers < len(checked.checks):
        return lines, checked.other_answers
    if checked.recordings < FEW:  # as `counts` says
        return lines, in_others
    enough = row["total"] <= whole
    larger = f"CHECK={row['total'] if enough else min(2 * answers, whole):.0f}"
    if enough:
        more = f"about {row['total'] - answers:,.0f} more may be enough"
        lines.append(f"{more}: {larger} begins with the same rows and their answers")
    elif np.isfinite(row["total"]) or answers >= whole:
        lines.append(
            "the promise is for future recordings like these, and checking all"
            f" {whole:,.0f} is not enough: predict more recordings"
        )
        return lines, in_others
    given = f"CHECKED={checked.file}"
    return lines, make_command("predict", *checked.words, given, larger, *wanted)


def training_command(words: list[str]) -> str:
    """The command that retrains the run that found the detections, with the recordings
    of the check as backgrounds, which are mixed into features of POWERS.
    """
    given = {name: value for name, _, value in (word.partition("=") for word in words)}
    dataset, features, before = "NAME", POWERS[0], ""
    with suppress(RequestError, OSError):  # a file, or removed since
        config = RunFolder(Path(given.get("RUN", ""))).config
        dataset, features = config.dataset, config.features
    of_run = [f"DATASET={dataset}", *(w for w in words if w.startswith("DATA="))]
    if {part.name for part in parse_set(features)} - {*POWERS}:
        features = POWERS[0]
        before = f"{make_command('features', *of_run, f'FEATURES={features}')} && "
    folder = given["AUDIO"]
    if re.search("[ ,]", folder) or not Path(folder).exists():  # they end the word
        folder = "FOLDER"
    of_run += [f"FEATURES={features}", f"MODEL=frames@background={folder}"]
    return f"{before}{make_command('train', *of_run)}"


def where_results_are(checked: Checked, number: int) -> str:
    """A sentence on the tables in the folder of a check of this number of detections.
    They may come from other thresholds, or be older than corrections.
    """
    folder = Path(checked.checks["page"].iloc[0]).parent.parent
    detections, counts = folder / "detections.csv", folder / "counts.csv"
    found = len(read_csv(detections, ["file"])) if detections.is_file() else number
    again = make_command("predict", *checked.words)
    if found != number:
        return (
            f"But {detections} has {counted(found, 'detection')}, and the check was"
            f" drawn from {number:,}: {again} finds these again."
        )
    tables = [*folder.glob("raven/**/*.txt"), *folder.glob("audacity/**/*.txt")]
    times = [file.stat().st_mtime for file in tables if counts.is_file()]
    if times and max(times) > counts.stat().st_mtime:
        return f"{counts} has the results; {again} also counts your corrected tables."
    return f"{counts} has the results."
