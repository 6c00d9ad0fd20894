"""`predict CHECK=100`: detections to listen to, and the table of their answers.

The folder `check` in OUT has sounds, index.html, which plays them and saves answers,
and check.csv, with columns of its own: predicted, whether a detection is above its
class's threshold; highest, the highest score of its class; above, the lower end of its
range of scores; detections, how many of the range are predicted, or not, like it;
command, the words of `predict` that find these detections; page, the path of
index.html. Detections below the thresholds are drawn too, since a lower threshold may
keep the promise. All ranges are drawn from in turn, so that the first rows are fair and
a larger CHECK begins with the same rows.

Detections chosen by a user would flatter the model, so they are drawn at random.
"""

import io
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import soundfile
from numpy.typing import NDArray

from featurestack.base.csv_files import cell_number, read_csv
from featurestack.base.errors import RequestError, make_command, quoted, shortened
from featurestack.base.files import hash_of
from featurestack.base.json_content import digest
from featurestack.base.next_step import without
from featurestack.base.options import option_words
from featurestack.base.own_files import NO_DATA, OwnFiles
from featurestack.base.quantities import counted, is_or_are
from featurestack.base.terminal import tell
from featurestack.compare.metrics import Floats
from featurestack.extras.recordings.frames import STEP
from featurestack.pipeline import audio
from featurestack.predict.options import PredictOptions, same_words

if TYPE_CHECKING:
    from featurestack.predict.model import Model

FOLDER = "check"
TABLE = "check.csv"
PAGE = "index.html"
# seconds before and after a detection in its sound: twice its length within this range
CONTEXT = 0.4, 1.0
RANGES = 10  # most parts of the scores
PREDICTED = 0.7  # share of the ranges for detections above the thresholds
PICTURE = 120, 600  # pixels
DOWNLOADS = "~/Downloads"  # where a browser saves the answers
OF_CHECK = "CHECK", "CHECKED", "PROMISE"  # options that find no detections
YES = dict.fromkeys(("yes", "y", "1", "true"), 1.0)
YES |= dict.fromkeys(("no", "n", "0", "false"), 0.0)
ANSWERS = YES | dict.fromkeys(("unsure", "s", "u"), 0.0) | {"": np.nan}
CELLS: dict[
    str, Callable[[str], float | None]
] = {  # column -> what reads a cell, None for a wrong cell
    **dict.fromkeys(("above", "detections", "highest"), cell_number),
    "predicted": YES.get,
    "correct": ANSWERS.get,
}
EXPECTED = {"predicted": "yes or no", "correct": "yes, no, unsure or nothing"}


def draw(
    scores: Floats, predicted: NDArray[np.bool_], checks: int, rng: np.random.Generator
) -> tuple[NDArray[np.intp], Floats, NDArray[np.intp]]:
    """The places of `checks` scores in the order in which they are checked; for each,
    the lower end of its range and how many scores of the range are predicted, or not,
    like it.
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
    """The WAV around a drawn detection, and what the page shows of it; `seconds` is the
    length of its recording.
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
    earlier checks and of CHECKED; `seconds` has the length of each recording.
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
    given, known = former_answers(out, table, options.checked)
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
        f" downloads folder as {name}; or write yes, no or unsure into the column"
        f" correct of {own.folder / TABLE}"
    )
    if known:
        answered = len(given) - given.count("")
        left = known - answered
        others = f"; {counted(left, 'earlier answer')} {is_or_are(left)} about others"
        tell(f"{answered} of your {len(given)} are answered{others * (left > 0)}")
    if own.folder.name != FOLDER:
        tell(f"{out / FOLDER} has your own answers and is kept")
        command = make_command("predict", f"CHECKED={own.folder / TABLE}", *promise)
    print(f"next: {command}")


def former_answers(
    out: Path, table: pd.DataFrame, checked: Path | None
) -> tuple[list[str], int]:
    """The answer to each row of a table: from `checked`, else from an earlier check
    below `out`, else ''; and how many answers these have.
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
    return [former.get(place, "") for place in places], len(former)


def read_checked(file: Path) -> pd.DataFrame:
    """recording, label, command, page and CELLS of a table of answers, and weight, the
    number of detections that an answer stands for, infinity if its range has no answer.
    """
    if not file.exists():
        raise RequestError(
            f"{file} does not exist: save the table on the page of the check, or give"
            f" the path of the {TABLE} next to the page"
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
