"""Renders a report as one HTML page. Each section is an HTML template, which has the
page and its own values, and places the sentences of `analysis.sentences`. Tables and
findings are not rounded; templates round them.
"""

import platform
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, partial
from pathlib import Path

import jinja2
import pandas as pd
from markupsafe import Markup, escape

from featurestack import __path__
from featurestack.analysis import sentences
from featurestack.analysis.figures import SavedFigure
from featurestack.analysis.findings import Findings
from featurestack.analysis.report.runs import Problem
from featurestack.analysis.report.tables import Column, columns_of, format_p
from featurestack.analysis.report.warnings import WARNINGS
from featurestack.base import quantities
from featurestack.base.own_files import OwnFiles
from featurestack.base.quantities import listed
from featurestack.base.shell import make_command
from featurestack.comparison.scores import ACCURACY, Estimate
from featurestack.comparison.significance import DIFFERENCE_INTERVAL
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.identity import Identity
from featurestack.results.run_folder import RunFolder

PAGE = "index.html"
UNKNOWN = "–"
# signs after which a line may break; numbers such as 0.5 and 1-19 stay whole
IN_A_NAME = re.compile(r"(?<=\S)(?:_(?=[^\W_])|[+./@=-](?=[^\W\d_]))")
# the sentences that templates place
PLACED = "headline verdict media method tested"
SHOWN_RUNS = 3  # the page has settings, figures and classes of the best runs
FIRST_ROWS = 12  # rows of a long table that the page shows before it is asked


def render(template: str = "page.html", /, **content: object) -> str:
    """The text of a template; HTML templates escape values."""
    return environment().get_template(template).render(**content)


def imprint() -> str:
    """A page's last line."""
    return (
        f"featurestack · {datetime.now():%-d %B %Y, %H:%M} · Python"
        f" {platform.python_version()}, {platform.system()} {platform.machine()}"
    )


@dataclass(frozen=True, kw_only=True)
class ReportJob:
    """One report: its dataset, run folders and cache, its place, and what it is for."""

    dataset: str
    runs: tuple[RunFolder, ...]
    cache: Path | None
    folder: Path
    identity: Identity | None = None  # of the dataset; None if it is unknown
    for_print: bool = False  # figures for papers too
    runs_folder: Path  # of all datasets
    # NAME=value words that name the dataset and the folders
    given: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Section:
    """A section of the page."""

    title: str = ""  # in the page's navigation
    heading: str = ""  # if it is not the title
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    # name -> a value for the templates
    values: Mapping[str, object] = field(default_factory=dict)
    problems: Sequence[Problem] = ()
    # label -> value, on the first screen and in the terminal
    facts: Mapping[str, str] = field(default_factory=dict)
    # label -> numbers at the section's beginning
    leads: Mapping[str, str] = field(default_factory=dict)
    recommended: str = ""  # the run that predicts, if it is not the best one
    # rows of a chart that replaces the first screen's own: name, score, verdict (hollow
    # if unclear) and run ('' for none)
    chart: Sequence[tuple[str, Estimate, str, str]] = ()
    chart_title: str = ""
    # its name in SECTIONS, without .html, also its id; '' if it is not on the page
    template: str = ""


@dataclass(eq=False)
class Report:
    """What a report is made from, its sections and figures; printed as by a command."""

    job: ReportJob
    own_files: OwnFiles  # those of the report's folder
    found: Findings
    cache: Cache | None
    features: Sequence[str]  # cached and readable
    sections: list[Section] = field(default_factory=list)
    drawn: dict[str, SavedFigure] = field(default_factory=dict)  # stem -> figure

    @property
    def page(self) -> Path:
        """The HTML file."""
        return self.job.folder / PAGE

    @property
    def headline(self) -> str:
        """The finding in one sentence, or two."""
        return sentences.headline(self.found)

    @property
    def remarks(self) -> list[str]:
        """Warnings and problems."""
        problems = [f"{listed(runs)}: {text}" for text, runs in self.reasons.items()]
        return [*self.found.warnings.values(), *problems]

    @property
    def lines(self) -> list[str]:
        """Facts, page and next command; a path in this folder is short."""
        page, here = self.page.resolve(), Path.cwd()
        place = page.relative_to(here) if page.is_relative_to(here) else page
        lines = {"report: ": place, "next:   ": self.next_command}
        facts = [f"  {label}: {text}" for label, text in self.facts.items()]
        return facts + [f"{word}{text}" for word, text in lines.items() if text]

    @property
    def next_command(self) -> str:
        """The command that predicts new audio by the recommended or the best run;
        without runs the one that trains; '' if there is nothing to predict or to train
        with, or if the features are not of audio.
        """
        found = self.found
        names = [section.recommended for section in self.sections]
        names += [ranked.run.name for ranked in found.ranked if ranked.run.trained]
        best = next(filter(None, names), "")
        if best and found.main and found.main.best.config.sample_rate:
            place = found.main.best.folders[0].path.with_name(best)
            return make_command("predict", "AUDIO=FILE", f"RUN={place}")
        if found.runs or not self.features:
            return ""
        return make_command(
            "train", *self.job.given, f"FEATURES={self.features[0]}", "MODEL=ridge"
        )

    def __repr__(self) -> str:
        return "\n".join([self.headline, *self.remarks, *self.lines])

    @property
    def whole(self) -> bool:
        """False if anything damaged was left out."""
        return not any(problem.damaged for problem in self.problems)

    @property
    def tables(self) -> Mapping[str, pd.DataFrame]:
        parts = (self.found.tables, *(section.tables for section in self.sections))
        return {name: table for part in parts for name, table in part.items()}

    @property
    def facts(self) -> Mapping[str, str]:
        """Label -> value, on the first screen and in the terminal."""
        # those of the headline's score come first
        parts = (
            sentences.facts(self.found),
            *(section.facts for section in self.sections),
        )
        return {label: text for part in parts for label, text in part.items()}

    @property
    def problems(self) -> Sequence[Problem]:
        of_sections = [
            problem for section in self.sections for problem in section.problems
        ]
        return [*self.found.problems, *of_sections]

    @property
    def reasons(self) -> Mapping[str, Sequence[str]]:
        """Text of a problem -> the runs that have it."""
        reasons: dict[str, list[str]] = {}
        for problem in self.problems:
            reasons.setdefault(problem.text, []).append(problem.run)
        return reasons

    @property
    def linked(self) -> set[str]:
        """The runs whose settings the page shows, so that names link to them."""
        return {entry.name for entry in self.found.every[:SHOWN_RUNS]}

    @property
    def score(self) -> str:
        """The heading of the score that runs are ranked by."""
        main = self.found.main
        return main.metric.heading if main else ACCURACY.heading

    def columns(self, name: str, table: pd.DataFrame, score: str) -> list[Column]:
        """The columns of a table that the page shows, with their headings."""
        words = {"score": score or self.score}
        return [
            column._replace(heading=column.heading.format(column=column.name, **words))
            for column in columns_of(name, table)
            if column.kind in CELLS
        ]

    def figures(self, section: str) -> list[SavedFigure]:
        """The figures that a section of the page shows."""
        of_page = [saved for saved in self.drawn.values() if not saved.of.print_only]
        return [saved for saved in of_page if saved.of.section == section]

    def part(self, section: Section) -> Markup:
        """A section as HTML."""
        values = {"page": self, "f": self.found, **section.values}
        return Markup(render(f"{section.template}.html", **values))


@cache
def environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(
            [
                place
                for home in __path__
                for folders in ("*/templates", "extras/*/templates")
                for place in Path(home).glob(folders)
            ]
        ),
        autoescape=lambda name: str(name).endswith(".html"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        comment_start_string="{##",
        comment_end_string="##}",
    )
    made.filters |= {
        **CELLS,
        # The sort key of a number: '' if it is unknown, so that it stays last.
        "value": lambda number: "" if pd.isna(number) else repr(float(number)),
        "plural": quantities.counted,
        "several": quantities.plural,
        "capitalize_first": lambda text: text[:1].upper() + text[1:],
        "listed": listed,
        "slug": slug,
        "breakable": breakable,
    }
    made.globals |= {
        **{name: getattr(sentences, name) for name in PLACED.split()},
        "known": pd.notna,
        "imprint": imprint,
        "DIFFERENCE_INTERVAL": DIFFERENCE_INTERVAL,
        "FIRST_ROWS": FIRST_ROWS,
        "CELLS": CELLS,
        "WARNINGS": WARNINGS,
    }
    compact = {"ensure_ascii": False, "separators": (",", ":")}
    made.policies["json.dumps_kwargs"] = compact
    return made


def if_known(text: Callable[..., str], value: object, *digits: int) -> str:
    """The text of a value, or UNKNOWN if there is no value."""
    return text(value, *digits) if pd.notna(value) else UNKNOWN


def breakable(text: object) -> Markup:
    """The text with possible line breaks inside names, none before a percent sign or
    in `p = 0.004`.
    """
    escaped = str(escape(text)).replace(" %", "\u00a0%")
    escaped = escaped.replace("p = ", "p\u00a0=\u00a0")
    return Markup(IN_A_NAME.sub(r"\g<0><wbr>", escaped))


def with_minus(value: float, digits: int = 3) -> str:
    """`quantities.rounded`, a negative number with its sign."""
    return quantities.rounded(value, digits).replace("-", "−")


CELLS: dict[str, Callable[..., str]] = {  # kind of a table cell -> its text
    "text": breakable,
    "percent": partial(if_known, quantities.percent),
    "points": partial(if_known, quantities.points),
    "unsigned": partial(if_known, sentences.unsigned),
    "decimals": partial(if_known, with_minus),
    "count": partial(if_known, quantities.count),
    "number": partial(if_known, lambda value: with_minus(value, 1).removesuffix(".0")),
    "seconds": partial(if_known, quantities.duration),
    "p": partial(if_known, format_p),
}


def slug(text: str) -> str:
    """An element's id: all but A-Z, a-z, 0-9, . and - are replaced by code points."""
    return "run-" + re.sub(r"[^A-Za-z0-9.-]", lambda found: f"_{ord(found[0]):x}", text)
