"""`predict CHECK=100`: detections to listen to, drawn by score, as a page that works
offline; `predict CHECKED=table` says what the answers are worth.

Detections below the thresholds are drawn too, down to LEAST_SHARE of them: a lower
threshold may keep the promise. The folder `check` has

    index.html      players and the answers yes and no; it writes checked.csv
    checked.csv     file, start, end, label, score, drawn (1: to listen to), correct
        (yes, no or empty) of every detection
    *.wav           what the page plays, named by score

Whether a detection is right depends on the log-odds of its score by a logistic
regression with Jeffreys' prior (Firth 1993): separated answers have an interval too.
What would flatter: detections that a user chose, so the page draws them, evenly over
the scores; recordings, whose detections are right or wrong together, so they are the
unit for other recordings; and a threshold chosen by its estimate, so it is chosen by
the lower end of the interval.

Conventions: n checked detections, N all detections; score (n,) in 0 to 1.
"""

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import soundfile
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import t as student

from featurestack.commandline.errors import RequestError
from featurestack.commandline.quantities import counted
from featurestack.commandline.tables import text_table
from featurestack.commandline.terminal import tell
from featurestack.pipeline import audio
from featurestack.pipeline.datasets.layouts import NO_DATA
from featurestack.results.run_folder import damage_named
from featurestack.rooms.events.frames import Frames, Rule, detect_all
from featurestack.rooms.events.tables import DIGITS, OwnFiles, as_text, file_name
from featurestack.scores.metrics import Floats

if TYPE_CHECKING:
    from featurestack.predict.audio_model import AudioModel

FOLDER = "check"
TABLE = "checked.csv"
COLUMNS = ("file", "start", "end", "label", "score", "drawn", "correct")
CONTEXT = 1.0  # seconds before and after a detection in its cut
LEAST_SHARE = 0.25  # the lowest score as a share of the class's threshold
FEWEST = 5  # right and wrong answers, below which nothing is fitted
ANSWERS = {"yes": True, "no": False}
THRESHOLDS = np.arange(5, 96, 5) / 100
LEAST, MOST = 1e-4, 1 - 1e-4  # scores beyond have no finite log-odds in float16
STEPS = 100  # most steps of Newton's method
STRATA = 5
LEVEL = 0.95  # the intervals' coverage
PAGE = Path(__file__).parent / "templates" / "check.html"


def candidates(
    frames: Frames, probabilities: NDArray[np.floating], rules: Mapping[str, Rule]
) -> pd.DataFrame:
    """Detections by lower thresholds: file, start, end, label, score."""
    lenient = {
        name: replace(rule, threshold=LEAST_SHARE * rule.threshold, share=1.0)
        for name, rule in rules.items()
    }
    return frames.table(detect_all(frames, probabilities, lenient))


def write_check(
    detections: pd.DataFrame,
    count: int,
    files: Mapping[str, Path],
    model: "AudioModel",
    folder: Path,
) -> None:
    """Draw `count` detections and write the folder `check` below OUT."""
    if detections.empty:
        tell("nothing to check: no detection")
        return
    rng = np.random.default_rng(0)
    table = detections[[*COLUMNS[:5]]].round(DIGITS).reset_index(drop=True)
    drawn = draw(table["score"].to_numpy(float), count, rng)
    table["drawn"] = np.isin(np.arange(len(table)), drawn).astype(int)
    table["correct"] = ""
    own = OwnFiles(check_folder(folder), NO_DATA)
    content: dict[str, str | bytes] = {}
    shown = []
    for place in rng.permutation(drawn):  # the order tells nothing about the score
        row = table.loc[place]
        stem = file_name(f"{row['label']} {Path(row['file']).stem}".replace("/", "-"))
        name = own.free_name(f"{row['score']:.2f} {stem}@{row['start']:g}.wav")
        content[name] = cut(files[row["file"]], row["start"], row["end"], model)
        shown.append({"row": int(place), "sound": name})
    rows = table.to_numpy().tolist()
    data = json.dumps({"columns": COLUMNS, "rows": rows, "shown": shown})
    page = PAGE.read_text(encoding="utf-8")
    content["index.html"] = page.replace("DATA", data.replace("<", "\\u003c"), 1)
    content[own.free_name(TABLE)] = as_text(table, ",")
    for name in own.write(content):
        tell(f"{own.folder / name}: kept, it is not as predict wrote it")
    tell(
        f"{own.folder / 'index.html'}: {counted(len(drawn), 'detection')} of"
        f" {len(table):,} to listen to; it saves {TABLE} for CHECKED="
    )


def check_folder(folder: Path) -> Path:
    """The first of check, check2, … below OUT that is new, or of this command."""
    number, place = 1, folder / FOLDER
    while place.exists() and not (place / NO_DATA).is_file():
        number += 1
        place = folder / f"{FOLDER}{number}"
    return place


def cut(file: Path, start: float, end: float, model: "AudioModel") -> bytes:
    """A WAV file of a detection, with CONTEXT."""
    begin, until = max(0.0, start - CONTEXT), end + CONTEXT
    rate = model.sample_rate
    samples = round((until - begin) * rate)
    y = audio.load_clip(file, rate, samples, (begin, until), model.audio_channel)
    content = io.BytesIO()
    soundfile.write(content, y, rate, format="WAV")
    return content.getvalue()


# ---- what checked detections say about all of them


class Fit(NamedTuple):
    """Log-odds of a right detection: coefficients of 1 and the score's log-odds."""

    coefficients: Floats  # (2,)
    here: Floats  # (2, 2) covariance, for the detections that were drawn from
    elsewhere: Floats  # (2, 2) covariance for other recordings
    checked: int
    recordings: int


def design(score: NDArray[np.floating]) -> Floats:
    """(n, 2) ones, and the log-odds of the scores."""
    odds = logit(np.clip(np.asarray(score, float), LEAST, MOST))
    return np.column_stack([np.ones(len(odds)), odds])


def fit_precision(
    score: Floats, right: NDArray[np.bool_], recording: NDArray[np.generic]
) -> Fit:
    """Fit checked detections (n,).

    >>> score = np.linspace(0.1, 0.9, 9)
    >>> bool(fit_precision(score, score > 0.45, np.arange(9) % 3).coefficients[1] > 0)
    True
    """
    x = design(score)
    coefficients = np.zeros(2)
    for _ in range(STEPS):
        p = expit(x @ coefficients)
        weight = p * (1 - p)
        information = x.T @ (weight[:, None] * x)
        inverse = np.linalg.pinv(information)
        leverage = weight * np.einsum("ni,ij,nj->n", x, inverse, x)
        gradient = x.T @ (right - p + leverage * (0.5 - p))
        step = inverse @ gradient
        coefficients = coefficients + step / max(1.0, np.abs(step).max())
        if np.abs(step).max() < 1e-8:
            break
    residuals = x * (right - p)[:, None]
    _, group = np.unique(recording, return_inverse=True)
    groups = group.max() + 1
    sums = np.zeros((groups, 2))
    np.add.at(sums, group, residuals)
    middle = sums.T @ sums * groups / max(1, groups - 1)
    clustered = inverse @ middle @ inverse
    return Fit(coefficients, inverse, clustered, len(x), groups)


def precision_above(fit: Fit, scores: Floats, thresholds: Floats) -> pd.DataFrame:
    """A row for each threshold: the number of detections above it, the part of them
    that is right with its interval for these detections (low, high) and for other
    recordings (elsewhere_low, elsewhere_high); scores (N,) of all detections.
    """
    rows = []
    for threshold in thresholds:
        above = scores[scores > threshold]
        if not len(above):
            continue
        x = design(above)
        p = expit(x @ fit.coefficients)
        mean = p.mean()
        gradient = (p * (1 - p)) @ x / len(x)
        unseen = (p * (1 - p)).sum() / len(x) ** 2  # the detections themselves
        row = {"threshold": threshold, "detections": len(above), "precision": mean}
        # recordings vary no less than independent checks
        of_checks = gradient @ fit.here @ gradient
        of_recordings = max(of_checks, gradient @ fit.elsewhere @ gradient)
        unchecked = max(0.0, 1 - fit.checked / len(scores))
        for name, variance, freedom in (
            ("", unchecked * of_checks + unseen, fit.checked - 2),
            ("elsewhere_", of_recordings + unseen, fit.recordings - 1),
        ):
            deviation = np.sqrt(variance) / (mean * (1 - mean))
            reach = student.ppf((1 + LEVEL) / 2, max(1, freedom)) * deviation
            row[f"{name}low"] = expit(logit(mean) - reach)
            row[f"{name}high"] = expit(logit(mean) + reach)
        rows.append(row)
    return pd.DataFrame(rows)


def draw(scores: Floats, count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """The places of `count` scores, evenly from STRATA bands of log-odds."""
    odds = design(scores)[:, 1]
    edges = np.linspace(odds.min(), odds.max(), STRATA + 1)
    band = np.searchsorted(edges[1:-1], odds)
    order = rng.permutation(len(scores))
    turn = np.zeros(len(scores), int)  # place in the own band
    turn[order] = pd.Series(order).groupby(band[order]).cumcount()
    by_turn = np.lexsort((rng.random(len(scores)), turn))
    return by_turn[:count]


# ---- the answers


def read_checked(file: Path) -> pd.DataFrame:
    """The table of the page; RequestError if it is damaged or has no answer."""
    with damage_named(file, f"expected {TABLE} of the page that CHECK= writes"):
        table = pd.read_csv(file, dtype={"file": str, "label": str}, na_filter=False)
        if missing := {"file", "label", "score", "correct"} - {*table}:
            raise ValueError(f"it has no column {', '.join(sorted(missing))}")
        table["score"] = pd.to_numeric(table["score"])
        if not table["score"].between(0, 1).all():
            raise ValueError("a score is no number from 0 to 1")
        table["correct"] = table["correct"].astype(str).str.strip().str.lower()
        if not table["correct"].isin([*ANSWERS, ""]).all():
            raise ValueError("expected yes, no or nothing in the column correct")
    return table


def tell_checked(file: Path, promise: float) -> int:
    """Print what the answers in a table say about all its detections; returns 0."""
    table = read_checked(file)
    answered = table[table["correct"] != ""]
    right = answered["correct"].map(ANSWERS).to_numpy(bool)
    recordings = answered["file"].to_numpy(str)
    checks = (
        f"{counted(len(answered), 'check')} in"
        f" {counted(len(set(recordings)), 'recording')}: {right.sum():,} right,"
        f" {(~right).sum():,} wrong"
    )
    if min(right.sum(), (~right).sum()) < FEWEST:
        raise RequestError(
            f"CHECKED={file}: {checks}; at least {FEWEST} of each are needed"
        )
    fit = fit_precision(answered["score"].to_numpy(float), right, recordings)
    scores = table["score"].to_numpy(float)
    above = precision_above(fit, scores, np.append(0.0, THRESHOLDS))
    print(checks)
    rows = []
    for row in above.itertuples():
        precision = f"{row.precision:.3f} ({row.low:.3f} to {row.high:.3f})"
        others = f"{row.elsewhere_low:.3f} to {row.elsewhere_high:.3f}"
        rows.append((f"{row.threshold:.2f}", f"{row.detections:,}", precision, others))
    heads = ["above", "detections", "precision (95 % interval)", "other recordings"]
    print(text_table(rows, heads))
    for line in sentences(above, promise, fit.checked):
        print(line)
    return 0


def sentences(above: pd.DataFrame, promise: float, checked: int) -> Iterator[str]:
    """Sentences on the table of `precision_above`."""
    every = above.iloc[0]
    count = every["detections"]
    ends = f"{count * every['low']:,.0f} to {count * every['high']:,.0f}"
    yield (
        f"about {count * every['precision']:,.0f} of {count:,.0f} detections are right"
        f" (95 % interval {ends}); sounds without a detection are not counted"
    )
    kept = above[above["low"] >= promise]
    best = above.loc[above["low"].idxmax()]
    if len(kept):
        row = kept.iloc[0]
        yield (
            f"THRESHOLD={row['threshold']:.2f} keeps a precision of {promise:.0%}:"
            f" {row['detections']:,.0f} detections, {row['precision']:.1%} of them"
            f" right ({row['low']:.1%} to {row['high']:.1%})"
        )
    elif best["precision"] > promise:
        yield (
            f"{counted(checked, 'check')} are too few to promise {promise:.0%}: the"
            f" best is {best['precision']:.1%} ({best['low']:.1%} to"
            f" {best['high']:.1%}) above {best['threshold']:.2f}; about"
            f" {checks_for(best, promise, checked):,} would do"
        )
    else:
        yield (
            f"no threshold keeps {promise:.0%}, and more checks would not help: the"
            f" best is {best['precision']:.1%} above {best['threshold']:.2f}; train"
            " with sounds of this place (BACKGROUND_AUDIO) or its annotations"
        )


def checks_for(row: pd.Series, promise: float, checked: int) -> int:
    """The number of checks at which the interval would reach `promise`."""
    mean, low, wanted = logit([row["precision"], row["low"], promise])
    needed = checked * ((mean - low) / (mean - wanted)) ** 2
    return int(min(10_000, np.ceil(needed / 10) * 10))
