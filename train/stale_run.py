"""Whether a run folder holds another run than the one that is planned."""

from contextlib import suppress

from featurestack.commandline.errors import RequestError
from featurestack.commandline.quantities import counted
from featurestack.features_cache.table import originals
from featurestack.results.config import to_json
from featurestack.results.run_folder import (
    RunFolder,
)
from featurestack.train.plan import Plan


class StaleRun(RequestError):
    """The run was trained on other clips or feature values than the cache holds now."""


def refuse_another(folder: RunFolder, plan: Plan) -> None:
    """RequestError if the folder holds another configuration; StaleRun if only clips or
    values differ.
    """
    if (
        folder.path / "run.json"
    ).is_file() and folder.training.hash != plan.identity.hash:
        known = folder.training
        theirs = to_json(known.options)
        own = to_json(plan.training)
        changed = [
            name.upper() for name, value in own.items() if theirs.get(name) != value
        ]
        data = [
            name
            for name in ("cache", "clips")
            if getattr(known, name) != plan.identity.content[name]
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


def stale_data(folder: RunFolder, plan: Plan) -> str:
    """The difference between a run's clips and the plan's, in words."""
    now = len(originals(plan.table))
    with suppress(RequestError):  # no fold is finished, or a file is damaged
        before = folder.predictions().query("split == 'test'")["clip_id"].nunique()
        if folder.finished == folder.folds and before != now:
            return f"was trained on {counted(before, 'clip')}, there are {now:,} now"
    return "was trained on other clips or feature values than there are now"
