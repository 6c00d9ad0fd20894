"""RETRAIN=1: a run of clips that have changed is trained again in its place.

The new run is trained in a folder beside the old one, `<run>.retraining`. When it is
finished, the old run becomes `<run>.replaced`, the new one takes its name, and the old
one is deleted. Neither is lost if the process is killed at any moment. A record in each
folder tells it from a run or a copy of the user's whose name ends so.
"""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from featurestack.commandline.errors import RequestError
from featurestack.results.run_folder import (
    RETRAINED,
    RETRAINING,
    SWITCH,
    RunFolder,
    is_marked,
    mark,
)
from featurestack.storage.files import Lock
from featurestack.train.plan import Plan
from featurestack.train.stale_run import refuse_another


def retrained(plan: Plan) -> Plan:
    """The plan, moved to the retraining folder next to its run.

    A retraining that was begun for the same clips and values continues; another is
    deleted. RequestError if a folder of another origin has one of the two names, or if
    another process trains a fold of what would be deleted.
    """
    path = plan.path.with_name(plan.path.name + RETRAINING)
    last = plan.path.with_name(plan.path.name + RETRAINED)
    refuse_foreign(last, RETRAINED)
    refuse_foreign(path, RETRAINING)
    plan = replace(plan, identity=replace(plan.identity, path=path))
    try:
        refuse_another(RunFolder(path), plan)
    except RequestError:  # begun for other clips or values, or damaged
        with locked_folds(path):
            shutil.rmtree(path)
    path.mkdir(exist_ok=True)
    mark(path, RETRAINING)
    return plan


def refuse_foreign(folder: Path, ending: str) -> None:
    if folder.exists() and not is_marked(folder, ending):
        raise RequestError(
            f"{folder} was not made by RETRAIN=1, which needs this name: rename the"
            " folder"
        )


@contextmanager
def locked_folds(run: Path) -> Iterator[None]:
    """The locks of a run's folds; RequestError if one is being trained."""
    with ExitStack() as locks:
        for fold in run.glob("fold*"):
            busy = f"{fold} is being trained by another process"
            locks.enter_context(Lock(fold / ".lock", busy=busy))
        yield


def take_place(new: Path, old: Path) -> None:
    """Replace an old run by a finished one; RequestError if a fold of the old one is
    being trained.

    A kill between the two renames leaves both under their other names: the next
    command finishes the switch (`results.run_folder.finish_switch`).
    """
    last = old.with_name(old.name + RETRAINED)
    refuse_foreign(last, RETRAINED)
    with locked_folds(old):
        mark(old, RETRAINED)
        old.rename(last)
        new.rename(old)
        (old / SWITCH).unlink()
        shutil.rmtree(last)
