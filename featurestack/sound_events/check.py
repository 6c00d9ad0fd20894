"""`predict CHECK=100`: detections to listen to; `predict CHECKED=table`: what the
answers say about all detections.

The folder `check` in OUT has

    check.selections.txt  Raven's table of the detections to listen to, with the columns
        Recording, Recording Start (s)   the place of the detection
        Above, Detections   its range of scores, which lie above `Above` up to the next
                            range, and the number of detections in the range
        correct             empty, for yes or no
    001 ….wav             their sounds, which Raven opens as one sequence
    index.html            players of the sounds, by the numbers of the table's rows

Detections below the thresholds are drawn too, down to LEAST_SHARE of them: a lower
threshold may keep the promise. Each range has about as many detections as the others.
They are drawn from the ranges in turn, so that the first rows are a fair draw too.

The precision above a threshold is the mean of the checks above it, where each range
weighs as many as its detections. Its interval is Wilson's for an effective number of
checks, from the variance between recordings, whose detections are right or wrong
together. Two choices would flatter: detections that a user chose, so they are drawn;
and a threshold chosen by its estimate, so it is chosen by the lower end of its
interval.
"""

import io
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import soundfile
from numpy.typing import NDArray

from featurestack.commandline.errors import RequestError, shortened
from featurestack.commandline.quantities import counted
from featurestack.commandline.terminal import tell, text_table
from featurestack.pipeline import audio
from featurestack.scores.bootstrap import (
    CONFIDENCE,
    effective_recordings,
    recording_sums,
    wilson_ends,
)
from featurestack.scores.metrics import Floats
from featurestack.sound_events.frames import Frames, Rule, detect_all
from featurestack.sound_events.tables import as_text, raven_table
from featurestack.storage.csv_files import cell_number, read_csv
from featurestack.storage.own_files import NO_DATA, OwnFiles

if TYPE_CHECKING:
    from featurestack.predict.model import Model

FOLDER = "check"
TABLE = "check.selections.txt"
PAGE = Path(__file__).parent / "templates" / "check.html"
CONTEXT = 1.0  # seconds before and after a detection in its sound
LEAST_SHARE = 0.25  # the lowest score as a share of the class's threshold
RANGES = 10  # most parts of the scores
IN_RANGE = 5  # checks in each, at least
STEPS = 1000  # ends of ranges are thousandths
COLUMNS = ("Recording", "Above", "Detections", "correct")
ANSWERS = {"yes": 1.0, "y": 1.0, "1": 1.0, "no": 0.0, "n": 0.0, "0": 0.0}


# ---- detections to listen to


def candidates(
    frames: Frames, probabilities: NDArray[np.floating], rules: Mapping[str, Rule]
) -> pd.DataFrame:
    """The detections, and those by lower thresholds that lie below the thresholds of
    the rules: file, start, end, label, score.
    """
    found = detect_all(frames, probabilities, rules)
    lenient = {
        name: replace(rule, threshold=LEAST_SHARE * rule.threshold, share=1.0)
        for name, rule in rules.items()
    }
    below = {
        name: own.take(own.score <= rules[name].threshold)
        for name, own in detect_all(frames, probabilities, lenient).items()
    }
    return pd.concat([frames.table(found), frames.table(below)], ignore_index=True)


def range_ends(scores: Floats, checks: int) -> Floats:
    """The lower ends of the ranges of the score that so many checks are drawn from.

    >>> range_ends(np.array([0.2, 0.5, 0.9, 0.95]), 10)
    array([0.199, 0.899])
    """
    number = int(np.clip(checks // IN_RANGE, 1, RANGES))
    shares = np.arange(number) / number
    lowest = np.quantile(scores, shares, method="higher")
    return np.unique(np.ceil(lowest * STEPS) - 1) / STEPS  # below the lowest score


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
    folder: Path,
) -> None:
    """Draw detections of `candidates` and write the folder `check` below `folder`.

    files, seconds  recording -> its file, and how long it lasts
    """
    if detections.empty:
        tell("nothing to check: no detection")
        return
    scores = detections["score"].round(4).to_numpy(float)
    drawn, above, numbers = draw(scores, checks, np.random.default_rng(0))
    chosen = detections.iloc[drawn].round({"start": 4, "end": 4, "score": 4})
    own = OwnFiles(folder / FOLDER, NO_DATA)
    content: dict[str, str | bytes] = {}
    sounds, offsets, lasts = [], [], []
    for number, row in enumerate(chosen.itertuples(), 1):
        stem = f"{row.label} {Path(row.file).stem}".replace("/", "-")
        sounds.append(f"{number:03} {stem}@{row.start:g}.wav")
        begin = max(0.0, row.start - CONTEXT)
        until = min(row.end + CONTEXT, seconds[row.file])
        content[sounds[-1]] = cut(files[row.file], begin, until, model)
        offsets.append(row.start - begin)
        lasts.append(until - begin)
    begins = dict(zip(sounds, np.cumsum(lasts) - lasts))
    in_sounds = chosen.assign(
        file=sounds, start=offsets, end=offsets + (chosen["end"] - chosen["start"])
    )
    places = {name: own.folder / name for name in sounds}
    table = raven_table(in_sounds, places, begins, model.sample_rate / 2)
    given = chosen["file"].to_numpy(), chosen["start"].to_numpy(), above, numbers, ""
    names = "Recording", "Recording Start (s)", "Above", "Detections", "correct"
    table = table.assign(**dict(zip(names, given)))
    name = own.free_name(TABLE)
    content[name] = as_text(table)
    content["index.html"] = page(chosen.assign(sound=sounds), name)
    own.write(content)
    for kept in own.remove_others():
        tell(f"{own.folder / kept}: kept, it is not as predict wrote it")
    tell(
        f"{own.folder / 'index.html'}: {len(chosen):,} to listen to, of"
        f" {counted(len(detections), 'detection')} above and below the thresholds;"
        f" write yes or no into the column correct of {name}, and give it to CHECKED="
    )


def cut(file: Path, begin: float, until: float, model: "Model") -> bytes:
    """A WAV file of a part of a recording."""
    rate = model.sample_rate
    samples = round((until - begin) * rate)
    y = audio.load_clip(file, rate, samples, (begin, until), model.audio_channel)
    content = io.BytesIO()
    soundfile.write(content, y, rate, format="WAV")
    return content.getvalue()


def page(chosen: pd.DataFrame, table: str) -> str:
    """The page of players."""
    from jinja2 import Template

    template = Template(PAGE.read_text(encoding="utf-8"), autoescape=True)
    return template.render(rows=chosen.to_dict("records"), table=table)


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
    numbers = table[["Above", "Detections"]].map(cell_number).astype(float)
    blank = table["correct"].str.strip() == ""
    wrong = table.index[(right.isna() & ~blank) | numbers.isna().any(axis=1)]
    if len(wrong):
        cells = ", ".join(map(repr, table.loc[wrong[0], [*COLUMNS[1:]]]))
        raise RequestError(
            f"{file}, line {wrong[0]}: Above, Detections and correct are"
            f" {shortened(cells)}; expected two numbers, and yes, no or nothing"
        )
    return pd.DataFrame(
        {
            "recording": table["Recording"],
            "above": numbers["Above"],
            "detections": numbers["Detections"],
            "right": right,
        }
    )


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
    recording, the interval is for its detections alone.
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
            f"{file}: the column correct has no yes or no in the highest range of the"
            " score"
        )
    right = int(answered["right"].sum())
    recordings = answered["recording"].nunique()
    print(
        f"{counted(len(answered), 'check')} in {counted(recordings, 'recording')}:"
        f" {right:,} right, {len(answered) - right:,} wrong"
    )
    if recordings == 1:
        print("one recording: the intervals are for its detections alone")
    rows = [
        (
            f"{row.above:.3f}",
            f"{row.detections:,}",
            f"{row.checks:,}",
            f"{row.precision:.3f} ({row.low:.3f} to {row.high:.3f})",
        )
        for row in above.itertuples()
    ]
    heads = ["score above", "detections", "checks", "precision (95 % interval)"]
    print(text_table(rows, heads))
    for line in sentences(above, promise):
        print(line)
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
    reached = above[above["precision"] > promise]
    if len(kept):
        row = kept.iloc[0]
        yield (
            f"THRESHOLD={row['above']:.3f} keeps a precision of {promise:.0%}:"
            f" {row['detections']:,.0f} detections, {row['precision']:.1%} of them"
            f" right ({row['low']:.1%} to {row['high']:.1%})"
        )
    elif len(reached):
        row = reached.loc[reached["low"].idxmax()]
        yield (
            f"{row['checks']:,.0f} checks of scores above {row['above']:.3f} are too"
            f" few to promise {promise:.0%}: {row['precision']:.1%} are right"
            f" ({row['low']:.1%} to {row['high']:.1%}); more checks may do"
        )
    else:
        row = above.loc[above["precision"].idxmax()]
        yield (
            f"no threshold reaches {promise:.0%}: the highest precision is"
            f" {row['precision']:.1%} ({row['low']:.1%} to {row['high']:.1%}), above"
            f" {row['above']:.3f}; train with sounds of this place (BACKGROUND_AUDIO)"
            " or with its annotations"
        )
