"""Run folders of made-up predictions, for benchmarks and for a look at a report of many.

python -m bench.made_runs --runs made --count 6
"""

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from commandline.commands import main
from commandline.options import Options, option
from tests.analysis.made_runs import MadeRun, made_clips, make_run


def made_up_runs(count: int) -> list[MadeRun]:
    """`count` runs over plausible feature sets, skill falling from 0.85 to 0.5."""
    words = ("mel", "mfcc", "chroma", "pcen", "cqt", "contrast", "tonnetz", "rms", "zcr", "onset")
    pairs = ("+".join(pair) for pair in combinations(words, 2))
    sets = ["mel+mfcc+chroma", *words, *pairs][:count]
    return [
        MadeRun(features=features, skill=0.85 - 0.35 * place / count) for place, features in enumerate(sets)
    ]


@dataclass(frozen=True, kw_only=True)
class MadeRunsOptions(Options):
    """Write made-up run folders, to try the analysis without training anything."""

    runs: Path = option(Path("runs"), "The folder to write them in, below <dataset>/.")
    dataset: str = option("made", "What the dataset is called.")
    count: int = option(6, "How many runs, 30 at most.")
    clips: int = option(2000, "Test clips over all folds.")
    classes: int = option(50, "Classes.")
    folds: int = option(5, "Folds.")


def made_runs(options: MadeRunsOptions) -> None:
    """Write made-up run folders whose skill is known."""
    clips = made_clips(options.clips, options.classes, options.folds)
    for made in made_up_runs(options.count):
        print(make_run(options.runs, clips, made, options.dataset))


if __name__ == "__main__":
    main([made_runs])
