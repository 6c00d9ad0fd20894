"""`fs.answer(...)`."""

from pathlib import Path
from typing import TYPE_CHECKING

from featurestack.answers.options import AnswerOptions
from featurestack.commandline.functions import command, options_from

if TYPE_CHECKING:
    from featurestack.answers.answer import Answer


@command
def answer(
    dataset: str = "",
    data: Path | str = "data",
    *,
    reports: Path | str = "reports",
    runs: Path | str = "runs",
    name: str = "",
    archive: str = "",
    audio_dir: str = "",
    group: str = "",
    label: str = "",
    sample_rate: int | None = None,
    duration: float | None = None,
    channel: int | None = None,
    seed: int = 0,
    features: str = "all",
    frame: float | None = None,
    jobs: int | None = None,
    task: str = "auto",
    yes: bool = False,
    quiet: bool = False,
) -> "Answer":
    """`make answer`: from a folder of sounds to the report. The same call resumes what
    was interrupted.

    Parameters
    ----------
    dataset : str
        A folder of sounds, a table, or a cache folder.
    data : path
        Folder of datasets.

    Other Parameters
    ----------------
    The options of `make answer`, explained by `featurestack help answer`.

    Returns
    -------
    Answer
        `.score` is that of the procedure: each fold is tested by the set in `.chosen`,
        which was chosen without this fold. `.recommended` is the set for later use and
        `.run` its run, `.alone` each feature's own score, `.page` the HTML file,
        `.headline` its finding in one sentence.

    Examples
    --------
    ::

        found = fs.answer("my sounds")
        found.score.mean, found.recommended
    """
    from featurestack.answers.answer import find_answer

    return find_answer(options_from(AnswerOptions, locals()))
