"""`predict CHECK=100`: detections to listen to; `predict CHECKED=table`: what the
answers say about all detections.

The folder `check` in OUT has sounds, index.html, which plays them and saves answers,
and check.csv. Of each detection it has predicted: yes if it is above its class's
threshold; highest: the highest score of its class; above, detections: the lower end of
its range of scores, and how many of the range are predicted, or are not, as it is.

Detections below the thresholds are drawn too: a lower threshold may keep the promise.
All ranges are drawn in turn: the first rows are fair, and a larger CHECK begins so.

A precision is the mean of the checks, weighted by how many detections each stands for.
Its interval is Wilson's for an effective number of checks, from the variance between
recordings, whose detections are right or wrong together. Two choices would flatter:
detections that a user chose, so they are drawn; a threshold with the best estimate, so
it is chosen by the lower end of its interval.
"""

import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import soundfile
from numpy.typing import NDArray

from featurestack.commandline.errors import RequestError, shortened
from featurestack.commandline.quantities import counted, listed, percent
from featurestack.commandline.terminal import tell, text_table
from featurestack.pipeline import audio
from featurestack.results.config import digest
from featurestack.scores.metrics import Floats
from featurestack.scores.significance import (
    CONFIDENCE,
    effective_recordings,
    recording_sums,
    wilson_ends,
)
from featurestack.sound_events.frames import STEP
from featurestack.storage.csv_files import cell_number, read_csv
from featurestack.storage.own_files import NO_DATA, OwnFiles

if TYPE_CHECKING:
    from featurestack.predict.model import Model

FOLDER = "check"
TABLE = "check.csv"
PAGE = "index.html"
CONTEXT = 1.0  # seconds before and after a detection in its sound
RANGES = 10  # most parts of the scores
PREDICTED = 0.7  # share of the ranges for detections above the thresholds
PICTURE = 120, 600  # pixels
IN_RANGE = 5  # checks in each, at least
FIRST = 20  # rows by which the browser knows a table
YES = dict.fromkeys(("yes", "y", "1", "true"), 1.0)
YES |= dict.fromkeys(("no", "n", "0", "false"), 0.0)
# column -> the value of a cell, and what is expected there
CELLS: dict[str, tuple[Callable[[str], float | None], str]] = {
    "above": (cell_number, "a score"),
    "detections": (cell_number, "a number"),
    "highest": (cell_number, "a score"),
    "predicted": (YES.get, "yes or no"),
    "correct": (
        {**YES, "unsure": 0.0, "s": 0.0, "u": 0.0, "": np.nan}.get,
        "yes, no, unsure or nothing",
    ),
}


# ---- detections to listen to


def draw(
    scores: Floats, predicted: NDArray[np.bool_], checks: int, rng: np.random.Generator
) -> tuple[NDArray[np.intp], Floats, NDArray[np.intp]]:
    """The places of `checks` scores in the order in which they are checked, and of each
    the lower end of its range, and the range's number of scores that are predicted, as
    it is, or not.
    """
    number = int(np.clip(checks // IN_RANGE, 1, RANGES))
    share = np.where(predicted, PREDICTED, 1 - PREDICTED)
    share /= np.bincount(predicted, minlength=2)[predicted.astype(int)]
    parts = np.arange(number) / number
    lowest = np.quantile(scores, parts, method="inverted_cdf", weights=share)
    steps = np.ceil(lowest / STEP - 1e-6) - 1  # below the lowest score
    ends = np.unique(steps * STEP).round(3)
    own = 2 * (np.searchsorted(ends, scores) - 1) + predicted
    order = rng.permutation(len(scores))
    turn = pd.Series(order).groupby(own[order]).cumcount().to_numpy()
    drawn = order[np.lexsort((rng.random(len(scores)), turn))][:checks]
    return drawn, ends[own[drawn] // 2], np.bincount(own)[own[drawn]]


def write_check(
    detections: pd.DataFrame,
    checks: int,
    files: Mapping[str, Path],
    seconds: Mapping[str, float],
    model: "Model",
    out: Path,
) -> None:
    """Draw detections of `candidates`, of which some are `predicted`, and write the
    folder `check` in OUT, or check-2 … next to one that the user has changed; seconds:
    how long each recording lasts.
    """
    from scipy.signal import spectrogram

    from featurestack.analysis.clips import as_image
    from featurestack.analysis.page import render

    rate = model.sample_rate
    scores, predicted = detections["score"].to_numpy(float), detections["predicted"]
    rng = np.random.default_rng(0)
    drawn, above, numbers = draw(scores, predicted.to_numpy(bool), checks, rng)
    highest = detections.groupby("label")["score"].transform("max")
    table = detections.assign(highest=highest).iloc[drawn]
    table = table.rename(columns={"file": "recording"})
    table = table.round({"start": 4, "end": 4, "score": 4, "highest": 4})
    content: dict[str, str | bytes] = {}
    cards: list[dict[str, object]] = []
    for number, row in enumerate(table.itertuples(), 1):
        stem = f"{row.label} {Path(row.recording).stem}".replace("/", "-")
        name = f"{number:03} {stem}@{row.start:.4g}.wav"
        begin = max(0.0, row.start - CONTEXT)
        until = min(row.end + CONTEXT, seconds[row.recording])
        samples = round((until - begin) * rate)
        file, channel = files[row.recording], model.audio_channel
        y = audio.load_clip(file, rate, samples, (begin, until), channel)
        sound = io.BytesIO()
        soundfile.write(sound, y, rate, format="WAV")
        content[name] = sound.getvalue()
        length = min(len(y), 2 ** round(np.log2(rate / 50)))  # about 20 ms
        _, _, power = spectrogram(y, nperseg=length, noverlap=length * 3 // 4)
        picture = as_image(10 * np.log10(power + 1e-12), PICTURE)
        card = {"sound": name, "picture": picture}
        cards.append(card | row._asdict() | {"begin": begin, "until": until})
    table.insert(0, "sound", [*content])
    words = table["predicted"].map({True: "yes", False: "no"})
    table = table.assign(predicted=words, above=above, detections=numbers, correct="")
    text = table.to_csv(index=False, lineterminator="\n")
    key = digest(text.splitlines()[:FIRST])
    values = {"text": text, "key": key, "name": TABLE, "khz": rate / 2000}
    content |= {TABLE: text, PAGE: render("check.html", cards=cards, **values)}
    own, number = OwnFiles(out / FOLDER, NO_DATA), 2
    while not (own.is_own(TABLE) and own.is_own(PAGE)):
        own, number = OwnFiles(out / f"{FOLDER}-{number}", NO_DATA), number + 1
    own.write(content)
    own.remove_others()
    tell(
        f"{own.folder / PAGE}: {counted(len(table), 'detection')} to listen to; give"
        " the table that it saves to CHECKED="
    )


# ---- what the answers say about all detections


def read_checked(file: Path) -> pd.DataFrame:
    """recording, label and CELLS of a table of answers; correct: 1, 0, NaN without an
    answer; weight: how many detections an answer stands for, infinity if there is none
    where a check was drawn. RequestError for a wrong cell.
    """
    table = read_csv(file, ["recording", "label", *CELLS])
    checks = table[["recording", "label"]].copy()
    for column, (value, expected) in CELLS.items():
        cells = [value(cell.strip().lower()) for cell in table[column]]
        if None in cells:
            line = table.index[cells.index(None)]
            raise RequestError(
                f"{file}, line {line}, column {column}:"
                f" {shortened(table[column][line])!r}; expected {expected}"
            )
        checks[column] = cells
    answers = checks.groupby(["above", "predicted"])["correct"].transform("count")
    return checks.assign(weight=checks["detections"] / answers)


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
    """detections, checks, precision, low and high (its 95 % interval, only for these
    recordings if it is one).
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


def tell_checked(file: Path, promise: float) -> int:
    """Print what the answers in a table say about all detections; returns 0."""
    checks = read_checked(file)
    answered = checks.dropna(subset="correct")
    rows = precision_above(checks)
    if rows.empty:
        raise RequestError(
            f"{file}: write yes or no into correct, first at the highest scores"
        )
    right, recordings = int(answered["correct"].sum()), answered["recording"].nunique()
    print(
        f"{counted(len(answered), 'check')} in {counted(recordings, 'recording')}:"
        f" {right:,} right, {len(answered) - right:,} wrong"
    )
    if recordings == 1:
        print("one recording: the intervals are only for its detections")
    predicted, of_class = answered[answered["predicted"] == 1], []
    if len(predicted) and np.isfinite(checks["weight"]).all():
        row = {"above": np.nan, **precision(predicted)}  # each class's own threshold
        rows = pd.concat([pd.DataFrame([row]), rows], ignore_index=True)
        of_class = [
            (f"{name}, as predicted", "-", *interval(precision(own))[1:])
            for name, own in predicted.groupby("label")
        ]
    table = [
        ("as predicted" if np.isnan(end) else f"{end:.3f}", *interval(row))
        for end, row in zip(rows["above"], rows.to_dict("records"))
    ]
    heads = ["score above", "detections", "checks", "precision (95 % interval)"]
    print(text_table([*table, *of_class], heads))
    for sentence in sentences(rows, promise, checks):
        print(sentence)
    return 0


def interval(row: Mapping[str, float]) -> tuple[str, str, str]:
    """The cells of a row of `precision`."""
    text = "{precision:.3f} ({low:.3f} to {high:.3f})".format(**row)
    return f"{row['detections']:,.0f}", f"{row['checks']:,.0f}", text


def sentences(
    rows: pd.DataFrame, promise: float, checks: pd.DataFrame
) -> Iterator[str]:
    """Sentences on the rows of `precision_above`; the first may be as predicted."""
    first, answers = rows.iloc[0], checks["correct"].count()
    low, right, high = first[["low", "precision", "high"]] * first["detections"]
    yield (
        f"about {right:,.0f} of {first['detections']:,.0f} detections are right (95 %"
        f" interval {low:,.0f} to {high:,.0f}); missed sounds are not counted"
    )
    # how many times the checks until the lower end of the interval is the promise
    mean, low = rows["precision"], rows["low"]
    times = (mean - low) ** 2 / (low * (1 - low)) * promise * (1 - promise)
    times = (times / (mean - promise) ** 2).where(mean > promise, np.inf)
    rows = rows.assign(total=np.ceil(answers * times))
    kept, reached = rows[rows["low"] >= promise], rows[rows["high"] >= promise]
    promised = f"{percent(promise, 0)} %"
    if reached.empty:
        yield (
            f"no threshold reaches {promised}: every interval ends below it; train with"
            " annotations of this place, or with its sounds"
            " (MODEL=frames@background=FOLDER)"
        )
        return
    row = reached.sort_values(["total", "low"], ascending=[True, False]).iloc[0]
    if len(kept):
        row = kept.loc[kept["detections"].idxmax()]
    where = f"THRESHOLD={row['above']:.3f} for all classes (in place of each one's own)"
    if np.isnan(row["above"]):
        where = "each class's own threshold"
    if len(kept):
        yield f"{where} keeps a precision of at least {promised}"
    else:
        number = f"{row['checks']:,.0f} checks"
        yield f"{number} are too few for {where} to promise {promised}"
        whole = checks.drop_duplicates(["above", "predicted"])["detections"].sum()
        if row["total"] <= whole:
            more, total = f"{row['total'] - answers:,.0f}", f"{row['total']:.0f}"
            yield (
                f"about {more} more may be enough: CHECK={total} begins with the same"
                " rows"
            )
        elif np.isfinite(row["total"]):
            yield f"checking all {whole:,.0f} is not enough: predict more recordings"
    highest = checks.groupby("label")["highest"].max()
    if lost := [*highest.index[highest <= row["above"]]]:
        number = f"{len(lost)} of {counted(len(highest), 'class')}"
        yield f"{number} have no detection above it: {listed(lost)}"
