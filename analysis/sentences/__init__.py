"""Sentences of a report, by subject: typed functions that take facts and return plain
text, which the page, the terminal and the LaTeX document share. Here are the headline,
the sentences of the first screen, and how the numbers were computed.

`page.say` finds them by name; templates place them. A sentence that is not needed is
empty. Modules on what few reports have are loaded when one of their sentences is said.
"""

from collections.abc import Callable
from itertools import groupby
from operator import itemgetter
from typing import Any

import pandas as pd

from featurestack.analysis.findings import Findings, Row
from featurestack.analysis.ranking import Ranking
from featurestack.commandline.quantities import (
    counted,
    is_or_are,
    listed,
    percent,
    plural,
    points,
)
from featurestack.commandline.registry import Registry
from featurestack.scores.accuracy import ACCURACY
from featurestack.scores.significance import FEWEST_RECORDINGS

SENTENCES: Registry[Callable[..., str]] = Registry(
    "sentence",
    others=[
        f"featurestack.analysis.sentences.{name}" for name in ("comparison", "tags")
    ],
)
# heading on the first screen -> the sentence's name
LEADS = {
    "Which features?": "features",
    "How sure?": "sure",
    "Why combine?": "combine",
    "Which classes fail?": "classes",
}
OF_ONE = ("sure", "classes")  # the others compare runs


def sentence(function: Callable[..., str]) -> Callable[..., str]:
    """Let templates and the terminal say this function by its name."""
    SENTENCES[function.__name__] = function
    return function


def by_metric(name: str, f: Findings) -> str:
    """A sentence of the metric, or the one that ends in its column."""
    metric = ranking_of(f).metric
    own = metric.sentences.get(name)
    return own(f) if own else SENTENCES[f"{name}_{metric.name}"](f)


def ranking_of(f: Findings) -> Ranking:
    """The main ranking of a report that has one."""
    assert f.main is not None, "runs that are compared have a ranking"
    return f.main


def best_of(f: Findings) -> Any:
    """The row of the best run of a report that has one."""
    assert f.best is not None, "runs that are compared have a best one"
    return f.best


def folds(f: Findings) -> str:
    """`5 folds`, `2 of 5 folds`."""
    main = ranking_of(f)
    tested, protocol = len(main.folds), len(main.best.config.folds)
    of = f"{tested} of " if tested < protocol else ""
    return of + counted(protocol, "fold")


def unsigned(value: float) -> str:
    """Points without their plus sign."""
    return points(value).removeprefix("+")


def leads_of(f: Findings) -> dict[str, str]:
    """LEADS of these runs: a single one has those of OF_ONE."""
    if len(f.rows) > 1:
        return LEADS
    return {heading: name for heading, name in LEADS.items() if name in OF_ONE}


@sentence
def verdict(f: Findings, row: Row) -> str:
    """The verdict on a run, as a table shows it."""
    text: str = row["verdict"]
    if text == "not compared":
        few = f"not compared: too few {plural(f.group)}"
        reasons = {"few recordings": few, "alone": "nothing to compare with"}
        return reasons.get(row["reason"], text)
    return "best, tied" if text == "best" and f.tied else text


@sentence
def headline(f: Findings) -> str:
    """What was counted, of how many clips, by what protocol; or why nothing was.

    `Use mel with linear. Cross-validation classified 95.0 % of 200 clips correctly (95
    % interval 91 to 97), the highest of 6 configurations.`
    """
    if f.state == "none":
        # if only the cache is damaged, its line says so
        damaged = {p.run for p in f.problems if p.kind == "damaged"} - {"cache"}
        if not damaged:
            return "No run has been trained yet."
        are = is_or_are(len(damaged))
        return f"No run can be read: {counted(len(damaged), 'run')} {are} damaged."
    texts = [advice(f), reached(f)]
    if f.choice and f.state != "chance":
        texts.reverse()  # the procedure has the score, and recommends a set
    if f.state == "tie" and len(f.tied) == 1:
        texts.append(f"Tied with {f.tied[0]['label']}.")
    elif f.state == "tie":
        texts.append(f"Tied with {len(f.tied)} others.")
    return " ".join(texts)


def no_verdict(f: Findings) -> str:
    """Why runs are not tested."""
    if not ranking_of(f).joined_from:
        return f"Too few {plural(f.group)} for a verdict"
    return "No verdict, because features were joined after they were tested one by one"


def chance_of(main: Ranking) -> str:
    """`10.0 %`; of uneven classes `50.0 % balanced`."""
    chance = percent(main.against_chance.chance)
    return f"{chance} % balanced" if main.uneven else f"{chance} %"


def advice(f: Findings) -> str:
    """`Use mel with linear.`, or why there is none.

    `Recommended: mel with ridge; 3 of 5 folds chose these features.` of a choice.
    """
    main = ranking_of(f)
    if f.state == "untested" and not f.choice:
        return f"{no_verdict(f)}; the highest {f.score} is that of {to_use(f)}."
    if f.state == "chance" and f.choice:
        names = counted(len(f.choice.candidates), "feature")
        return (
            f"No choice from {names} is clearly better than chance, {chance_of(main)}."
        )
    if f.state == "chance" and len(f.rows) == 1:
        return f"{to_use(f)}: not clearly better than chance, {chance_of(main)}."
    if f.state == "chance":
        return (
            f"No configuration is clearly better than chance, {chance_of(main)}; the"
            f" highest {f.score} is that of {to_use(f)}."
        )
    if f.choice:
        folds = counted(len(f.choice.sets), "fold")
        agreeing = f.choice.agreeing or "none"
        return f"Recommended: {to_use(f)}; {agreeing} of {folds} chose these features."
    return f"{'One configuration so far:' if f.state == 'one' else 'Use'} {to_use(f)}."


def to_use(f: Findings) -> str:
    """The features and the model to use: of a choice those of all folds together."""
    main = ranking_of(f)
    if f.choice:
        return f"{f.choice.recommended} with {f.choice.recommended_model}"
    if main.best.trained:
        return f"{main.best.features} with {main.setting_of(main.best)}"
    label: str = best_of(f)["label"]
    return label


def reached(f: Findings) -> str:
    """The best score, its interval, that it is the highest of several, and what new
    speakers lose.
    """
    best, main = best_of(f), ranking_of(f)
    sure = f"too few {plural(f.group)} for an interval"
    if pd.notna(best["accuracy_low"]):
        low, high = best["accuracy_low"], best["accuracy_high"]
        sure = f"95 % interval {of_hundred(low)} to {of_hundred(high)}"
    text = f"{counted_clips(f)} ({sure}{balanced(f)})"
    perfect = main.metric.perfect(main.best)
    if perfect < 0.9995:
        text += f", where a perfect order gets {percent(perfect)} %"
    if len(f.rows) > 1:
        text += f", the highest of {len(f.rows)} configurations"
    if f.new_values:
        text += f"; {f.new_values.measured}"
    return f"{text}."


def counted_clips(f: Findings) -> str:
    """`Cross-validation classified 96.2 % of 80 clips correctly`."""
    best, main = best_of(f), ranking_of(f)
    score = percent(best["accuracy"])
    of_these = " of these speakers, sites or devices" if f.new_values else ""
    seeds = f", a mean of {best['seeds']} seeds," if best["seeds"] > 1 else ""
    if f.score != ACCURACY.title:
        return f"Its {f.score}{of_these} is {score} %{seeds.rstrip(',')}"
    clips = f"{score} % of {counted(len(main.best.clip_ids), 'clip')}{of_these}"
    if main.best.foreign:
        return f"The predictions are right for {clips}"
    tested, protocol = len(main.folds), len(main.best.config.folds)
    what = "Cross-validation"
    if tested < protocol or protocol == 1:
        what = f"A test of {folds(f)}"
    if f.choice:
        what += " of the whole choice"
    return f"{what} classified {clips} correctly{seeds.rstrip(',')}"


def of_hundred(share: float) -> str:
    """A share in whole percent, with a decimal next to 0 and 100."""
    whole = 0.01 <= share <= 0.99 or percent(share) in ("0.0", "100.0")
    return percent(share, 0 if whole else 1)


def balanced(f: Findings) -> str:
    """The balanced accuracy of the best run if the classes are uneven."""
    if not ranking_of(f).uneven:
        return ""
    return f"; balanced accuracy {percent(best_of(f)['balanced_accuracy'])} %"


@sentence
def protocol(f: Findings) -> str:
    """`5 folds, 1 seed; each fold tested, trained on the others.`"""
    if f.best is None:
        return ""
    best, main = f.best, ranking_of(f)
    text = folds(f)
    if not best["exact"]:
        text += f", {counted(best['seeds'], 'seed')}"
    if main.best.config.synthetic:
        text += ", synthetic data"
    return f"{text}; {main.best.protocol}."


def printed(f: Findings) -> str:
    """What the terminal says: the headline, the protocol, features within one model."""
    texts = [headline(f), protocol(f)]
    if len(f.rows) > 1:
        texts.append(SENTENCES["features"](f))
    return " ".join(filter(None, texts))


@sentence
def sure(f: Findings) -> str:
    """The certainty of the headline."""
    if f.main is None:
        return ""
    text = ""
    if len(f.rows) > 1 and f.main.best.missing_folds:
        text = f"Compared on {folds(f)}, which all of these have finished. "
    best = best_of(f)
    if f.main.joined_from:
        return (
            f"{text}No test here corrects for the choice from {f.main.joined_from}"
            " features that were tested one by one on these folds."
        )
    if f.state == "untested" or (f.state == "one" and pd.isna(best["accuracy_low"])):
        clips = counted(len(f.main.best.clip_ids), "test clip")
        return (
            f"{text}The {clips} come from {counted(f.recordings, f.unit)}, and clips of"
            f" one {f.group} are not independent. A verdict needs at least"
            f" {FEWEST_RECORDINGS} {plural(f.group)}."
        )
    if f.state == "one":
        return text + sure_of_one(f)
    if f.state == "chance":
        return (
            f"{text}{by_metric('chance', f)}. The best configuration is not clearly"
            " better, and a small gain cannot be excluded."
        )
    return " ".join(filter(None, [text + SENTENCES["sure_of_several"](f), seeds(f)]))


def sure_of_one(f: Findings) -> str:
    """The score of the only configuration, and whether it is above chance."""
    main = ranking_of(f)
    text = ""
    if f.choice:
        names = counted(len(f.choice.candidates), "feature")
        text = f"Chosen from {names} without the clips that test them. "
    against = main.against_chance
    reached = f", {percent(against.reached)} %," if main.uneven else ""
    if main.testable:
        text += (
            f"The {against.score}{reached} is {'' if against.clear else 'not '}clearly"
            f" better than chance, {percent(against.chance)} %."
        )
    else:
        text += (
            f"{counted(f.recordings, f.unit)} {is_or_are(f.recordings)} too few to say"
            f" whether the {against.score}{reached} is better than chance,"
            f" {percent(against.chance)} %: {FEWEST_RECORDINGS} are needed."
        )
    if not f.others and not f.choice:
        text += " It is the only configuration, so there is nothing to compare it with."
    return text


def seeds(f: Findings) -> str:
    """What intervals leave out, if runs have one seed."""
    trained = [row["seeds"] for row in f.rows if not row["exact"]]
    if 1 not in trained:
        return ""
    some = max(trained) > 1
    number = "Some runs have one seed" if some else "Only one seed was trained"
    return f"{number}, and intervals do not include the variation between trainings."


@sentence
def classes(f: Findings) -> str:
    """The classes that fail most."""
    return by_metric("classes", f) if f.main else ""


@sentence
def classes_accuracy(f: Findings) -> str:
    if not f.hardest:
        return ""
    if f.hardest[0]["recall"] == 1:
        return "Every test clip of every class is predicted correctly."
    failing = [row for row in f.hardest if row["recall"] != 1]
    failing.sort(key=itemgetter("recall"))
    texts = [
        f"{listed([in_words(row['class']) for row in rows])} ({percent(recall)} %)"
        for recall, rows in groupby(failing, itemgetter("recall"))
    ]
    return f"Lowest recall: {', '.join(texts)}."


def in_words(name: str) -> str:
    """A class in a sentence: a number has quotes."""
    return f"“{name}”" if name[:1].isdigit() else name


@sentence
def chance_accuracy(f: Findings) -> str:
    chance = percent(f.chance)
    text = f"Always predicting the commonest class is right for {chance} % of the clips"
    main = ranking_of(f)
    if main.uneven:
        constant = percent(main.against_chance.chance)
        text += f" and has a balanced accuracy of {constant} %"
    return text


# ---- how the numbers were computed, and media


@sentence
def method(f: Findings) -> str:
    """The meaning of the score, its interval, and chance."""
    return by_metric("method", f)


@sentence
def method_accuracy(f: Findings) -> str:
    what = "Accuracy is the share of test clips that are predicted correctly"
    if len(ranking_of(f).folds) > 1:
        what += f", over {folds(f)}; SD is the standard deviation over the folds"
    text = (
        f"{what}. Seeds are averaged."
        " The 95 % interval is Wilson’s with the standard error of a bootstrap"
        f" over {counted(f.recordings, f.unit)}; it does not"
        f" include the variation between trainings. {grouped(f)} Chance,"
        f" {percent(f.chance)} %, is the share of the commonest class."
    )
    main = ranking_of(f)
    if main.uneven:
        text += (
            " The classes are uneven, so the balanced accuracy is compared with chance:"
            f" every constant prediction has {percent(main.against_chance.chance)} % of"
            " it."
        )
    return text


def grouped(f: Findings) -> str:
    """Says that no group is on both sides of a split."""
    if tables := [run.name for run in ranking_of(f).runs if run.foreign]:
        which = f"which {plural(f.group)} {listed(tables)} was trained on"
        return f"The tables of predictions do not say {which}."
    known = "" if f.groups else ", as the dataset groups them,"
    return f"Clips of one {f.group}{known} are never in both training and test."


@sentence
def media(wrong: int, embedded: int, total: int, linked: int) -> str:
    """The number of clips whose audio the page holds.

    wrong, embedded  clips that some run predicted wrongly, and how many the page holds
    total, linked    clips that it holds, and clips that are links to files
    """
    if not total and not linked:
        return (
            "The clips’ audio files are not on this machine, so there are no players."
        )
    if not wrong:
        return "Every run predicted every clip correctly."
    return (
        f"The page contains the audio of {embedded:,} of the {wrong:,} clips that some"
        " run predicted wrongly; others play where the page was made."
    )
