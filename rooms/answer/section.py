"""The section of the report on a choice of features, and its sentences on the first
screen.
"""

import json
from pathlib import Path

import pandas as pd

from featurestack.analysis.runs import Problem, Run
from featurestack.analysis.sections import PageInputs, Section
from featurestack.commandline.errors import RequestError
from featurestack.commandline.spelling import make_command
from featurestack.features_cache import Cache
from featurestack.results.bootstrap import CHOICE_WIDTH
from featurestack.results.run_folder import damage_named
from featurestack.rooms.answer import sentences
from featurestack.rooms.answer.chosen_run import (
    FEATURE_COLUMNS,
    FEATURES,
    FOLDER,
    UNFINISHED,
)


def answer(page: PageInputs) -> Section:
    """The steps that MINUTES left out; how often each feature was chosen, its score
    alone, and the loss without it. Damaged files are named.
    """
    folder = page.options.runs / page.dataset / FOLDER
    choices = [run for run in page.found.runs if run.choice]
    problems: list[Problem] = []
    leads: dict[str, str] = {}
    proposal = None
    if (folder / UNFINISHED).is_file():
        try:
            steps, words = read_unfinished(folder / UNFINISHED)
            leads["What is left out?"] = sentences.left_out(
                steps, scored=bool(choices), trained=bool(page.found.runs)
            )
            proposal = make_command("answer", *words), "it goes on"
        except (RequestError, OSError) as damage:
            leads["What is left out?"] = f"This is not known: {damage}."
            problems.append(Problem("answer", str(damage), "damaged"))
    tables: dict[str, pd.DataFrame] = {}
    values: dict[str, object] = {}
    if choices:
        run, *_ = choices  # runs of two folders may be given
        leads |= lead_of_choice(run, page.cache)
        try:
            features = read_features(run.folders[0].path / FEATURES)
            leads["Which alone?"] = sentences.alone(features, page.found.score)
            tables["chosen_features"] = features
            values = {"choice": run.choice, "width": CHOICE_WIDTH}
        except (RequestError, OSError) as damage:
            problems.append(Problem(run.name, str(damage), "damaged"))
    return Section(
        "answer" if tables else "",
        "Choice",
        tables=tables,
        values=values,
        problems=problems,
        leads=leads,
        proposal=proposal,
    )


def lead_of_choice(run: Run, cache: Cache | None) -> dict[str, str]:
    """The sentences on a choice, by heading."""
    config = sentences.choice_of(run.folders[0])
    # the heading says "chosen" already
    chosen = f"{sentences.chosen(config).removeprefix('chosen: ')}."
    recommended = sentences.as_sentence(sentences.recommended(config))
    leads = {"What was chosen?": f"{chosen} {recommended}"}
    if cache:
        leads["What next?"] = sentences.surer(config.candidates, cache)
    return leads


def read_unfinished(file: Path) -> tuple[list[str], list[str]]:
    """The steps that MINUTES left out, and the words of the command that goes on."""
    with damage_named(file, f"repeat {make_command('answer')}"):
        noted = json.loads(file.read_text("utf-8"))
        if not isinstance(noted, dict):
            raise ValueError("it holds no names")
        steps, words = noted["left_out"], noted["command"]
        if not (isinstance(steps, list) and isinstance(words, list)):
            raise ValueError("it holds no lists")
        return [*map(str, steps)], [*map(str, words)]


def read_features(file: Path) -> pd.DataFrame:
    """The table of features, see `FEATURE_COLUMNS`."""
    with damage_named(file, f"repeat {make_command('answer')}"):
        table = pd.read_csv(file)[list(FEATURE_COLUMNS)]
        name, *numbers = FEATURE_COLUMNS
        return table.astype({name: str, **dict.fromkeys(numbers, float)})
