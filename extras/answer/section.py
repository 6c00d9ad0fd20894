"""The section of the report on a choice of features, and its sentences on the first
screen.

What it takes is imported if `make answer` has chosen features.
"""

import pandas as pd

from featurestack.analysis.sections import PageInputs, Section
from featurestack.results.bootstrap import CHOICE_WIDTH


def answer(page: PageInputs) -> Section | None:
    """How often each feature was chosen, its score alone, and what is lost without it;
    None if `make answer` has chosen nothing.
    """
    choices = [run for run in page.found.runs if run.choice]
    if not choices:
        return None
    from featurestack.extras.answer import sentences
    from featurestack.extras.answer.chosen_run import FEATURES

    (run,) = choices
    (folder,) = run.folders
    config = sentences.choice_of(folder)
    table = pd.read_csv(folder.path / FEATURES)
    leads = {
        "What was chosen?": f"{sentences.as_sentence(sentences.chosen(config))}"
        f" {sentences.as_sentence(sentences.recommended(config))}",
    }
    if page.cache:
        leads["What next?"] = sentences.surer(config, page.cache)
    return Section(
        "answer",
        "Choice",
        tables={"chosen_features": table},
        values={"choice": config, "width": CHOICE_WIDTH},
        leads=leads,
    )
