"""The report's section on a choice of features, its chart and its sentences."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from featurestack.analysis.findings import Findings
from featurestack.analysis.first_screen import axis_of
from featurestack.analysis.runs import Problem
from featurestack.analysis.sections import PageInputs, Section
from featurestack.commandline.errors import RequestError
from featurestack.commandline.options import option_words
from featurestack.commandline.spelling import make_command
from featurestack.results.bootstrap import CHOICE_WIDTH
from featurestack.results.config import ChoiceConfig
from featurestack.results.next_step import DIFFERENT
from featurestack.results.run_folder import damage_named
from featurestack.rooms.answer import sentences

CANDIDATES = "features.csv"
# score alone by `linear`, folds that chose it, points lost without it there by
# `linear`, what it is
NUMBERS = ("alone", "folds", "lost", "lost_low", "lost_high")
FEATURE_COLUMNS = ("feature", *NUMBERS, "about")
CHARTED = 10  # features alone in the chart
TEXTS = {"feature": str, "about": str}  # columns of the table of features


def answer(page: PageInputs) -> Section:
    """Each feature's choices, its score alone, and the loss without it."""
    run = next((run for run in page.found.runs if run.choice), None)
    config = run.choice if run else None
    proposal = grouped(page, config)
    if run is None or config is None:
        return Section("", "Choice", proposal=proposal)
    chance = page.found.state == "chance"
    problems: list[Problem] = []
    tables: dict[str, pd.DataFrame] = {}
    values: dict[str, object] = {}
    # the heading says "chosen" already
    chosen = sentences.chosen(config).removeprefix("chosen: ")
    recommended = sentences.as_sentence(sentences.recommended(config, chance=chance))
    leads = {"What was chosen?": f"{chosen}. {recommended}"}
    if page.cache:
        leads["What next?"] = sentences.surer(config.candidates, page.cache)
    try:
        features = read_features(run.folders[0].path / CANDIDATES)
        leads["Which alone?"] = sentences.alone(features, page.found.score)
        tables["chosen_features"] = features
        values = {"choice": config, "width": CHOICE_WIDTH, "chance": chance}
        if run is page.found.runs[0]:
            values |= chart(page.found, features)
    except (RequestError, OSError) as damage:
        problems.append(Problem(run.name, str(damage), "damaged"))
    if proposal is None and chance:
        proposal = other_features(config)
    return Section(
        "answer" if tables else "",
        "Choice",
        tables=tables,
        values=values,
        problems=problems,
        leads=leads,
        proposal=proposal,
    )


def grouped(page: PageInputs, config: ChoiceConfig | None) -> tuple[str, str] | None:
    """The same question, grouped by a field of the names if that lowers the score."""
    words = [
        threat.names[1:]
        for threat in page.found.threats
        if threat.kind == "price" and len(threat.names) > 1
    ]
    if not words:
        return None
    given = config.words if config else option_words(page.options, ("dataset", "data"))
    command = make_command("answer", *given, *words[0], "RETRAIN=1")
    return command, "tests on speakers, sites or devices that were not trained on"


def other_features(config: ChoiceConfig) -> tuple[str, str]:
    """The next thing to try if nothing is better than chance."""
    given = [word for word in config.words if not word.startswith("FEATURES=")]
    if {*DIFFERENT} <= {*config.candidates}:
        return make_command("pipeline list"), "lists pretrained networks to try"
    return make_command("answer", *given), "tries other features"


def chart(found: Findings, features: pd.DataFrame) -> Mapping[str, object]:
    """The first screen's chart: the choice, and the first features alone."""
    unknown = dict.fromkeys(("accuracy_low", "accuracy_high", "accuracy_sd"), np.nan)
    best = features.nlargest(CHARTED, "alone")
    rows = [{**row, "name": row["features"]} for row in found.rows[:1]]
    rows += [
        {"run": "answer", "verdict": "alone", "reason": ""}
        | {"name": f"{row.feature} alone", "accuracy": row.alone, **unknown}
        for row in best.itertuples()
    ]
    rows.sort(key=lambda row: -row["accuracy"])
    return {"panels": {"": rows}, "ticks": axis_of(rows, found.chance)}


def read_features(file: Path) -> pd.DataFrame:
    """The table of features, see `FEATURE_COLUMNS`."""
    with damage_named(file, f"repeat {make_command('answer')}"):
        table = pd.read_csv(file, dtype=TEXTS)[list(FEATURE_COLUMNS)]
        return table.fillna({"about": ""}).astype(dict.fromkeys(NUMBERS, float))
