"""Do intervals of `predict CHECKED=` hold the true precision? `python -m bench.checks`.

Each study is made: scores, whether a detection is right (its odds rise with the score,
and recordings differ by a standard deviation of 0 or 1 in log-odds), and a number of
checks drawn as CHECK= draws them. An interval for these detections should hold their
precision above a threshold in 95 %, one for other recordings the precision in a
thousand others.
"""

import numpy as np
import pandas as pd
from scipy.special import expit

from featurestack.commandline.commands import main
from featurestack.commandline.options import Options, option
from featurestack.rooms.events.check import draw, fit_precision, precision_above

THRESHOLDS = (0.3, 0.7)
RECORDINGS = ((12, 100), (60, 30), (300, 10))  # number, detections in each
OTHERS = 4000


class ChecksOptions(Options):
    """Studies to make."""

    studies: int = option(200, "studies of each kind", least=20)


def study(
    rng: np.random.Generator, recordings: int, detections: int, deviation: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Recording, score and right or wrong of each detection."""
    number = rng.poisson(detections * rng.gamma(2, 0.5, recordings))
    recording = np.repeat(np.arange(recordings), number)
    odds = rng.normal(-0.3, 1.6, len(recording))
    site = rng.normal(0, deviation, recordings)[recording]
    right = rng.random(len(odds)) < expit(0.5 + 1.3 * odds + site)
    return recording, expit(odds), right


def measure(options: ChecksOptions) -> pd.DataFrame:
    """A row for each kind of study: how often intervals hold the truth, in percent."""
    rows = []
    for deviation in (0.0, 1.0):
        _, other, is_right = study(np.random.default_rng(1), OTHERS, 10, deviation)
        for recordings, detections in RECORDINGS:
            for checks in (100, 200):
                rng = np.random.default_rng([recordings, int(deviation), checks])
                here, elsewhere, widths = [], [], []
                for _ in range(options.studies):
                    recording, score, right = study(
                        rng, recordings, detections, deviation
                    )
                    drawn = draw(score, checks, rng)
                    given = score[drawn], right[drawn], recording[drawn]
                    table = precision_above(
                        fit_precision(*given), score, np.array(THRESHOLDS)
                    )
                    for row in table.itertuples():
                        now = right[score > row.threshold].mean()
                        then = is_right[other > row.threshold].mean()
                        here.append(row.low <= now <= row.high)
                        elsewhere.append(
                            row.elsewhere_low <= then <= row.elsewhere_high
                        )
                        widths.append(row.high - row.low)
                name = f"{checks} checks, {recordings} recordings"
                rows.append(
                    {
                        "study": f"{name}, effect {deviation:g}",
                        "here": 100 * np.mean(here),
                        "elsewhere": 100 * np.mean(elsewhere),
                        "width": 100 * np.mean(widths),
                    }
                )
    return pd.DataFrame(rows)


def checks(options: ChecksOptions) -> int:
    """Print a row for each kind of study; returns 0."""
    print(measure(options).round(1).to_string(index=False))
    return 0


if __name__ == "__main__":
    main([checks])
