"""What every command shares: typed options, one-message errors, short progress.

A command is a function of one frozen dataclass of options. `main` turns a list of such functions
into `python -m <package> <command> --flag value`; the same options may be given as the Makefile's
variables, `FLAG=value`. This package imports nothing of the project.
"""

from commandline.options import (
    Aliases,
    Bounds,
    Command,
    DataOptions,
    DatasetOptions,
    ReportsOptions,
    RunsOptions,
    check_bounds,
    last_given,
    main,
    make_command,
    parse,
    words,
)
from commandline.registry import Registry, RequestError, closest, nearest
from commandline.terminal import (
    Stages,
    as_csv,
    count,
    counted,
    duration,
    mean_percent,
    no_formula,
    percent,
    points,
    progress,
    size,
    tell,
    tell_once,
    text_table,
)

__all__ = [
    "Aliases",
    "Bounds",
    "Command",
    "DataOptions",
    "DatasetOptions",
    "Registry",
    "ReportsOptions",
    "RequestError",
    "RunsOptions",
    "Stages",
    "as_csv",
    "check_bounds",
    "closest",
    "count",
    "counted",
    "duration",
    "last_given",
    "main",
    "make_command",
    "mean_percent",
    "nearest",
    "no_formula",
    "parse",
    "percent",
    "points",
    "progress",
    "size",
    "tell",
    "tell_once",
    "text_table",
    "words",
]
