"""The section of the report on a choice of features, and its sentences on the first
screen.

What it takes is imported if `make answer` has chosen features.
"""

import json

import pandas as pd

from featurestack.analysis.runs import Problem
from featurestack.analysis.sections import PageInputs, Section
from featurestack.commandline.spelling import make_command
from featurestack.results.bootstrap import CHOICE_WIDTH


def answer(page: PageInputs) -> Section | None:
    """How often each feature was chosen, its score alone, and what is lost without it;
    before that, what MINUTES left out. None if `make answer` has done neither.
    """
    unfinished = page.options.runs / page.dataset / "answer" / "unfinished.json"
    choices = [run for run in page.found.runs if run.choice]
    if not choices and not unfinished.is_file():
        return None
    from featurestack.extras.answer import sentences
    from featurestack.extras.answer.chosen_run import FEATURES

    leads = {}
    problems = []
    proposal = None
    if unfinished.is_file():
        try:
            noted = json.loads(unfinished.read_text("utf-8"))
            text = sentences.left_out(noted["left_out"], choices)
            proposal = make_command("answer", *noted["command"]), "it goes on"
        except (OSError, ValueError, TypeError, LookupError, RecursionError):
            text = (
                f"This is not known: {unfinished} is damaged. A repeated"
                f" {make_command('answer')} writes it anew."
            )
            damage = f"{unfinished} is damaged: repeat {make_command('answer')}"
            problems.append(Problem("answer", damage, "damaged"))
        leads["What is left out?"] = text
    if not choices:
        return Section("", "", problems=problems, leads=leads, proposal=proposal)
    (run,) = choices
    (folder,) = run.folders
    config = sentences.choice_of(folder)
    table = pd.read_csv(folder.path / FEATURES)
    leads["What was chosen?"] = (
        f"{sentences.as_sentence(sentences.chosen(config))}"
        f" {sentences.as_sentence(sentences.recommended(config))}"
    )
    if page.cache:
        leads["What next?"] = sentences.surer(config, page.cache)
    return Section(
        "answer",
        "Choice",
        tables={"chosen_features": table},
        values={"choice": config, "width": CHOICE_WIDTH},
        problems=problems,
        leads=leads,
        proposal=proposal,
    )
