"""The verdict on every pair of runs, and the tests that others use: the page's last section."""

from pathlib import Path

import numpy as np
import pandas as pd

from analysis import page
from analysis.answer import names
from analysis.blocks import Block
from analysis.figures import save
from analysis.findings import Findings
from analysis.grid import cut, grid
from analysis.ranking import Ranking
from analysis.significance import Friedman

RANKED = 12  # runs in the diagram of ranks; more would be too small to read
PAIRS_SHOWN = 100  # the tables beside the page have all


def blocks(found: Findings, folder: Path) -> list[Block]:
    """The verdict on every pair, and the tests that others use."""
    ranking = found.main
    if ranking is None or "pairs" not in found.tables:
        return []
    columns = {
        "a": ("Higher", "text"),
        "b": ("Lower", "text"),
        "difference": ("Difference, points", "points"),
        "low": ("From", "points"),
        "high": ("To", "points"),
        "p_holm": ("p, Holm", "decimals"),
        "verdict": ("Verdict", "text"),
    }
    about = (
        "Bootstrap of the paired difference by source recording; p-values of all pairs are corrected "
        "together by Holm’s method."
    )
    pairs = found.tables["pairs"]
    listed = grid("pairs", pairs.head(PAIRS_SHOWN), columns)
    return [
        Block("One verdict a pair", about + cut(pairs, "pairs", PAIRS_SHOWN), grids=[listed], folded=True),
        *_other_tests(found),
        *_ranks(found, ranking, folder),
    ]


def _other_tests(found: Findings) -> list[Block]:
    if "other_tests" not in found.tables:
        return []
    other = found.tables["other_tests"]
    columns = {
        "a": ("Higher", "text"),
        "b": ("Lower", "text"),
        "difference": ("Difference, points", "points"),
    }
    columns |= {column: (_heading(column), "decimals") for column in other.columns[len(columns) :]}
    about = cut(other, "other_tests", PAIRS_SHOWN).strip()
    applies = [f"{_heading(name)}: {when}" for name, when in found.tests.items()]
    listed = grid("other-tests", other.head(PAIRS_SHOWN), columns)
    return [Block("Tests that others use", about, grids=[listed], folded=True, items=applies)]


def _heading(column: str) -> str:
    words = column.removesuffix("_p_holm").removesuffix("_p").replace("_", " ")
    return words[0].upper() + words[1:]


def _ranks(found: Findings, ranking: Ranking, folder: Path) -> list[Block]:
    """The critical-difference diagram, where there are runs and folds enough."""
    ranks = found.friedman
    if ranks is None:
        return []
    shown = np.argsort(ranks.ranks, kind="stable")[:RANKED]
    shown_names = [names(ranking)[place] for place in shown]
    drawn = save(
        "critical_difference",
        folder,
        ranks=dict(zip(shown_names, ranks.ranks[shown].tolist(), strict=True)),
        p_values=pd.DataFrame(ranks.nemenyi[np.ix_(shown, shown)], shown_names, shown_names),
    )
    return [Block("Critical differences", _in_words(ranks), [drawn], folded=True)]


def _in_words(ranks: Friedman) -> str:
    return (
        f"Friedman’s test over folds: p = {page.decimals(ranks.p)}. Bars join runs that Nemenyi’s test "
        f"cannot tell apart; mean ranks differ from {page.decimals(ranks.critical_difference, 2)} on."
    )
