"""Sentences of a report, by subject: typed functions that take facts and return plain
text, which the page, the terminal and the LaTeX document share.

Templates place them. A sentence that is not needed is empty.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import groupby

import numpy as np
import pandas as pd

from featurestack.analysis.findings import Findings, Ranked
from featurestack.analysis.ranking import Ranking, setting
from featurestack.analysis.runs import Run, differing_options
from featurestack.analysis.tables import format_p
from featurestack.base import VERSION
from featurestack.base.quantities import (
    counted,
    either,
    is_or_are,
    listed,
    percent,
    plural,
    points,
)
from featurestack.base.shell import make_command
from featurestack.compare.scores import ACCURACY, Estimate, perfect
from featurestack.compare.significance import (
    DIFFERENCE_INTERVAL,
    FAMILY_LEVEL,
    FEWEST_RECORDINGS,
)
from featurestack.results.training_options import DECAY

PERFECT = 0.9995  # a perfect order that scores less is mentioned
SETS_COMPARED = 5  # most sets of a proposed comparison
HARDEST = 3  # classes with the lowest scores; ties are all named
OPTIMISERS = {"adamw": "AdamW", "sgd": "SGD with Nesterov momentum"}
NORMS = {
    "row": "input standardised row by row over the training clips",
    "feature": "input standardised feature by feature over the training clips",
}


def ranking_of(f: Findings) -> Ranking:
    """The main ranking of a report that has one."""
    assert f.main is not None, "runs that are compared have a ranking"
    return f.main


def folds(f: Findings) -> str:
    """`5 folds`, `2 of 5 folds`."""
    main = ranking_of(f)
    tested, protocol = len(main.folds), len(main.best.config.folds)
    of = f"{tested} of " if tested < protocol else ""
    return of + counted(protocol, "fold")


def unsigned(value: float) -> str:
    """Points without their plus sign."""
    return points(value).removeprefix("+")


def verdict(f: Findings, own: Ranked) -> str:
    """The verdict on a run, as a table shows it."""
    if own.verdict == "not compared":
        few = f"not compared: too few {plural(f.group)}"
        reasons = {"few recordings": few, "alone": "nothing to compare with"}
        return reasons.get(own.reason, own.verdict)
    unclear = own.verdict == "best" and f.unclear
    return "highest, not clearly better" if unclear else own.verdict


# ---- the headline


def headline(f: Findings, *, advised: bool = True) -> str:
    """The best score, on how many clips and by what protocol; or why there is none.

    `Use mel with linear. Cross-validation classified 95.0 % of 200 clips correctly (95
    % interval 91.0 to 97.3), the highest of 6 configurations.` If not `advised`, `mel
    with linear had the highest accuracy of 6 configurations. Cross-validation …`
    """
    if f.state == "none":
        # if only the cache is damaged, its line says so
        damaged = {p.run for p in f.problems if p.kind == "damaged"} - {"cache"}
        if not damaged:
            return "No run has been trained yet."
        are = is_or_are(len(damaged))
        return f"No run can be read: {counted(len(damaged), 'run')} {are} damaged."
    texts = [reached(f, ranked=advised)]
    if f.is_answer and f.state != "chance":
        texts.append(higher(f))
    else:
        texts.insert(0, advice(f, given=advised))
    if f.new_values:
        what = str(f.new_values["what"]).partition(" (")[0]  # a warning has the scores
        texts.append(f"{what[0].upper()}{what[1:]}.")
    return " ".join(filter(None, texts))


def higher(f: Findings) -> str:
    """A run that reaches more than the answer that leads the report."""
    own = f.higher
    return f"{own.label} reaches {percent(own.score.value)} %." if own else ""


def recommended(f: Findings) -> str:
    """`mel with linear`: the best configuration."""
    main = ranking_of(f)
    if main.best.trained:
        how = setting(main.best, main.runs, {"tag"})
        return f"{main.best.features} with {how}"
    return f.best.label


def advice(f: Findings, *, given: bool = True) -> str:
    """`Use mel with linear.`, or why there is none; the result if none is `given`."""
    main, use = ranking_of(f), recommended(f)
    if f.state == "untested":
        why = f"Too few {plural(f.group)} for a verdict"
        return f"{why}; {use} has the highest {f.score}."
    if f.state == "chance":
        chance = f"{percent(main.against_chance.chance)} %"
        p = main.against_chance.p
        chance += "" if main.untested else f" (p = {format_p(p)})"
        text = f"No configuration is clearly better than chance, {chance}"
        several = len(f.ranked) > 1 and not f.is_answer
        return f"{text}; {use} has the highest {f.score}." if several else f"{text}."
    if not given and f.state != "one":
        of = counted(len(f.ranked), "configuration")
        return f"{use} had the highest {f.score} of {of}."
    if f.state == "one":
        if f.others:
            return f"One configuration can be compared: {use}."
        return f"One configuration so far: {use}."
    return f"Use {use}."


def reached(f: Findings, *, ranked: bool = True) -> str:
    """The best score, its interval, and its place if it is `ranked`."""
    score, main = f.best.score, ranking_of(f)
    sure = f"too few {plural(f.group)} for an interval"
    if score.bounded:
        sure = f"95 % interval {score.interval}"
    if main.uneven:
        sure += f"; accuracy {percent(f.best.scores['accuracy'])} %"
    text = f"{counted_clips(f)} ({sure})"
    of_perfect = float(np.nanmean(perfect(main.best)))
    if of_perfect < PERFECT:
        text += f", where a perfect order gets {percent(of_perfect)} %"
    if ranked and len(f.ranked) > 1 and not f.is_answer:
        equal = sum(own.score.value == score.value for own in f.ranked) > 1
        highest = "equalled by another" if equal else "the highest"
        text += f", {highest} of {len(f.ranked)} configurations"
        if len(f.ranked) > 2:
            text += ", which flatters it"
    if f.state in ("unclear", "winner") and not f.is_answer:
        others = [own.label for own in f.unclear or f.ranked[1:]]
        named = others[0] if len(others) == 1 else f"{len(others)} others"
        verdict = (
            "with no clear difference from" if f.unclear else "clearly better than"
        )
        text += f", {verdict} {named}"
    return f"{text}."


def counted_clips(f: Findings) -> str:
    """`Cross-validation classified 96.2 % of 80 clips correctly`."""
    run, main = f.best.run, ranking_of(f)
    score = percent(f.best.score.value)
    seeds = f", a mean of {len(run.seeds)} seeds" if len(run.seeds) > 1 else ""
    if f.score != ACCURACY.title:
        clips = counted(len(run.clip_ids), "clip")
        return f"Its {f.score} on {clips} is {score} %{seeds}"
    clips = f"{score} % of {counted(len(run.clip_ids), 'clip')}"
    if run.imported:
        return f"The predictions are right for {clips}"
    tested, protocol = len(main.folds), len(run.config.folds)
    what = "Cross-validation"
    if tested < protocol or protocol == 1:
        what = f"A test of {folds(f)}"
    if f.is_answer:
        what = (
            f"In {what[0].lower()}{what[1:]}, features chosen without the tested clips"
        )
    return f"{what} classified {clips} correctly{seeds}"


def protocol(f: Findings) -> str:
    """`5 folds, 1 seed; each fold tested, trained on the others.`"""
    if not f.ranked:
        return ""
    run = f.best.run
    text = folds(f)
    if not run.exact:
        text += f", {counted(len(run.seeds), 'seed')}"
    if run.config.synthetic:
        text += ", synthetic data"
    return f"{text}; {run.protocol}."


def printed(f: Findings) -> str:
    """What the terminal says: the headline, the protocol, features within one model."""
    if f.is_answer and f.score == ACCURACY.title:  # whose headline has the protocol
        return headline(f)
    return " ".join(filter(None, (headline(f), protocol(f), features(f))))


def tables_of_predictions(f: Findings) -> list[str]:
    """A sentence for each table of predictions, if there are other runs.

    `svc: 82.0 % (77.0 to 86.0), clearly worse than mel-ridge, −4.5 points (97.5 %
    interval −8.7 to −0.4)`.
    """
    texts = []
    for own in f.every if len(f.every) > 1 else ():
        if not own.run.imported:
            continue
        text = f"{own.name}: {percent(own.score.value)} %"
        if own.score.bounded:
            text += f" ({own.score.interval})"
        text += f", {verdict(f, own)}"
        if own.verdict in ("no clear difference", "clearly worse"):
            than = "from" if own.verdict == "no clear difference" else "than"
            text += f" {than} {f.best.name}, {by_points(f, own.difference)}"
        texts.append(text)
    return texts


# ---- the first screen


def sure(f: Findings) -> str:
    """The certainty of the headline."""
    if f.main is None:
        return ""
    text = ""
    if len(f.ranked) > 1 and f.main.best.missing_folds:
        text = f"Compared on {folds(f)}, which all of these have finished. "
    if f.state == "untested" or f.main.untested:
        clips = counted(len(f.main.best.clip_ids), "test clip")
        return (
            f"{text}The {clips} come from {counted(f.recordings, f.unit)}, and"
            f" clips of one {f.group} are not independent. A verdict needs at"
            f" least {FEWEST_RECORDINGS} {plural(f.group)}."
        )
    if f.state == "one":
        return text + sure_of_one(f)
    if f.state == "chance":
        return (
            f"{text}{chance(f)} The best configuration is not clearly better, and a"
            " small gain cannot be excluded."
        )
    return " ".join(filter(None, [text + sure_of_several(f), seeds(f)]))


def sure_of_one(f: Findings) -> str:
    """The score of the only configuration, and whether it is above chance."""
    main = ranking_of(f)
    text = ""
    if f.is_answer:
        text = "Features were chosen without the clips that test them. "
    against = main.against_chance
    text += f"The {f.score} is clearly better than chance, {percent(against.chance)} %."
    return text


def sure_of_several(f: Findings) -> str:
    """The comparison of the best configuration with the first that does not differ
    clearly, else with the second.
    """
    second = f.unclear[0] if f.unclear else f.ranked[1]
    reaches = f"{second.label} reaches {percent(second.score.value)} %"
    than = f", compared with {f.best.label}" if len(f.ranked) > 2 else ""
    return f"{reaches}{than}: {by_points(f, second.difference)}, {second.verdict}."


def by_points(f: Findings, difference: Estimate) -> str:
    """`+2.1 points (97.5 % interval +1.0 to +3.2)`."""
    ends = f"too few {plural(f.group)} for an interval"
    if difference.bounded:
        low, high = points(difference.low), points(difference.high)
        ends = f"{DIFFERENCE_INTERVAL} {low} to {high}"
    return f"{points(difference.value)} points ({ends})"


def seeds(f: Findings) -> str:
    """What intervals leave out, if one of the two compared runs has one seed."""
    compared = f.best.run, (f.unclear or f.ranked[1:])[0].run
    if all(run.exact or len(run.seeds) > 1 for run in compared):
        return ""
    return "With one seed, intervals do not include the variation between trainings."


def features(f: Findings, *, advised: bool = True) -> str:
    """The best feature set within one model, if the runs have several; if `advised`,
    with the command that compares it where this report does not.
    """
    alike = f.alike
    if not alike or len(alike) == len(f.ranked):
        return ""
    first, second, *_ = alike
    if f.is_answer and first.run.exact:
        return ""  # it has the scores of every single feature by such a model
    model = setting(first.run, ranking_of(f).runs, {"tag"})
    text = f"Of the {len(alike)} feature sets trained with {model}"
    most = f"the highest {f.score}, {percent(first.score.value)} %"
    names = first.run.features, second.run.features
    if second.score.value == first.score.value:
        return f"{text}, {names[0]} and {names[1]} have {most}."
    text += (
        f", {names[0]} has {most}; {names[1]} reaches {percent(second.score.value)} %"
    )
    if first is f.best and second.verdict != "not compared":
        return f"{text}, {second.verdict}."
    if not advised:
        return f"{text}."
    runs = " ".join(own.name for own in alike[:SETS_COMPARED])
    command = make_command("analysis", f"DATASET={first.run.dataset}", f"RUN={runs}")
    return f"{text}. {command} compares only these."


def combine(f: Findings) -> str:
    """What one feature of the best set adds to it, or else what one more would, with
    every model that was trained on both sets.
    """
    if not f.gains:
        return ""
    best = (f.alike or f.ranked)[0].run
    into = [gain for gain in f.gains if gain.more is best]
    chosen = into or [gain for gain in f.gains if gain.less is best]
    texts = []
    for gain in chosen[:2]:
        step = gain.added, gain.less.features
        others = [own for own in f.gains if (own.added, own.less.features) == step]
        by_model = {own.more.model: own for own in (*others, gain)}
        found = []
        for model, own in sorted(by_model.items(), key=lambda of: of[1] is not gain):
            said = f"a {own.verdict}" if own.clear else own.verdict
            said = said.replace("not compared", "not tested")
            found.append(f"with {model} {by_points(f, own.difference)}, {said}")
        texts.append(f"Adding {step[0]} to {step[1]}: {'; '.join(found)}.")
    return " ".join(texts)


def classes(f: Findings) -> str:
    """The classes with the lowest scores."""
    if f.main is None:
        return ""
    report = f.tables[f"{f.best.name}.classes"][:-1].query("support > 0")
    scores = report.set_index("class")[f.main.metric.class_score]
    if scores.empty:
        return ""
    order = pd.Series(perfect(f.main.best), f.main.best.classes)
    most = order.reindex(scores.index, fill_value=1.0)
    lacking = (scores - most)[scores < most * PERFECT]
    hardest = lacking.nsmallest(HARDEST, keep="all")
    heading = f.main.metric.class_heading
    score = heading if heading.isupper() else heading.lower()
    texts = []
    for (value, highest), names in groupby(
        hardest.index, lambda name: (scores[name], most[name])
    ):
        # a class whose name begins with a digit gets quotes
        named = [f"“{name}”" if name[:1].isdigit() else name for name in names]
        limit = f" of {percent(highest)}" if highest < PERFECT else ""
        texts.append(f"{listed(named)} ({percent(value)} %{limit})")
    lowest = f"Lowest {score}"
    if (most < PERFECT).any():
        lowest = f"{score.capitalize()} furthest below a perfect order’s"
    text = f"{lowest}: {', '.join(texts)}."
    if not texts:
        reached = "100 %" if (most == 1).all() else "what a perfect order gets"
        text = f"The {score} of every class is {reached}."
    best = f.main.best
    absent = len(best.classes) - int(best.labels.any(axis=0).sum())
    if absent:
        are = is_or_are(absent)
        text += f" {counted(absent, 'class')} without a test clip {are} left out."
    return text


# heading on the first screen -> its sentence
LEADS = {
    "Which features?": features,
    "How sure?": sure,
    "Why combine?": combine,
    "Which classes fail?": classes,
}


def media(wrong: Collection[str], audio: Mapping[str, str]) -> str:
    """How many of the wrongly predicted clips have their audio in the page."""
    if not audio:
        return (
            "The clips’ audio files are not on this machine, so there are no players."
        )
    if not wrong:
        return "Every run predicted every clip correctly."
    embedded = sum(audio.get(clip, "").startswith("data:") for clip in wrong)
    return (
        f"The page contains the audio of {embedded:,} of the {len(wrong):,} clips that"
        " some run predicted wrongly; others play where the page was made."
    )


# ---- how the numbers were computed


def chance(f: Findings) -> str:
    """The score of a prediction that knows nothing."""
    main = ranking_of(f)
    text = f"Chance, {percent(main.chance)} %, is {main.metric.chance_meaning}"
    return f"{text}."


def numbers(f: Findings) -> str:
    """The meaning of the score, of what follows ±, and of intervals."""
    main = ranking_of(f)
    metric = main.metric
    texts = [f"{metric.heading} is {metric.meaning}."]
    if metric.pooled:
        texts.append(f"± is the standard deviation of the folds’ own {metric.title}.")
    elif len(main.folds) > 1:
        texts.append(f"± is the standard deviation over {folds(f)}.")
    if any(len(run.seeds) > 1 for run in f.runs):
        texts.append("Seeds are averaged.")
    texts.append(
        "The 95 % interval is Wilson’s with the standard error of"
        f" a bootstrap over {counted(f.recordings, f.unit)}; it does not include the"
        " variation between trainings."
    )
    if tested(f):
        texts.append(
            f"The {DIFFERENCE_INTERVAL} of a difference holds every value that the"
            " corrected sign-flip test does not reject."
        )
    return " ".join(texts)


def method(f: Findings) -> str:
    """The meaning of the numbers, the split, and chance."""
    main = ranking_of(f)
    texts = [numbers(f)]
    imported = [run.name for run in main.runs if run.imported]
    if imported:
        which = f"which {plural(f.group)} were used to train {listed(imported)}"
        texts.append(f"No table of predictions says {which}.")
    if len(imported) < len(main.runs):
        known = "" if f.groups else ", as the dataset groups them,"
        others = " of the other runs" if imported else ""
        texts.append(
            f"Clips of one {f.group}{known} are never in both training and"
            f" test{others}."
        )
    return " ".join([*texts, chance(f)])


def tested(f: Findings) -> str:
    """The comparison of configurations, and when a difference is clear."""
    if len(f.ranked) < 2 or f.state == "untested":
        return ""
    text = "Each configuration is compared with the best by a sign-flip test"
    if f.main and f.main.metric.pooled:
        text += f" of jackknife values of {f.score}"
    text += f", paired by {f.unit}"
    if len(f.ranked) > 2:
        text += (
            f" and corrected for all {len(f.ranked) - 1} comparisons and for the"
            " selection of the best (model confidence set; Hansen, Lunde and Nason"
            " 2011)"
        )
    if len(f.gains) > 1:
        text += (
            f". The {len(f.gains)} ablations have the same test, corrected for all of"
            " them (step-down maxT; Westfall and Young 1993) and not for the selection"
            " of the best, so that a pair can be clear in one table only"
        )
    return (
        f"{text}. A difference is clear if p is below {FAMILY_LEVEL}, so that the"
        " comparisons with the best and the ablations together make a false claim in at"
        f" most 5 % of reports. The interval of a difference counts two more"
        " recordings, a gain and a loss (Bonett and Price 2012); the interval of each"
        f" {f.score} is not corrected."
    )


# ---- how the runs were made


def models(f: Findings) -> dict[str, str]:
    """Model -> what it is and how its runs were trained."""
    by_model: dict[str, list[Run]] = {}
    for run in f.trained:
        by_model.setdefault(run.model, []).append(run)
    texts = {model: trained_model(runs) for model, runs in by_model.items()}
    return {model: text for model, text in texts.items() if text}


def trained_model(runs: Sequence[Run]) -> str:
    """A model, the settings that its runs share, and those in which they differ."""
    config, training = runs[0].config, runs[0].config.options
    differing = set().union(*(differing_options(runs[0], run) for run in runs))
    differing -= {"features"}
    sizes = sorted({run.config.parameters for run in runs if run.config.parameters})
    ends = dict.fromkeys(f"{size:,}" for size in sizes[:1] + sizes[-1:])
    shared: dict[str, str] = {}
    if not config.exact:
        shared["size"] = f"{' to '.join(ends)} parameters" if sizes else ""
        shared["norm"] = NORMS.get(training.norm, "")
        shared["grid"] = " or ".join(filter(None, dict.fromkeys(map(grid_of, runs))))
    shared["padding"] = "without padding" if training.padding == "drop" else ""
    shared["balance"] = "rare classes weigh more" if training.balance == "loss" else ""
    if not config.exact:
        decay = f"weight decay {DECAY[training.optimizer]:g}"
        shared |= {
            "optimizer": f"{OPTIMISERS[training.optimizer]}, {decay}",
            "lr": f"learning rate {training.resolved_lr:g}",
            "schedule": f"{training.schedule} schedule",
            "batch": f"batches of {training.batch}",
            "epochs": f"{training.epochs} epochs",
            "smoothing": "label smoothing 0.1",
            "augment": f"augmentation {training.augment or 'none'}",
        }
        for key in ("warmup", "clip", "patience"):
            if value := getattr(training, key):
                shared[key] = f"{key} {value:g}"
    said = [text for key, text in shared.items() if text and key not in differing]
    texts = [config.model_summary.rstrip("."), ", ".join(said)]
    unlike = []
    for key in sorted(differing):
        sets: dict[str, list[str]] = {}
        for run in runs:
            sets.setdefault(run.option_text(key), []).append(run.features)
        each = [f"{value} ({listed(names)})" for value, names in sets.items()]
        unlike.append(f"{key} {' or '.join(each)}")
    texts.append("differing between rows: " * bool(unlike) + ", ".join(unlike))
    return "; ".join(filter(None, texts))


def grid_of(run: Run) -> str:
    """The size of a network's input, in words."""
    rows = sorted({channel.rows for channel in run.config.channels})
    height, _, width = run.config.input_grid.partition("x")
    if height != "1":
        return f"input resized to {height} rows and {width} frames"
    if width != "1" and rows[-1:] > [1]:
        return f"input of all rows ({either([*map(str, rows)])}) and {width} frames"
    return ""


def software(f: Findings) -> str:
    """The versions of the software behind the report and the runs, and processors."""
    configs = [run.config for run in f.trained]
    versions = [own.versions.items() for own in configs]
    texts = [f"{name} {number}" for own in versions for name, number in own]
    machines = [own.machine for own in configs if own.machine]
    texts += [machine.gpu or machine.processor for machine in machines]
    texts += [own.computed.precision for own in configs if own.computed]
    return ", ".join(dict.fromkeys([f"featurestack {VERSION}", *filter(None, texts)]))
