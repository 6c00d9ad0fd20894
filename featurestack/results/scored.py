"""Which features were scored one by one on the same clips.

The highest of many features has a lead that may be luck. The fits of ridge, which
`answer`, `importance` and `curve` share, are files of runs/<dataset>/fits whose names
say on which clips, for which task and of which feature set they are.
"""

from pathlib import Path
from urllib.parse import quote, unquote

FOLDER = "fits"
# bytes of a feature set in a file's name; the names of larger sets are cut
LONGEST = 100


def fits_file(runs: Path, clips: str, task: str, digest: str, features: str) -> Path:
    """The file of a set's fits.

    runs    the folder of the dataset's runs
    clips   digest of the clips' table
    digest  of the values and of all that the fits depend on
    """
    name = quote(features, safe="+@=,")[:LONGEST]
    return runs / FOLDER / f"{clips}-{task}-{digest}-{name}.npz"


def scored_features(runs: Path, clips: str, task: str) -> set[str]:
    """The features that were fitted by themselves on these clips for a task."""
    files = (runs / FOLDER).glob(f"{clips}-{task}-*.npz")
    sets = {unquote(file.stem.split("-", 3)[3]) for file in files}
    return {name for name in sets if name and "+" not in name}
