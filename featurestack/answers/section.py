"""The section of the report on a choice of features."""

from collections import Counter
from typing import Any

import pandas as pd

from featurestack.analysis.findings import Findings
from featurestack.analysis.page import Report, Section
from featurestack.analysis.report.tables import declare, ends
from featurestack.answers import (
    DIFFERENCE,
    NUMBERS,
    SET_COLUMNS,
)
from featurestack.answers.chosen import Choice, read_choice
from featurestack.base.quantities import counted, listed, percent, points
from featurestack.comparison.scores import Estimate
from featurestack.comparison.significance import DIFFERENCE_INTERVAL
from featurestack.embeddings.networks import networks_in

CHARTED = 10  # single features in the chart
SHOWN_FEATURES = 6  # features in a line
NO_SET = "no set: none is clearly better than chance"
UNCLEAR = "no clear difference"

declare(
    "chosen_sets",
    "a feature set, its score by ridge, and the number of folds that chose it",
    text={
        "features": "Feature set",
        "network": "Needs the network",
        "verdict": "Verdict",
    },
    number={"folds": "Folds that chose it"},
    percent={"estimate": "{score} %"},
    file=ends(),
    points={
        "difference": "Minus the highest, points",
        "difference_low": f"{DIFFERENCE_INTERVAL} from",
        "difference_high": "to",
    },
)
declare(
    "chosen_classes",
    "a class, its recall by ridge",
    text={"class": "Class"},
    each=("single feature", "{column} %", "percent"),
)


# ---- the section


def answer(report: Report) -> Section | None:
    """The sets that the folds chose, and each set's own score."""
    run = next((run for run in report.found.runs if run.members), None)
    if run is None:
        return None
    config = read_choice(run.folders[0].path)
    chance = report.found.chance
    table = pd.DataFrame([*config.rows], columns=SET_COLUMNS)
    table = table.astype(dict.fromkeys(NUMBERS, float))
    if chance:  # then no difference is clear
        table["verdict"] = table["verdict"].replace("clearly worse", UNCLEAR)
        table["difference_high"] = table["difference_high"].clip(lower=0)
    table.insert(
        1, "network", table["features"].map(lambda each: listed([*networks_in(each)]))
    )
    alone = table[~table["features"].str.contains("+", regex=False)]
    folds = run.config.folds
    tables = {"chosen_sets": table}
    if config.classes:
        by_class = pd.DataFrame([*config.classes])
        recalls = report.found.tables[f"{run.name}.classes"].set_index("class")[
            "recall"
        ]
        by_class.insert(1, "the choice", by_class["class"].map(recalls))
        tables["chosen_classes"] = by_class
    return Section(
        "Choice",
        "How the features were chosen",
        tables=tables,
        values={"choice": config, "chosen_folds": folds},
        facts={"Recommended": NO_SET} if chance else recommended(config),
        leads=choices(config, alone, report.found.score, judged=not chance),
        recommended="" if chance else config.recommended_run,
        chart=chart(report.found, table) if run is report.found.best.run else (),
        chart_title=f"{run.metric.heading} by feature set, %: the answer, and the"
        f" highest of {len(table)} sets, which are too high",
    )


def chart(found: Findings, sets: pd.DataFrame) -> list[tuple[str, Estimate, str, str]]:
    """The first screen's chart: the answer, other runs and the first sets, each with
    its interval, the highest first.
    """
    bars = []
    for entry in found.ranked:
        name = f"{entry.run.features} ({entry.run.model})"
        bars.append((name, entry.score, str(entry.verdict), entry.name))
    trained = {name for name, *_ in bars}
    for row in sets.dropna(subset="low").head(CHARTED).itertuples():
        score, name = (
            Estimate(row.estimate, row.low, row.high),
            f"{row.features} (ridge)",
        )
        if name not in trained:
            bars.append((name, score, "of one set", ""))
    return sorted(bars, key=lambda bar: -bar[1].value)


# ---- labels with numbers


def recommended(config: Choice) -> dict[str, str]:
    """`mel with ridge, 81.2 %, chosen by 3 of 5 folds`, and the networks it needs."""
    folds = counted(len(config.sets), "fold")
    score = f"{percent(max(config.estimates.values()))} %"
    if len(config.rows) > 2:
        score += f" (highest of {len(config.rows)} and so optimistic)"
    facts = {
        "Recommended": f"{config.recommended} with ridge, {score}, chosen in"
        f" {config.agreeing} of {folds}"
    }
    if networks := networks_in(config.recommended):
        texts = [f"{name}: {about}" for name, about in networks.items()]
        facts["Pretrained networks"] = "; ".join(texts)
    return facts


def choices(
    config: Choice, alone: pd.DataFrame, score: str, *, judged: bool
) -> dict[str, str]:
    """The sets of the folds, the best single features, and what the sets gain over
    single features that were chosen in the same way: no clear difference unless
    something is better than chance (`judged`).
    """
    counts = Counter(config.sets).most_common()
    sets = [f"{name} in {count}" for name, count in counts[:SHOWN_FEATURES]]
    singles = [
        f"{row.features} {percent(row.estimate)} %"
        for row in alone.head(SHOWN_FEATURES).itertuples()
    ]
    if len(alone) > SHOWN_FEATURES:
        singles.append(f"and {len(alone) - SHOWN_FEATURES} more")
    texts = {
        f"Sets chosen in {counted(len(config.sets), 'fold')}": ", ".join(sets),
        f"Single features, {score}, {config.protocol}": ", ".join(singles),
    }
    if config.together:
        gain: Any = config.together
        difference, low, high = (gain.get(name) for name in DIFFERENCE)
        text = f"{points(difference)} points"
        if low is not None:
            text += f" ({DIFFERENCE_INTERVAL} {points(low)} to {points(high)})"
        label = "Gain over single features chosen in the same way"
        clear = gain["verdict"] == "a clear difference"
        texts[label] = f"{text}, {gain['verdict'] if judged or not clear else UNCLEAR}"
    return texts
