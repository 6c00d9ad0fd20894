"""The report's section on a choice of features, its chart and its sentences."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from featurestack.analysis.findings import Findings
from featurestack.analysis.first_screen import axis_of
from featurestack.analysis.report_warnings import SplitByClip
from featurestack.analysis.runs import Problem
from featurestack.analysis.sections import PageInputs, Section
from featurestack.commandline import rooms
from featurestack.commandline.errors import RequestError
from featurestack.commandline.options import option_words
from featurestack.commandline.quantities import counted, percent
from featurestack.commandline.spelling import make_command
from featurestack.features_cache import Cache
from featurestack.features_cache.table import originals
from featurestack.results.config import ChoiceConfig
from featurestack.results.next_step import DIFFERENT
from featurestack.results.run_folder import damage_named
from featurestack.scores.bootstrap import CHOICE_WIDTH

CANDIDATES = "features.csv"
# score alone by `linear`, folds that chose it, points lost without it there by
# `linear`, what it is
NUMBERS = ("alone", "folds", "lost", "lost_low", "lost_high")
FEATURE_COLUMNS = ("feature", *NUMBERS, "about")
CHARTED = 10  # features alone in the chart
NAMED = 6  # features whose counts are stated
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
    sets = chosen(config).removeprefix("chosen: ")
    later = as_sentence(recommended(config, chance=chance))
    leads = {"What was chosen?": f"{sets}. {later}"}
    if page.cache:
        leads["What next?"] = surer(config.candidates, page.cache)
    try:
        features = read_features(run.folders[0].path / CANDIDATES)
        leads["Which alone?"] = alone(features, page.found.score)
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
    warning = page.found.warning(SplitByClip)
    if not (warning and warning.options):
        return None
    given = config.words if config else option_words(page.options, ("dataset", "data"))
    command = make_command("answer", *given, *warning.options, "RETRAIN=1")
    return command, "tests on speakers, sites or devices that were not trained on"


def other_features(config: ChoiceConfig) -> tuple[str, str]:
    """The next thing to try if nothing is better than chance."""
    given = [word for word in config.words if not word.startswith("FEATURES=")]
    if {*DIFFERENT} <= {*config.candidates}:
        return make_command("show"), "lists pretrained networks to try"
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


# ---- sentences


def chosen(config: ChoiceConfig) -> str:
    """Each feature's choices: `modulation in 5 of 5 folds, mfcc in 4`."""
    counts = Counter(name for features in config.sets for name in features.split("+"))
    ordered = counts.most_common()
    (first, most), *others = ordered[:NAMED]
    texts = [f"{first} in {most} of {counted(len(config.sets), 'fold')}"]
    texts += [f"{name} in {count}" for name, count in others]
    if len(ordered) > NAMED:
        texts.append(f"{len(ordered) - NAMED} more less often")
    return f"chosen: {', '.join(texts)}"


def alone(features: pd.DataFrame, score: str) -> str:
    """The features with the highest scores alone, from the table of candidates."""
    best = features.nlargest(NAMED, "alone")
    texts = [f"{row.feature} {percent(row.alone)} %" for row in best.itertuples()]
    sentence = f"By linear, {score}: {', '.join(texts)}."
    if len(features) > 1:
        sentence += (
            f" The first of {len(features)} features is selected by this score, so it"
            " is optimistic."
        )
    return sentence


def recommended(config: ChoiceConfig, *, chance: bool) -> str:
    """The set for later use, how sure its choice is, and that it has no score."""
    if chance:
        return "no set is recommended: none is clearly better than chance"
    folds = counted(len(config.sets), "fold")
    if config.decided:
        return (
            f"for later use: {config.recommended}, chosen from the scores of all folds"
            f" together ({config.agreeing} of {folds} chose it alone); no clip is left"
            " to test it: it has no score of its own"
        )
    different = counted(len({*config.sets}), "set")
    return (
        f"undecided: {folds} chose {different}; for later use {config.recommended},"
        f" which has {percent(config.recommended_score)} % by linear, on folds that"
        " chose it, so this is optimistic"
    )


def surer(candidates: Sequence[str], cache: Cache) -> str:
    """Ways to make the answer surer, in whole sentences."""
    stored = [name for name in candidates if name in cache.features]
    clips = originals(cache.clips[cache.readable(stored)])
    number = clips["group"].nunique()
    unit = cache.groups or "recording"
    texts = [
        f"{counted(4 * number, unit)} instead of {number:,} would halve the interval."
    ]
    if not cache.groups and number == len(clips):
        texts.append(
            "If clips share a speaker, a site or a recording, name it with GROUP=."
        )
    has_networks = any(name.startswith("embedding") for name in candidates)
    if not has_networks and "networks" in rooms.names("capabilities"):
        networks = rooms.load("capabilities", "networks")
        _, remark = networks.choose_networks(cache.sample_rate)
        texts.append("A pretrained network may have a higher score.")
        texts.append(as_sentence(remark))
    return " ".join(texts)


def as_sentence(clause: str) -> str:
    """`Chosen: mfcc@N in 1 fold.` for `chosen: mfcc@N in 1 fold`."""
    return f"{clause[:1].upper()}{clause[1:]}."
