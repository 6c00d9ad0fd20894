"""`fs.answer(...)`."""

from typing import TYPE_CHECKING

from featurestack.extras.answer.answer import AnswerOptions
from featurestack.interface import takes

if TYPE_CHECKING:
    from featurestack.analysis.report_inputs import Built


@takes(AnswerOptions, "dataset", "data")
def answer(options: AnswerOptions) -> "Built":
    """`make answer`: from a folder of sounds to the report. Everything that is finished
    is kept: a repeated call goes on.

    `.page` is the HTML file, `.headline` its finding in one sentence.

        fs.answer("my sounds", minutes=10).headline
    """
    from featurestack.extras.answer.answer import find_answer

    return find_answer(options).built
