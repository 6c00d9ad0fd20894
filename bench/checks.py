"""Do intervals of `predict CHECKED=` hold the true precision? `python -m bench.checks`.

Each study is made: scores, whether a detection is right, and checks that are drawn as
CHECK= draws them. The chance that a detection is right rises with its score along a
straight line in log-odds; or it levels off, as where something sounds alike and is
predicted as the label at every score; or nearly all are right. Recordings differ by a
standard deviation of 0 or 1 in log-odds.

An interval should hold the precision above its threshold in 95 %: `here` of all
detections of the study, `elsewhere` of those in thousands of other recordings. A
promise of 90 % is kept if the detections above the proposed threshold have it
elsewhere.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.special import expit

from featurestack.commandline.commands import script
from featurestack.commandline.options import Options, option
from featurestack.rooms.events.check import draw, precision_above

RECORDINGS = ((8, 100), (30, 30), (100, 10))  # number, detections in each
OTHERS = 4000
PROMISE = 0.9
# name -> chance of a right detection by log-odds of its score and the recording's own
KINDS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "straight": lambda odds, site: expit(0.5 + 1.3 * odds + site),
    "levels off at 0.85": lambda odds, site: (
        expit(1 + 2 * odds) * expit(np.log(0.85 / 0.15) + site)
    ),
    "nearly all right": lambda odds, site: expit(3.5 + odds + site),
}


class ChecksOptions(Options):
    """Studies to make."""

    studies: int = option(200, "studies of each kind", least=20)


def study(
    rng: np.random.Generator, kind: str, recordings: int, each: int, deviation: float
) -> pd.DataFrame:
    """Recording, score and right (1 or 0) of each detection."""
    number = rng.poisson(each * rng.gamma(2, 0.5, recordings))
    recording = np.repeat(np.arange(recordings), number)
    odds = rng.normal(1, 1.6, len(recording))
    site = rng.normal(0, deviation, recordings)[recording]
    right = rng.random(len(odds)) < KINDS[kind](odds, site)
    return pd.DataFrame({"recording": recording, "score": expit(odds), "right": right})


def outcomes(
    table: pd.DataFrame, other: pd.DataFrame, checks: int, rng: np.random.Generator
) -> dict[str, list[float]]:
    """Whether each interval of a study holds the truth, and each promise is kept."""
    drawn, above, numbers = draw(table["score"].to_numpy(), checks, rng)
    given = table.iloc[drawn].assign(above=above, detections=numbers)
    given["right"] = table["right"].to_numpy(float)[drawn]
    found: dict[str, list[float]] = {"here": [], "elsewhere": [], "kept": []}
    for row in precision_above(given).itertuples():
        for name, whole in (("here", table), ("elsewhere", other)):
            true = whole.loc[whole["score"] > row.above, "right"].mean()
            found[name].append(row.low <= true <= row.high)
        if row.low >= PROMISE and not found["kept"]:
            found["kept"].append(true >= PROMISE)
    return found


def measure(options: ChecksOptions) -> pd.DataFrame:
    """A row for each kind of study, in percent of intervals and of studies."""
    rows = []
    for kind in KINDS:
        for deviation in (0.0, 1.0):
            first = np.random.default_rng(1)
            other = study(first, kind, OTHERS, 10, deviation)
            for recordings, each in RECORDINGS:
                rng = np.random.default_rng([recordings, int(deviation)])
                found: dict[str, list[float]] = {}
                for _ in range(options.studies):
                    table = study(rng, kind, recordings, each, deviation)
                    for name, values in outcomes(table, other, 100, rng).items():
                        found.setdefault(name, []).extend(values)
                name = f"{kind}, {recordings} recordings, effect {deviation:g}"
                kept = found["kept"]
                rows.append(
                    {
                        "study": name,
                        "here": 100 * np.mean(found["here"]),
                        "elsewhere": 100 * np.mean(found["elsewhere"]),
                        "promised": 100 * len(kept) / options.studies,
                        "broken": 100 * (len(kept) - sum(kept)) / options.studies,
                    }
                )
    return pd.DataFrame(rows)


def checks(options: ChecksOptions) -> int:
    """Print a row for each kind of study; returns 0."""
    print(measure(options).round(1).to_string(index=False))
    return 0


if __name__ == "__main__":
    script(checks)
