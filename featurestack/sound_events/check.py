"""`predict CHECK=100`: detections to listen to; `predict CHECKED=table`: what the
answers say about all detections.

The folder `check` in OUT has

    index.html   shows and plays the sounds, takes the answers, saves them as the table
    check.csv    sound, recording, start, end, label, score of each detection; above,
                 detections: the lower end of its range of scores, and the range's
                 number of detections; correct: empty, for yes or no
    001 ….wav    the sounds

Detections below the thresholds are drawn too: a lower threshold may keep the promise.
Ranges have about equally many, which are drawn in turn: the first rows are fair too.

The precision above a threshold is the mean of the checks above it, where each range
weighs as many as its detections. Its interval is Wilson's for an effective number of
checks, from the variance between recordings, whose detections are right or wrong
together. Two choices would flatter: detections that a user chose, so they are drawn; a
threshold with the best estimate, so it is chosen by the lower end of its interval.
"""

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import soundfile
from numpy.typing import NDArray

from featurestack.commandline.errors import RequestError
from featurestack.commandline.quantities import counted, percent
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
PICTURE = 120, 600  # pixels
IN_RANGE = 5  # checks in each, at least
COLUMNS = ("recording", "above", "detections", "correct")
ANSWERS = {"yes": 1.0, "y": 1.0, "1": 1.0, "no": 0.0, "n": 0.0, "0": 0.0}


# ---- detections to listen to


def range_ends(scores: Floats, checks: int) -> Floats:
    """The lower ends of the ranges of the score that so many checks are drawn from.

    >>> range_ends(np.array([0.2, 0.5, 0.9, 0.95]), 10)
    array([0.199, 0.899])
    """
    number = int(np.clip(checks // IN_RANGE, 1, RANGES))
    lowest = np.quantile(scores, np.arange(number) / number, method="higher")
    steps = np.ceil(lowest / STEP - 1e-6) - 1  # below the lowest score
    return np.unique(steps * STEP).round(3)


def draw(
    scores: Floats, checks: int, rng: np.random.Generator
) -> tuple[NDArray[np.intp], Floats, NDArray[np.intp]]:
    """The places of `checks` scores in the order in which they are checked, and of each
    the lower end of its range and the range's number of scores.
    """
    ends = range_ends(scores, checks)
    own = np.searchsorted(ends, scores) - 1
    numbers = np.bincount(own, minlength=len(ends))
    order = rng.permutation(len(scores))
    turn = pd.Series(order).groupby(own[order]).cumcount().to_numpy()
    drawn = order[np.lexsort((rng.random(len(scores)), turn))][:checks]
    return drawn, ends[own[drawn]], numbers[own[drawn]]


def write_check(
    detections: pd.DataFrame,
    checks: int,
    files: Mapping[str, Path],
    seconds: Mapping[str, float],
    model: "Model",
    out: Path,
) -> None:
    """Draw detections of `candidates` and write the folder `check` in OUT, or check-2 …
    next to one that the user has changed; seconds: how long each recording lasts.
    """
    if detections.empty:
        tell("nothing to check: no detection")
        return
    from featurestack.analysis.page import render

    rate = model.sample_rate
    scores = detections["score"].to_numpy(float)
    drawn, above, numbers = draw(scores, checks, np.random.default_rng(0))
    table = detections.iloc[drawn].rename(columns={"file": "recording"})
    table = table.round({"start": 4, "end": 4, "score": 4})
    content: dict[str, str | bytes] = {}
    cards: list[dict[str, object]] = []
    for number, row in enumerate(table.itertuples(), 1):
        stem = f"{row.label} {Path(row.recording).stem}".replace("/", "-")
        name = f"{number:03} {stem}@{row.start:.4g}.wav"
        begin = max(0.0, row.start - CONTEXT)
        lasts = min(row.end + CONTEXT, seconds[row.recording]) - begin
        span, samples = (begin, begin + lasts), round(lasts * rate)
        file, channel = files[row.recording], model.audio_channel
        y = audio.load_clip(file, rate, samples, span, channel)
        sound = io.BytesIO()
        soundfile.write(sound, y, rate, format="WAV")
        content[name] = sound.getvalue()
        window = (row.start - begin) / lasts, (row.end - row.start) / lasts
        card = {"sound": name, "picture": spectrogram(y, rate), "window": window}
        cards.append(card | row._asdict())
    table.insert(0, "sound", [*content])
    table = table.assign(above=above, detections=numbers, correct="")
    text = table.to_csv(index=False, lineterminator="\n")
    page = render("check.html", cards=cards, text=text, key=digest(text), name=TABLE)
    content |= {TABLE: text, PAGE: page}
    own, number = OwnFiles(out / FOLDER, NO_DATA), 2
    while not (own.is_own(TABLE) and own.is_own(PAGE)):
        own, number = OwnFiles(out / f"{FOLDER}-{number}", NO_DATA), number + 1
    own.write(content)
    own.remove_others()
    tell(
        f"{own.folder / PAGE}: {len(table):,} to listen to, of"
        f" {counted(len(detections), 'detection')} above and below the thresholds; give"
        f" the table that it saves to CHECKED=, or {own.folder / TABLE} with yes or no"
        " in the column correct"
    )


def spectrogram(y: NDArray[np.floating], rate: int) -> str:
    """WebP as base64 of the decibels by time and frequency."""
    from scipy.signal import spectrogram as power

    from featurestack.analysis.clips import as_image

    length = min(len(y), 2 ** round(np.log2(rate / 50)))  # about 20 ms
    _, _, values = power(y, nperseg=length, noverlap=length * 3 // 4)
    return as_image(10 * np.log10(values + 1e-12), PICTURE)


# ---- what the answers say about all detections


def read_checked(file: Path) -> pd.DataFrame:
    """The rows of a table of answers: recording, above, detections, right (1, 0, or NaN
    without an answer); RequestError for a wrong cell.
    """
    table = read_csv(file)
    if missing := {*COLUMNS} - {*table}:
        raise RequestError(
            f"{file} has no column {', '.join(sorted(missing))}; expected {TABLE} of"
            " the folder that CHECK= writes"
        )
    right = table["correct"].str.strip().str.lower().map(ANSWERS)
    numbers = table[["above", "detections"]].map(cell_number).astype(float)
    blank = table["correct"].str.strip() == ""
    known = numbers["above"].notna() & (numbers["detections"] >= 1)
    wrong = table.index[(right.isna() & ~blank) | ~known]
    if len(wrong):
        raise RequestError(
            f"{file}, line {wrong[0]}: expected a score (above), a number from 1"
            " (detections), and yes, no or nothing (correct)"
        )
    return numbers.assign(recording=table["recording"], right=right)


def precision_above(checks: pd.DataFrame) -> pd.DataFrame:
    """A row for each lower end of a range, the lowest first: above, detections, checks,
    precision, low and high (its 95 % interval); checks as `read_checked` gives them.

    Ranges below one without an answer have no row.
    """
    answered = checks.dropna(subset="right")
    number = answered.groupby("above").size()
    rows = []
    for end in sorted(checks["above"].unique(), reverse=True):
        if end not in number.index:
            break
        above = answered[answered["above"] >= end]
        weights = above["detections"] / above["above"].map(number)
        rows.append({"above": end, "detections": round(weights.sum())})
        rows[-1] |= precision(above, weights.to_numpy())
    names = "above", "detections", "checks", "precision", "low", "high"
    return pd.DataFrame(rows[::-1], columns=[*names])


def precision(checks: pd.DataFrame, weights: Floats) -> dict[str, float]:
    """The weighted mean of answered checks (n,) and its interval. If they are of one
    recording, the interval is only for its detections.
    """
    from scipy.special import stdtrit

    right = checks["right"].to_numpy()
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
    return {"checks": len(right), "precision": mean, "low": low, "high": high}


def tell_checked(file: Path, promise: float) -> int:
    """Print what the answers in a table say about all detections; returns 0."""
    checks = read_checked(file)
    answered = checks.dropna(subset="right")
    above = precision_above(checks)
    if above.empty:
        raise RequestError(
            f"{file}: write yes or no into correct, first at the highest scores"
        )
    right, recordings = int(answered["right"].sum()), answered["recording"].nunique()
    print(
        f"{counted(len(answered), 'check')} in {counted(recordings, 'recording')}:"
        f" {right:,} right, {len(answered) - right:,} wrong"
    )
    if recordings == 1:
        print("one recording: the intervals are only for its detections")
    rows = []
    for row in above.itertuples():
        interval = f"{row.precision:.3f} ({row.low:.3f} to {row.high:.3f})"
        numbers = f"{row.above:.3f}", f"{row.detections:,}", f"{row.checks:,}"
        rows.append((*numbers, interval))
    heads = ["score above", "detections", "checks", "precision (95 % interval)"]
    print(text_table(rows, heads))
    print(*sentences(above, promise), sep="\n")
    return 0


def sentences(above: pd.DataFrame, promise: float) -> Iterator[str]:
    """Sentences on the table of `precision_above`."""
    every = above.iloc[0]
    count = every["detections"]
    low, high = count * every["low"], count * every["high"]
    yield (
        f"about {count * every['precision']:,.0f} of {count:,.0f} detections are right"
        f" (95 % interval {low:,.0f} to {high:,.0f}); missed sounds are not counted"
    )
    kept = above[above["low"] >= promise]
    reached = above[above["high"] >= promise]
    if len(kept):
        row = kept.iloc[0]
        text = (
            "THRESHOLD={above:.3f}, for all classes in place of each one's own, keeps a"
            " precision of at least {promise}: {detections:,.0f} detections, {right}"
        )
    elif len(reached):
        row = reached.loc[reached["low"].idxmax()]
        text = (
            "{checks:,.0f} checks of scores above {above:.3f} are too few to promise"
            " {promise}: {right}; more checks may do"
        )
    else:
        row = above.loc[above["high"].idxmax()]
        text = (
            "no threshold reaches {promise}: above {above:.3f} {right}, and no"
            " interval ends higher; train with annotations of this place, or with its"
            " sounds (MODEL=frames@background=FOLDER)"
        )
    ends = [percent(row[name]) for name in ("precision", "low", "high")]
    right = "{} % are right ({} to {})".format(*ends)
    yield text.format(**row, promise=f"{percent(promise, 0)} %", right=right)
