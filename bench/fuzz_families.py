"""Families of hostile trials for `bench.fuzz`: odd names, two commands at once, kills
at renames, foreign archives and reports, hostile environments, files that are none,
remedies that must help.

A family is one function under the decorator `family`. It changes the world, runs
commands and returns the outcome that is worst. The effects of a kill, a second
command or another's file are checked afterwards: the same command ends with 0, and a
file that is not the project's stays as it is.
"""

import io
import json
import os
import random
import resource
import signal
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from featurestack.commandline.registry import Registry

if TYPE_CHECKING:
    from bench.fuzz import Call, Outcome

Run = Callable[..., "Outcome"]  # run(call, prepare) of bench.fuzz
Calls = dict[str, list[str]]
Family = Callable[[random.Random, Path, Calls, Run], tuple["Call", str, "Outcome"]]

FAMILIES: Registry[Family] = Registry("family")
family = FAMILIES.register

NAMES = (
    *("a b", " a", "a ", "a\tb", "a\nb", "-x", "=1+1", "@a", "+a", "a;b", "a,b", "a'b"),
    *('a"b', "a&b", "<b>a", "$HOME", "a`b", "a\\b", "%s", "{a}", "[a]", "a*", "a?"),
    *("nan", "None", "01", "1e5", "犬", "e\u0301", "\u202ea", "🎵", "..a", "a.", "con"),
    *("x" * 250, "é" * 120, "label", "fold", "a+b", "a:b", "a@b=1", "a\udc80b", "~1"),
)
# commands that only read the tree
OF_TREE = ("features-tree", "check-tree", "plan-tree")
# commands that write and may be killed, or run beside another
WRITERS = (
    *("features", "features-tree", "run", "run-tree", "sweep", "analysis", "bundle"),
    *("ensemble", "check"),
)
ENVIRONMENTS = (
    *("ascii", "latin-1", "no output", "no input", "20 files", "small files"),
    *("another user", "no folder", "no home"),
)
# exit status and words of commands that do not end with 0 when they are repeated
WITHOUT_FAULT = {"import": (2, "already"), "check": (1, "leak")}
NOBODY = 65534  # user and group without rights
LAST_RENAME = 12  # a command is killed at one of its first renames
TEXT = "not the project's"


def call_of(calls: Calls, name: str) -> "Call":
    from bench.fuzz import Call

    return Call(tuple(calls[name]), name)


@family()
def odd_names(
    rng: random.Random, world: Path, calls: Calls, run: Run
) -> tuple["Call", str, "Outcome"]:
    """A class folder or a file of the tree gets an odd name."""
    entries = sorted(world.joinpath("tree").rglob("*"))
    entry = rng.choice(entries)
    name = rng.choice(NAMES) + (entry.suffix if entry.is_file() else "")
    try:
        entry.rename(entry.with_name(name))
    except OSError:  # the file system does not take this name
        name = entry.name
    call = call_of(calls, rng.choice(OF_TREE))
    return call, ascii(name), run(call)


@family()
def at_once(
    rng: random.Random, world: Path, calls: Calls, run: Run
) -> tuple["Call", str, "Outcome"]:
    """Two commands at once; afterwards the first one alone ends with 0."""
    from bench.fuzz import start, wait

    first, second = (call_of(calls, rng.choice(WRITERS)) for _ in range(2))
    begun = [start(call) for call in (first, second)]
    outcomes = [wait(one) for one in begun]
    outcomes.append(ends_well(first, run(first)))
    return first, f"beside {second.name}", worst(outcomes)


@family()
def killed(
    rng: random.Random, world: Path, calls: Calls, run: Run
) -> tuple["Call", str, "Outcome"]:
    """A command is killed at one of its renames; the same command then ends with 0."""
    call = call_of(calls, rng.choice(WRITERS))
    place = rng.randrange(LAST_RENAME)
    after = rng.random() < 0.5
    outcome = run(call, lambda: kill_at_rename(place, after))
    if outcome.status == -signal.SIGKILL:
        outcome = outcome._replace(finding="")
    again = ends_well(call, run(call))
    when = "after" if after else "before"
    return call, f"killed {when} rename {place}", worst([outcome, again])


def kill_at_rename(place: int, after: bool) -> None:
    """Kill this process before, or after, its rename number `place`."""
    seen = 0

    def killing(rename: Callable[..., None]) -> Callable[..., None]:
        def renamed(*given: object, **more: object) -> None:
            nonlocal seen
            here, seen = seen == place, seen + 1
            if here and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            rename(*given, **more)
            if here:
                os.kill(os.getpid(), signal.SIGKILL)

        return renamed

    for name in ("rename", "replace"):
        vars(os)[name] = killing(vars(os)[name])


@family()
def foreign(
    rng: random.Random, world: Path, calls: Calls, run: Run
) -> tuple["Call", str, "Outcome"]:
    """An archive or a report's record names a file outside, which stays as it is."""
    mine = world / "mine.txt"
    mine.write_text(TEXT)
    if rng.random() < 0.5:
        archive, name = "esc.zip", "data-zip"
        entry = rng.choice(["../mine.txt", "../../mine.txt", str(mine), "a/../../mine"])
        with zipfile.ZipFile(world / archive, "a") as opened:
            if rng.random() < 0.3:  # a link that leaves the folder
                link = zipfile.ZipInfo("link")
                link.external_attr = 0o120777 << 16
                opened.writestr(link, str(mine))
                entry = "a link"
            else:
                opened.writestr(entry, "overwritten")
        how = f"{archive} with {entry}"
    else:
        name, record = (
            "analysis",
            next(world.joinpath("reports").glob("*/.report.json")),
        )
        content = json.loads(record.read_text(encoding="utf-8"))
        status = mine.stat()
        entry = rng.choice(["../../mine.txt", str(mine), "tables/../../../mine.txt"])
        content["files"][entry] = f"{status.st_size} {status.st_mtime_ns}"
        record.write_text(json.dumps(content), encoding="utf-8")
        how = f"a report with {entry}"
    call = call_of(calls, name)
    outcome = run(call)
    if not mine.is_file() or mine.read_text() != TEXT:
        outcome = outcome._replace(finding="a file outside was changed")
    return call, how, outcome


@family()
def environment(
    rng: random.Random, world: Path, calls: Calls, run: Run
) -> tuple["Call", str, "Outcome"]:
    """Output of another encoding or closed, few open files, small files, another user,
    a working folder that is gone.
    """
    how = rng.choice(ENVIRONMENTS)
    call = call_of(calls, rng.choice([*calls]))
    return call, how, run(call, lambda: change_environment(how))


def change_environment(how: str) -> None:
    """Change this process, which then runs a command."""
    if how in ("ascii", "latin-1"):
        for stream in (sys.stdout, sys.stderr):
            assert isinstance(stream, io.TextIOWrapper), "as `forked` opens it"
            stream.reconfigure(encoding=how, errors="strict")
    elif how == "no output":
        os.close(1)
        vars(sys)["stdout"] = None  # Python starts like this without a standard output
    elif how == "no input":
        os.close(0)
        vars(sys)["stdin"] = None
    elif how == "20 files":
        least = len([*Path("/proc/self/fd").iterdir()]) + 20
        resource.setrlimit(resource.RLIMIT_NOFILE, (least, least))
    elif how == "small files":
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
    elif how == "another user" and os.geteuid() == 0:
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
    elif how == "no folder":
        Path.cwd().rmdir()
    elif how == "no home":
        os.environ.pop("HOME", None)


@family()
def special_files(
    rng: random.Random, world: Path, calls: Calls, run: Run
) -> tuple["Call", str, "Outcome"]:
    """A named pipe, a loop or an endless file among the sounds; no command waits."""
    sound = rng.choice(sorted(world.joinpath("tree").rglob("*.wav")))
    place = sound if rng.random() < 0.5 else sound.with_name("new.wav")
    place.unlink(missing_ok=True)
    kind = rng.choice(["pipe", "loop", "endless"])
    if kind == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to(place.name if kind == "loop" else "/dev/zero")
    features = call_of(calls, "features-tree")
    call = call_of(calls, rng.choice(OF_TREE))
    return call, f"{kind} {place.name}", worst([run(features), run(call)])


@family()
def odd_runs(
    rng: random.Random, world: Path, calls: Calls, run: Run
) -> tuple["Call", str, "Outcome"]:
    """A run's folder gets an odd name; all others are still found, and `last` too."""
    runs = sorted(world.joinpath("runs", "little").iterdir())
    name = rng.choice(NAMES)
    try:
        rng.choice(runs).rename(runs[0].with_name(name))
    except OSError:  # the file system does not take this name
        name = "its own"
    call = call_of(calls, rng.choice(["analysis", "predict", "bundle", "runs-list"]))
    words = tuple(
        "RUN=last" if word.startswith("RUN=") else word for word in call.words
    )
    call = call._replace(words=words)
    return call, ascii(name), run(call)


@family()
def trained_again(
    rng: random.Random, world: Path, calls: Calls, run: Run
) -> tuple["Call", str, "Outcome"]:
    """A damaged run.json: RETRAIN=1 trains the run again in its place."""
    from bench.fuzz import damage

    call = call_of(calls, "run")
    runs = world.joinpath("runs", "little")
    (config,) = runs.glob("mel+rms-cnn4-*/run.json")
    how = damage(config, rng)
    again = call._replace(words=(*call.words, "RETRAIN=1"))
    outcomes = [run(call), run(again)]
    told = "RETRAIN=1" in outcomes[0].output
    if told and outcomes[1].status and not outcomes[1].finding:
        outcomes[1] = outcomes[1]._replace(finding="the remedy does not help")
    return again, how, worst(outcomes)


@family()
def after_ensemble(
    rng: random.Random, world: Path, calls: Calls, run: Run
) -> tuple["Call", str, "Outcome"]:
    """The last run is an ensemble, without weights: `last` is one that predicts."""
    made = run(call_of(calls, "ensemble"))
    call = call_of(calls, rng.choice(["predict", "bundle", "listen"]))
    words = tuple(
        "RUN=last" if word.startswith("RUN=") else word for word in call.words
    )
    call = call._replace(words=words)
    return call, "", worst([ends_well(call, made), ends_well(call, run(call))])


def ends_well(call: "Call", outcome: "Outcome") -> "Outcome":
    """The outcome, which is a finding unless the command ended with 0, or said what is
    true of the intact world too.
    """
    said = WITHOUT_FAULT.get(call.name, (0, ""))
    known = outcome.status == said[0] and said[1] in outcome.output
    if outcome.status and not outcome.finding and not known:
        return outcome._replace(finding=f"then exit status {outcome.status}")
    return outcome


def worst(outcomes: list["Outcome"]) -> "Outcome":
    """The first outcome that is a finding, else the last one."""
    return next((one for one in outcomes if one.finding), outcomes[-1])
