"""`predict CHECK=100`: detections, or windows, to listen to, and their precision.

The folder `check` in OUT contains the sounds, index.html, which plays them and saves
answers, the table check.csv, and <id>.md, the facts for the statement, which stay when
another check replaces the rest. Columns of the table: `predicted`, whether a row is
above the threshold of its class; `above`, the lower end of its range of scores;
`detections`, the number of rows in this range that are, like it, predicted or not
predicted; `facts`, the path of the facts.

Detections chosen by a user would flatter the model, so they are drawn at random, also
below the thresholds, since a lower one may keep the promise. All ranges are drawn from
in turn, so that a larger CHECK begins with the same rows. If a threshold were chosen by
its estimated precision, this estimate would be too high, so CHECKED chooses it by the
lower end of the interval.
"""

import io
import platform
import re
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import soundfile
from numpy.typing import NDArray

from featurestack.base import VERSION
from featurestack.base.errors import RequestError, shortened
from featurestack.base.json_content import digest
from featurestack.base.own_files import NO_DATA, OwnFiles, own_file
from featurestack.base.quantities import counted, duration, listed, percent
from featurestack.base.shell import make_command
from featurestack.base.table_files import cell_number, csv_text, read_table
from featurestack.base.terminal import tell, text_table
from featurestack.comparison import significance
from featurestack.comparison.metrics import Floats
from featurestack.pipeline import audio
from featurestack.predict.options import PredictOptions, same_words
from featurestack.predict.predict_audio import trained_on

if TYPE_CHECKING:
    from featurestack.predict.model import Model

TABLE, PAGE, STATEMENT = "check.csv", "index.html", "statement.md"
CONTEXT = 0.4, 1.0  # seconds around a detection: twice its length within this range
SCORE_RANGES = 10  # most parts of the scores
THRESHOLD_STEP = 0.001  # of a threshold
PREDICTED = 0.7  # share of the ranges for detections above the thresholds
PICTURE = 120, 600  # pixels
JUDGEMENTS = {"yes": 1.0, "no": 0.0, "unsure": 0.0, "": np.nan}


# ---- drawing


def draw_sample(
    scores: Floats, predicted: NDArray[np.bool_], checks: int, rng: np.random.Generator
) -> tuple[NDArray[np.intp], Floats, NDArray[np.intp]]:
    """The places of `checks` scores in the order in which they are checked; for each,
    the lower end of its range and how many scores of the range are predicted, or not,
    like it.
    """
    share = np.where(predicted, PREDICTED, 1 - PREDICTED)
    share /= np.bincount(predicted, minlength=2)[predicted.astype(int)]
    parts = np.arange(SCORE_RANGES) / SCORE_RANGES
    lowest = np.quantile(scores, parts, method="inverted_cdf", weights=share)
    steps = np.ceil(lowest / THRESHOLD_STEP - 1e-6) - 1  # below the lowest score
    ends = np.unique(steps * THRESHOLD_STEP).round(3)
    part = 2 * (np.searchsorted(ends, scores) - 1) + predicted
    order = rng.permutation(len(scores))
    turn = pd.Series(order).groupby(part[order]).cumcount().to_numpy()
    drawn = order[np.lexsort((rng.random(len(scores)), turn))][:checks]
    if len({*part}) > checks:  # some parts have no check: one range
        ends, part = ends[:1], predicted.astype(int)
    return drawn, ends[part[drawn] // 2], np.bincount(part)[part[drawn]]


def sound_and_card(
    row: Any, file: Path, seconds: float, model: "Model"
) -> tuple[bytes, dict[str, object]]:
    """The WAV around a drawn detection, and what the page shows of it; `seconds` is the
    length of its recording.
    """
    from scipy.signal import spectrogram

    from featurestack.analysis.clips import as_image

    rate = model.sample_rate
    around = np.clip(2 * (row.end - row.start), *CONTEXT)
    begin, until = max(0.0, row.start - around), min(row.end + around, seconds)
    place = rate, round((until - begin) * rate), (begin, until)
    y = audio.load_clip(file, *place)
    sound = io.BytesIO()
    soundfile.write(sound, y, rate, format="WAV")
    length = min(len(y), 2 ** round(np.log2(rate / 50)))  # about 20 ms
    _, _, power = spectrogram(y, nperseg=length, noverlap=length * 7 // 8)
    picture = as_image(10 * np.log10(power + 1e-12), PICTURE)
    # the browser knows a sound by this in every check
    key = digest([str(file), row.label, row.start, row.end])
    about = {"picture": picture, "begin": begin, "until": until, "key": key}
    return sound.getvalue(), row._asdict() | about


def write_check_page(
    every: pd.DataFrame,
    unit: str,
    files: Mapping[str, Path],
    seconds: Mapping[str, float],
    model: "Model",
    options: PredictOptions,
    out: Path,
) -> None:
    """Draw CHECK of the detections or windows (COLUMNS, and whether `predicted`), and
    write the folder `check` of OUT.
    """
    from featurestack.analysis.page import render

    if every.empty:
        raise RequestError(f"CHECK=: no {unit} is above half of a threshold")
    scores, predicted = every["score"].to_numpy(float), every["predicted"].to_numpy()
    drawn, above, numbers = draw_sample(
        scores, predicted, options.check, np.random.default_rng(0)
    )
    table = every.iloc[drawn].assign(above=above, detections=numbers).round(4)
    table = table.rename(columns={"file": "recording"})
    own_files = OwnFiles(out / "check", NO_DATA)
    for name in (TABLE, PAGE):
        own_files.require(name, "OUT=")
    content: dict[str, str | bytes] = {}
    cards = []
    for place, row in enumerate(table.itertuples(), 1):
        name = row.recording
        sound, card = sound_and_card(row, files[name], seconds[name], model)
        stem = f"{row.label} {Path(name).stem}".replace("/", "-")
        wav = f"{place:03} {stem}@{row.start:.4g}.wav"
        content[wav] = sound
        cards.append(card | {"sound": wav})
    table.insert(0, "sound", [*content])
    table["predicted"] = table["predicted"].map({True: "yes", False: "no"})
    about = facts_of(every, unit, files, seconds, model, options)
    check = digest([about, csv_text(table)])
    facts = own_files.folder.resolve() / f"{check}.md"
    table = table.assign(facts=str(facts), correct="")
    text = csv_text(table)
    stem = re.sub(r"[^\w.]+", "-", out.resolve().name).strip("-.")
    saved = f"{stem}-{len(table)}-{check}-answers.csv"
    command = make_command("predict", f"CHECKED=~/Downloads/{saved}")
    values = {"text": text, "saved": saved, "command": command, "unit": unit}
    content[PAGE] = render("check.html", cards=cards, **values)
    own_files.write(content | {TABLE: text, facts.name: about})
    own_files.keep(name for name in own_files.hashes if name.endswith(facts.suffix))
    own_files.remove_others()
    tell(
        f"{own_files.folder / PAGE}: {counted(len(table), 'sound')} to listen to;"
        f" the browser saves the answers in its downloads folder as {saved}; or write"
        f" yes, no or unsure into the column correct of {own_files.folder / TABLE}"
    )
    print(f"next: {command}")


def facts_of(
    every: pd.DataFrame,
    unit: str,
    files: Mapping[str, Path],
    seconds: Mapping[str, float],
    model: "Model",
    options: PredictOptions,
) -> str:
    """The facts about a check that precede its result in the statement."""
    trained = "an unknown number of recordings"
    if model.run:
        groups = model.run.predictions()["group"]
        trained = counted(groups.nunique(), "recording")
    above = int(every["predicted"].sum())
    remarks = {
        "could not be read": sorted(files.keys() - seconds.keys()),
        "not new, the model was trained on them": trained_on(model.config, files),
    }
    recordings = f"{counted(len(seconds), 'recording')} in {options.audio}"
    recordings += f", {duration(sum(seconds.values()))}"
    times = [files[name].stat().st_mtime for name in seconds]
    first, last = (date.fromtimestamp(end(times)).isoformat() for end in (min, max))
    recordings += f", files of {first}" + (f" to {last}" if last > first else "")
    for remark, names in remarks.items():
        if names:
            recordings += f"; {remark}: {len(names)} of {len(files)} ({listed(names)})"
    return f"""* **Question**: what share of the {unit}s in these recordings is right?
* **Model**: {model.title}; trained on {trained} of {model.config.dataset}
* **Recordings**: {recordings}
* **Threshold**: {options.threshold or "the run's own, or 0.5"}
* **Sample**: drawn at random (seed 0), in turn from each range of the score, from
  {above:,} {unit}s above the thresholds and {len(every) - above:,} above half of them
* **Versions**: featurestack {VERSION}, Python {platform.python_version()}, numpy
  {np.__version__}
* **Command**: `{make_command("predict", *same_words(options, model.run))}`
"""


# ---- answers


def read_checked(file: Path) -> pd.DataFrame:
    """A table of one check's answers with predicted and correct as numbers, and
    `weighted`.
    """
    if not file.exists():
        raise RequestError(
            f"{file} does not exist: save the table on the page of the check, or give"
            f" the path of the {TABLE} next to the page"
        )
    readers: dict[str, Callable[[str], float | None]]
    readers = dict.fromkeys(("above", "detections"), cell_number)
    readers |= dict.fromkeys(("predicted", "correct"), JUDGEMENTS.get)
    table = read_table(file, ["sound", "recording", "facts", *readers])
    others, again = table.drop_duplicates("facts")[1:], table["sound"].duplicated()
    for wrong, reason in (
        (others, "is of another check than the first row"),
        (table[again], "has the same sound as an earlier row"),
    ):
        if len(wrong):
            line = wrong.index[0]
            raise RequestError(f"{file}, line {line}: this row {reason}; remove it")
    for column, value in readers.items():
        cells = [value(cell.strip().lower()) for cell in table[column]]
        if None in cells:
            line = table.index[cells.index(None)]
            expected = "yes, no, unsure or nothing"
            raise RequestError(
                f"{file}, line {line}, column {column}:"
                f" {shortened(table[column][line])!r}; expected"
                f" {expected if value == JUDGEMENTS.get else 'a number'}"
            )
        table[column] = cells
    return weighted(table)


def weighted(checks: pd.DataFrame) -> pd.DataFrame:
    """The checks with `weight`, the number of detections that an answer stands for,
    infinity if its range has no answer.
    """
    answers = checks.groupby(["above", "predicted"])["correct"].transform("count")
    return checks.assign(weight=checks["detections"] / answers)


def precision(checks: pd.DataFrame) -> dict[str, float]:
    """detections, checks, precision, low and high (its 95 % interval)."""
    from scipy.special import stdtrit

    checks = checks.dropna(subset="correct")
    right, weights = checks["correct"].to_numpy(), checks["weight"].to_numpy()
    units = checks["recording"].to_numpy(str)
    mean = np.average(right, weights=weights)
    apart = weights * (right - mean)
    sums = significance.recording_sums(np.column_stack([apart, weights]), units)
    recordings = max(significance.effective_recordings(sums[:, 1:]).item(), 2.0)
    variance = np.square(sums[:, 0]).sum() / weights.sum() ** 2
    variance *= recordings / (recordings - 1)
    number = weights.sum() ** 2 / np.square(weights).sum()  # independent checks
    if variance > 0:
        number = min(number, mean * (1 - mean) / variance)
    quantile = stdtrit(recordings - 1, (1 + significance.CONFIDENCE) / 2)
    low, high = significance.wilson_ends(np.array([mean]), number, quantile)[0]
    whole = {"detections": round(weights.sum()), "checks": len(right)}
    return {**whole, "precision": mean, "low": low, "high": high}


def precisions(checks: pd.DataFrame) -> pd.DataFrame:
    """`precision` of what is predicted, where `above` is NaN, and of the checks above
    each lower end of a range, the lowest first; ranges below one without an answer have
    no row.
    """
    rows = []
    for end in sorted(checks["above"].unique(), reverse=True):
        above = checks[checks["above"] >= end]
        if np.isinf(above["weight"]).any():
            break
        rows.append({"above": end, **precision(above)})
    predicted = checks[checks["predicted"] == 1]
    if len(predicted) and np.isfinite(predicted["weight"]).all():
        rows.append({"above": np.nan, **precision(predicted)})
    return pd.DataFrame(rows[::-1])


def promised(rows: pd.DataFrame, promise: float) -> "pd.Series[float] | None":
    """The row with most detections whose interval lies above the promise."""
    kept = rows[rows["low"] >= promise] if len(rows) else rows
    return None if kept.empty else kept.loc[kept["detections"].idxmax()]


def tell_checked(options: PredictOptions) -> int:
    """The command `predict CHECKED=`: print the precision of the detections and the
    threshold that keeps the promise, and write STATEMENT beside the table.
    """
    file, wanted = options.checked, f"{percent(options.promise, 0)} %"
    assert file, "the caller was given CHECKED"
    checks = read_checked(file)
    rows = precisions(checks)
    if rows.empty:
        raise RequestError(f"{file} has no answer to the highest scores: answer them")
    cells = [
        (
            "as predicted" if np.isnan(row["above"]) else f"{row['above']:.3f}",
            f"{row['detections']:,.0f}",
            f"{row['checks']:,.0f}",
            "{precision:.3f} ({low:.3f} to {high:.3f})".format(**row),
        )
        for row in rows.to_dict("records")
    ]
    heads = ["score above", "detections", "checks", "precision (95 % interval)"]
    answered = checks.dropna(subset="correct")
    right, recordings = int(answered["correct"].sum()), answered["recording"].nunique()
    number = (
        f"{counted(len(answered), 'check')} in {counted(recordings, 'recording')}:"
        f" {right:,} right, {len(answered) - right:,} wrong"
    )
    row = promised(rows, options.promise)
    if few := significance.few_groups(recordings):
        result = f"{few}: no precision is promised"
    elif row is None:
        result = f"no threshold keeps a precision of at least {wanted} with certainty"
        if rows["precision"].max() > options.promise:
            result += ": a larger CHECK may find one"
    else:
        where = "the thresholds of the check keep"
        if not np.isnan(row["above"]):
            where = f"THRESHOLD={row['above']:.3f}, one for all classes, keeps"
        result = (
            f"{where} a precision of at least {wanted}, with about"
            f" {row['detections']:,.0f} detections; missed sounds are not counted"
        )
    table = text_table(cells, heads)
    print(number, table, result, sep="\n")
    facts = Path(checks["facts"].iloc[0])
    about = facts.read_text("utf-8") if facts.is_file() else "* **Model**: not known\n"
    check = f"* **Check**: {facts.stem}\n"
    text = f"""# Precision by ear, {date.today()}

{about}{check}* **Checks**: {number} (unsure counts as wrong)
* **Result**: {result}
* **Interval**: 95 %, from the variance between recordings; each check represents all
  detections in its range of scores
* **Not assessed**: missed sounds, where sounds begin and end, the number of sounds
  (neighbouring sounds closer than one window are one stretch: this is no count of
  calls), other recordings

```
{table}
```
"""
    statement = file.with_name(STATEMENT)
    own_files = own_file(statement, ".statement.json", "CHECKED=")
    if statement.exists() and check not in statement.read_text("utf-8"):
        raise RequestError(f"{statement} is of another check and is kept: rename it")
    own_files.write({STATEMENT: text})
    print(f"{statement}: the result to sign")
    return 0
