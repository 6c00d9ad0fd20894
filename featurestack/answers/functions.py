"""`fs.answer(...)`."""

from typing import TYPE_CHECKING

from featurestack.answers.options import AnswerOptions
from featurestack.interface import takes

if TYPE_CHECKING:
    from featurestack.answers.answer import Answer


@takes(AnswerOptions, "dataset", "data")
def answer(options: AnswerOptions) -> "Answer":
    """`make answer`: from a folder of sounds to the report. Everything that is finished
    is kept: the same call resumes.

    `.score` is that of the procedure: each fold tested by the set in `.chosen`, which
    was chosen without this fold. `.recommended` is the set for later use and `.run` its
    run, `.alone` each feature's own score, `.page` the HTML file, `.headline` its
    finding in one sentence.

        found = fs.answer("my sounds")
        found.score.mean, found.recommended
    """
    from featurestack.answers.answer import find_answer

    return find_answer(options)
