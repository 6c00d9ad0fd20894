"""`make answer` and `fs.answer(...)`, and their options."""

from typing import TYPE_CHECKING

from featurestack.interface import takes
from featurestack.rooms.answer.options import AnswerOptions

if TYPE_CHECKING:
    from featurestack.rooms.answer.answer import Answer


def make_answer(options: AnswerOptions) -> int:
    """From a folder of sounds to the report: check, every feature, runs, importance."""
    from featurestack.rooms.answer.answer import find_answer

    found = find_answer(options)
    print(found)
    return 0 if found.whole else 1


@takes(AnswerOptions, "dataset", "data")
def answer(options: AnswerOptions) -> "Answer":
    """`make answer`: from a folder of sounds to the report. Everything that is finished
    is kept: a repeated call goes on.

    `.score` is that of the procedure: each fold tested by the set in `.chosen`, which
    was chosen without this fold. `.recommended` is the set for later use and `.run` its
    run, `.alone` each feature's own score, `.page` the HTML file, `.headline` its
    finding in one sentence.

        found = fs.answer("my sounds")
        found.score.mean, found.recommended
    """
    from featurestack.rooms.answer.answer import find_answer

    return find_answer(options)
