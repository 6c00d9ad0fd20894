"""Whether a run folder holds another run than the one that is planned, and RETRAIN=1: a
run of clips that have changed is trained again in its place.

The new run is trained in a hidden folder beside the old one, `.<run>.retraining`. When
it is finished, the old run becomes `.<run>.replaced`, the new one takes its name, and
the old one is deleted. Neither is lost if the process is killed at any moment.
"""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from featurestack.commandline.errors import RequestError
from featurestack.commandline.quantities import counted
from featurestack.features_cache.table import originals
from featurestack.results.run_folder import RETRAINED, RETRAINING, RunFolder, hidden
from featurestack.results.training_data import readable_again
from featurestack.storage.files import Lock
from featurestack.train.plan import NAMED_CLIPS, Plan


def retrained(plan: Plan) -> Plan:
    """The plan, moved to the retraining folder next to its run. A retraining that was
    begun for the same clips and values continues; another is deleted.
    """
    path = hidden(plan.path, RETRAINING)
    plan = replace(plan, identity=replace(plan.identity, path=path))
    try:
        refuse_another(RunFolder(path), plan)
    except RequestError:  # begun for other clips or values, or damaged
        with locked_folds(path):
            shutil.rmtree(path)
    return plan


@contextmanager
def locked_folds(run: Path) -> Iterator[None]:
    """The locks of a run's folds; RequestError if one is being trained."""
    with ExitStack() as locks:
        for fold in run.glob("fold*"):
            busy = f"{fold} is being trained by another process"
            locks.enter_context(Lock(fold / ".lock", busy=busy))
        yield


def take_place(new: Path, old: Path) -> None:
    """Replace an old run by a finished one. A kill between the two renames leaves both
    under their other names: `results.run_folder.finish_switch` goes on.
    """
    last = hidden(old, RETRAINED)
    with locked_folds(old):
        old.rename(last)
        new.rename(old)
        shutil.rmtree(last)


class StaleRun(RequestError):
    """RETRAIN=1 helps: clips or feature values differ now, or run.json is damaged."""


def refuse_another(folder: RunFolder, plan: Plan) -> None:
    """RequestError for another configuration; StaleRun for other data or damage."""
    if not (folder.path / "run.json").exists():
        return
    try:
        known = folder.config
    except RequestError as damage:
        raise StaleRun(str(damage)) from None
    known = folder.training
    if known.hash != plan.identity.hash:
        theirs = vars(known.options)
        own = vars(plan.training).items()
        changed = [name.upper() for name, value in own if theirs.get(name) != value]
        now = plan.identity.content
        data = [
            name for name in ("cache", "clips") if getattr(known, name) != now[name]
        ]
        if data and not changed:
            raise StaleRun(
                f"{folder.name} {stale_data(folder, plan)}: RETRAIN=1 trains it again"
                " in its place"
            )
        changed += data
        if not changed:
            weights = plan.training.weights
            changed = ["the content of WEIGHTS" if weights else "the model's revision"]
        raise RequestError(
            f"{folder.path} holds another configuration (different:"
            f" {', '.join(changed)}) and is left as it is: give TAG=… for a folder of"
            " its own"
        )
    if clips := readable_again(known, plan.cache):
        raise StaleRun(
            f"{folder.name} was trained without {counted(len(clips), 'clip')}"
            f" ({', '.join(clips[:NAMED_CLIPS])}) that can be read now: RETRAIN=1"
            " trains it again in its place"
        )


def refuse_damage(plan: Plan) -> None:
    """RequestError if clips on which the run has begun cannot be read any more."""
    if not plan.begun:
        return
    known = {*RunFolder(plan.path).training.left_out}
    damaged = [clip for clip in plan.left_out if clip not in known]
    if damaged:
        raise RequestError(
            f"{plan.path.name} has begun with {counted(len(damaged), 'clip')}"
            f" ({', '.join(damaged[:NAMED_CLIPS])}) that cannot be read now:"
            f" {plan.cache.remedy(' '.join(plan.stored))}, or give TAG=… for a run"
            " without them"
        )


def stale_data(folder: RunFolder, plan: Plan) -> str:
    """The difference between a run's clips and the plan's, in words."""
    now = len(originals(plan.table))
    with suppress(RequestError):  # no fold is finished, or a file is damaged
        before = folder.predictions().query("split == 'test'")["clip_id"].nunique()
        if folder.finished == folder.folds and before != now:
            return f"was trained on {counted(before, 'clip')}, there are {now:,} now"
    return "was trained on other clips or feature values than there are now"
