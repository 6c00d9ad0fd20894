"""`predict CHECK=100`: detections to listen to; `predict CHECKED=table`: what the
answers say about all detections.

The folder `check` in OUT has sounds, index.html, which plays them and saves answers,
and check.csv, with columns of its own: predicted, whether a detection is above its
class's threshold; highest, the highest score of its class; above, detections: the lower
end of its range of scores, and how many of the range are predicted, or are not, as it
is; command, the words of `predict` that find these detections; page, the path of
index.html. Detections below the
thresholds are drawn too: a lower threshold may keep the promise. All ranges are drawn
in turn: the first rows are fair, and a larger CHECK begins with the same rows.

Two choices would flatter: detections that a user chose, so they are drawn; a threshold
with the best estimate, so it is chosen by the lower end of its interval.
"""

import io
import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import soundfile
from numpy.typing import NDArray

from featurestack.commandline.errors import (
    RequestError,
    make_command,
    quoted,
    shortened,
)
from featurestack.commandline.next_step import explained, without
from featurestack.commandline.options import option_words
from featurestack.commandline.quantities import counted, listed, percent
from featurestack.commandline.terminal import tell, text_table
from featurestack.features_cache.names import parse_set
from featurestack.pipeline import audio
from featurestack.predict.options import PredictOptions, same_words
from featurestack.results.config import digest
from featurestack.results.run_folder import RunFolder
from featurestack.scores.metrics import Floats
from featurestack.scores.significance import (
    CONFIDENCE,
    effective_recordings,
    recording_sums,
    wilson_ends,
)
from featurestack.sound_events.dataset import POWERS
from featurestack.sound_events.frames import STEP
from featurestack.sound_events.options import DetectionOptions
from featurestack.sound_events.scores import FEW
from featurestack.storage.csv_files import cell_number, read_csv
from featurestack.storage.files import hash_of
from featurestack.storage.own_files import NO_DATA, OwnFiles

if TYPE_CHECKING:
    from featurestack.predict.model import Model

FOLDER = "check"
TABLE = "check.csv"
PAGE = "index.html"
# before and after a detection in its sound: two of its lengths, within these seconds
CONTEXT = 0.4, 1.0
RANGES = 10  # most parts of the scores
PREDICTED = 0.7  # share of the ranges for detections above the thresholds
PICTURE = 120, 600  # pixels
LEAST_ANSWERS = 10  # fewer give no precision while rows of the check are open
CLEARLY_MORE = 1.1  # times the detections, for which other thresholds are proposed
DOWNLOADS = "~/Downloads"  # where a browser saves the answers
OF_CHECK = "CHECK", "CHECKED", "PROMISE"  # options that find no detections
YES = dict.fromkeys(("yes", "y", "1", "true"), 1.0)
YES |= dict.fromkeys(("no", "n", "0", "false"), 0.0)
ANSWERS = YES | dict.fromkeys(("unsure", "s", "u"), 0.0) | {"": np.nan}
CELLS: dict[
    str, Callable[[str], float | None]
] = {  # column -> the value of a cell, None of another
    **dict.fromkeys(("above", "detections", "highest"), cell_number),
    "predicted": YES.get,
    "correct": ANSWERS.get,
}
EXPECTED = {"predicted": "yes or no", "correct": "yes, no, unsure or nothing"}


# ---- detections to listen to


def draw(
    scores: Floats, predicted: NDArray[np.bool_], checks: int, rng: np.random.Generator
) -> tuple[NDArray[np.intp], Floats, NDArray[np.intp]]:
    """The places of `checks` scores in the order in which they are checked, and of each
    the lower end of its range, and the range's number of scores that are predicted, as
    it is, or not.
    """
    share = np.where(predicted, PREDICTED, 1 - PREDICTED)
    share /= np.bincount(predicted, minlength=2)[predicted.astype(int)]
    parts = np.arange(RANGES) / RANGES
    lowest = np.quantile(scores, parts, method="inverted_cdf", weights=share)
    steps = np.ceil(lowest / STEP - 1e-6) - 1  # below the lowest score
    ends = np.unique(steps * STEP).round(3)
    own = 2 * (np.searchsorted(ends, scores) - 1) + predicted
    order = rng.permutation(len(scores))
    turn = pd.Series(order).groupby(own[order]).cumcount().to_numpy()
    drawn = order[np.lexsort((rng.random(len(scores)), turn))][:checks]
    if len({*own}) > checks:  # some parts have no check: one range
        ends, own = ends[:1], predicted.astype(int)
    return drawn, ends[own[drawn] // 2], np.bincount(own)[own[drawn]]


def draw_table(detections: pd.DataFrame, checks: int) -> pd.DataFrame:
    """Drawn rows of detections, of which some are `predicted`, with columns of
    check.csv.
    """
    scores, predicted = (detections[name].to_numpy() for name in ("score", "predicted"))
    rng = np.random.default_rng(0)
    drawn, above, numbers = draw(scores.astype(float), predicted, checks, rng)
    highest = detections.groupby("label")["score"].transform("max")
    words = detections["predicted"].map({True: "yes", False: "no"})
    table = detections.assign(predicted=words, highest=highest).iloc[drawn]
    table = table.assign(above=above, detections=numbers).round(4)
    return table.rename(columns={"file": "recording"})


def sound_and_card(
    row: Any, file: Path, seconds: float, model: "Model"
) -> tuple[bytes, dict[str, object]]:
    """The WAV around a drawn detection, and what the page shows of it; its recording
    lasts so many seconds.
    """
    from scipy.signal import spectrogram

    from featurestack.analysis.clips import as_image

    rate = model.sample_rate
    around = np.clip(2 * (row.end - row.start), *CONTEXT)
    begin, until = max(0.0, row.start - around), min(row.end + around, seconds)
    place = rate, round((until - begin) * rate), (begin, until), model.audio_channel
    y = audio.load_clip(file, *place)
    sound = io.BytesIO()
    soundfile.write(sound, y, rate, format="WAV")
    length = min(len(y), 2 ** round(np.log2(rate / 50)))  # about 20 ms
    _, _, power = spectrogram(y, nperseg=length, noverlap=length * 7 // 8)
    picture = as_image(10 * np.log10(power + 1e-12), PICTURE)
    # the browser knows a sound by this in every check
    key = digest([hash_of(sound.getvalue()), row.recording, row.label, row.start])
    about = {"picture": picture, "begin": begin, "until": until, "key": key}
    return sound.getvalue(), row._asdict() | about


def own_folder(out: Path) -> OwnFiles:
    """The folder `check` in OUT, or check-2 … if the user has changed it."""
    own, number = OwnFiles(out / FOLDER, NO_DATA), 1
    while not (own.is_own(TABLE) and own.is_own(PAGE)):
        number += 1
        own = OwnFiles(out / f"{FOLDER}-{number}", NO_DATA)
    return own


def checks_in(out: Path) -> list[Path]:
    """The tables of the checks below OUT."""
    return sorted(out.glob(f"{FOLDER}*/{TABLE}"))


def write_check(
    detections: pd.DataFrame,
    files: Mapping[str, Path],
    seconds: Mapping[str, float],
    model: "Model",
    options: PredictOptions,
    out: Path,
) -> None:
    """Draw CHECK detections and write the `own_folder` of OUT, with the answers of
    earlier checks and of CHECKED; seconds: how long each recording lasts.
    """
    from featurestack.analysis.page import render

    table = draw_table(detections, options.check)
    content: dict[str, str | bytes] = {}
    cards: list[dict[str, object]] = []
    for number, row in enumerate(table.itertuples(), 1):
        name = row.recording
        sound, card = sound_and_card(row, files[name], seconds[name], model)
        stem = f"{row.label} {Path(name).stem}".replace("/", "-")
        wav = f"{number:03} {stem}@{row.start:.4g}.wav"
        content[wav] = sound
        cards.append(card | {"sound": wav})
    own = own_folder(out)
    page = own.folder / PAGE
    words = without(same_words(options, model.run), *OF_CHECK)
    found_by = {"command": " ".join(map(quoted, words)), "page": str(page)}
    table.insert(0, "sound", [*content])
    table = table.assign(**found_by, correct="")
    given = former_answers(out, table, options.checked)
    folder = Path(os.path.abspath(out)).name  # noqa: PTH100 a link keeps its own name
    stem = re.sub(r"[^\w.]+", "-", folder).strip("-.")
    name = f"{stem}-{len(table)}-answers.csv"
    promise = option_words(options, ["promise"])
    command = make_command("predict", f"CHECKED={DOWNLOADS}/{name}", *promise)
    text = table.to_csv(index=False, lineterminator="\n")
    values = {"text": text, "given": given, "stem": stem, "command": command}
    khz = model.sample_rate / 2000
    content[PAGE] = render("check.html", cards=cards, khz=khz, **values)
    answered = table.assign(correct=given)
    content[TABLE] = answered.to_csv(index=False, lineterminator="\n")
    own.write(content)
    own.remove_others()
    found = int((table["predicted"] == "yes").sum())
    below = f", {len(table) - found} below the thresholds" * (found < len(table))
    tell(
        f"{page}: {counted(len(table), 'sound')} to listen to,"
        f" {counted(found, 'detection')}{below}; the browser saves the answers in its"
        f" folder of downloads, as {name}; or write yes, no or unsure into the column"
        f" correct of {own.folder / TABLE}"
    )
    if any(given):
        tell(f"{len(given) - given.count('')} of your {len(given)} are answered")
    if own.folder.name != FOLDER:
        tell(f"{out / FOLDER} has your own answers and is kept")
        command = make_command("predict", f"CHECKED={own.folder / TABLE}", *promise)
    print(f"next: {command}")


def former_answers(out: Path, table: pd.DataFrame, checked: Path | None) -> list[str]:
    """The answer to each row of a table: from `checked`, else from an earlier check
    below `out`, else ''.
    """
    former: dict[tuple[object, ...], str] = {}
    if checked:
        read_checked(checked)  # refuses a wrong table
    for file in [*checks_in(out), *filter(None, [checked])]:
        with suppress(RequestError):  # a user's own file
            known = read_csv(file, ["recording", "label", "start", "correct"])
            known = known[known["correct"] != ""]
            starts = known["start"].map(cell_number)
            places = zip(known["recording"], known["label"], starts)
            former |= dict(zip(places, known["correct"]))
    places = zip(table["recording"], table["label"], table["start"])
    return [former.get(place, "") for place in places]


# ---- what the answers say about all detections


def read_checked(file: Path) -> pd.DataFrame:
    """recording, label, command, page and CELLS of a table of answers; weight: how many
    detections an answer stands for, infinity if there is none where a check was drawn.
    """
    if not file.exists():
        raise RequestError(
            f"{file} does not exist: save the table on the page of the check, or give"
            f" the path of the {TABLE} beside the page"
        )
    table = read_csv(file, ["recording", "label", *CELLS])
    made = {name: table.get(name, "") for name in ("command", "page")}
    checks = table[["recording", "label"]].assign(**made)
    for column, value in CELLS.items():
        cells = [value(cell.strip().lower()) for cell in table[column]]
        if None in cells:
            line = table.index[cells.index(None)]
            raise RequestError(
                f"{file}, line {line}, column {column}:"
                f" {shortened(table[column][line])!r}; expected"
                f" {EXPECTED.get(column, 'a number')}"
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
    if len(answered) < min(LEAST_ANSWERS, len(checks)):
        number = f"{len(answered)} of your {len(checks)} are answered"
        print(f"{number}: too few for a precision")
        print(f"next: {other_answers(checks, file)}")
        return 0
    rows = precision_above(checks)
    if rows.empty:
        top = checks[checks["above"] == checks["above"].max()]
        lacking = [f"{line - 1:03d}" for line in top.index[top["correct"].isna()]]
        raise RequestError(
            f"{file} has {counted(len(answered), 'answer')}, and none of the highest"
            f" scores: write yes or no into correct of {listed(lacking)} first"
        )
    predicted = answered[answered["predicted"] == 1]
    candidates = answered.drop(predicted.index)
    for own, noun, where in (
        (predicted, "detection", ""),
        (candidates, "candidate", " below the thresholds"),
    ):
        if len(own):
            right, recordings = int(own["correct"].sum()), own["recording"].nunique()
            print(
                f"{counted(len(own), noun)}{where} checked in"
                f" {counted(recordings, 'recording')}: {right:,} right,"
                f" {len(own) - right:,} wrong"
            )
    recordings = answered["recording"].nunique()
    if recordings == 1:
        print("one recording: the intervals are only for its detections")
    elif recordings < FEW:
        print(
            f"intervals from {recordings} recordings are wide: more recordings help"
            " more than more checks"
        )
    shown = {f"{row['above']:.3f}": row for row in rows.to_dict("records")}
    if len(predicted) and np.isfinite(checks["weight"]).all():
        first = {"above": np.nan, **precision(predicted)}  # each class's own threshold
        weighted, share = first["precision"], predicted["correct"].mean()
        if abs(weighted - share) >= 0.02:
            print(
                f"precision is {weighted:.3f}, not {share:.3f}: checks are drawn by"
                " range of scores, and each stands for the detections of its range"
            )
        rows = pd.concat([pd.DataFrame([first]), rows], ignore_index=True)
        of_class = {
            f"{name}, as predicted": precision(own)
            | {
                "detections": np.nan,
                "recordings": own["recording"].nunique(),
                "right": own["correct"].sum(),
            }
            for name, own in predicted.groupby("label")
        }
        shown = {"as predicted": first, **shown, **of_class}
    table = []
    for name, row in shown.items():
        number = f"{row['detections']:,.0f}".replace("nan", "-")
        interval = "{precision:.3f} ({low:.3f} to {high:.3f})".format(**row)
        if row["checks"] == 1:
            interval = f"{row['precision']:.0f} of 1"
        elif row.get("recordings", FEW) < FEW:
            where = counted(row["recordings"], "recording")
            interval = f"{row['right']:.0f} of {row['checks']:,}, in {where}"
        table.append([name, number, f"{row['checks']:,}", interval])
    heads = ["score above", "detections", "checks", "precision (95 % interval)"]
    print(text_table(table, heads))
    for sentence in sentences(rows, promise, checks, file):
        print(sentence)
    return 0


def words_of(checks: pd.DataFrame) -> list[str]:
    """The words of `predict` that found the checked detections."""
    with suppress(ValueError):  # a user changed them
        if words := shlex.split(checks["command"].iloc[0]):
            return words
    return ["AUDIO=FILE"]


def training_command(words: list[str]) -> str:
    """The command that trains the run that found detections again, with the recordings
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


def other_answers(checks: pd.DataFrame, file: Path) -> str:
    """What to do about the rows without an answer."""
    left = f"answer the other {checks['correct'].isna().sum():,}"
    if file.name == TABLE:  # the page does not know answers by hand
        return f"{left} in {file}, then type the same command"
    page = checks["page"].iloc[0] or f"the page of the {FOLDER}"
    return f"{left} on {page}, then type the command that it shows"


def where_results_are(checks: pd.DataFrame, words: list[str], number: int) -> str:
    """A sentence on the tables in the folder of a check of this number of detections,
    which may be those of other thresholds, or older than corrections.
    """
    folder = Path(checks["page"].iloc[0]).parent.parent
    detections, counts = folder / "detections.csv", folder / "counts.csv"
    found = len(read_csv(detections, ["file"])) if detections.is_file() else number
    again = make_command("predict", *words)
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


def sentences(
    rows: pd.DataFrame, promise: float, checks: pd.DataFrame, file: Path
) -> Iterator[str]:
    """Sentences about the rows of `precision_above` for the checks in a file. The first
    row may be that of the detections as predicted.
    """
    words, first, answers = words_of(checks), rows.iloc[0], checks["correct"].count()
    others = ["AUDIO=FILE", *without(words, "AUDIO", "OUT")]
    wanted = option_words(DetectionOptions(promise=promise), ["promise"])
    shares = first[["low", "precision", "high"]]
    low, right, high = shares * first["detections"]
    kept_already = np.isnan(first["above"]) and first["low"] >= promise
    if kept_already:
        least, share, most = map(percent, shares)
        yield (
            f"The thresholds of the check keep PROMISE={promise:g}: {share} %"
            f" ({least} to {most}) are right."
            f" {where_results_are(checks, words, round(first['detections']))}"
        )
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
            " annotations of this place, or with its sounds:"
        )
        yield f"next: {explained(training_command(words))}"
        return
    row = reached.sort_values(["total", "low"], ascending=[True, False]).iloc[0]
    if len(kept):
        row = kept.loc[kept["detections"].idxmax()]
        if kept_already and row["detections"] < CLEARLY_MORE * first["detections"]:
            yield f"next: {explained(make_command('predict', *others))}"
            return
    where, command = "", make_command("predict", *words)
    if np.isfinite(row["above"]):
        threshold = f"THRESHOLD={row['above']:.3f}"
        command = make_command("predict", *without(words, "THRESHOLD"), threshold)
        where = f"{threshold}, one for all classes,"
    highest, but = checks.groupby("label")["highest"].max(), ""
    if lost := [*highest.index[highest <= row["above"]]]:
        number = f"of {len(lost)} of {counted(len(highest), 'class')}"
        but = f", but no detection {number} is above it: {listed(lost)}"
    if len(kept):
        number = counted(round(row["detections"]), "detection")
        yield f"{where} keeps a precision of at least {promised} with {number}{but}"
    else:
        useful = where and answers >= LEAST_ANSWERS
        nearest = f"; {where} comes nearest{but}" if useful else ""
        number = counted(answers, "check")
        yield f"{number}: too few to promise {promised}{nearest}"
        whole = checks.drop_duplicates(["above", "predicted"])["detections"].sum()
        few = checks.dropna(subset="correct")["recording"].nunique() < FEW
        enough = row["total"] <= whole
        larger = f"CHECK={row['total'] if enough else min(2 * answers, whole):.0f}"
        command = make_command("predict", *words, f"CHECKED={file}", larger, *wanted)
        if answers < len(checks):
            command = other_answers(checks, file)
        elif few:  # as the line on the intervals says
            command = make_command("predict", *others, "CHECK=100", *wanted)
        elif enough:
            more = f"about {row['total'] - answers:,.0f} more may be enough"
            yield f"{more}: {larger} begins with the same rows and their answers"
        elif np.isfinite(row["total"]) or answers >= whole:
            yield (
                f"the promise is for future recordings like these, and checking all"
                f" {whole:,.0f} is not enough: predict more recordings"
            )
            command = make_command("predict", *others, "CHECK=100", *wanted)
    yield f"next: {explained(command)}"
