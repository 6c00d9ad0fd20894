"""`python -m train remove`: finished or abandoned runs deleted, after what goes has been said."""

import shutil
import sys
from contextlib import ExitStack, suppress

from commandline.terminal import size
from features_cache import dataset_name
from results.run_folder import select
from storage.files import Lock
from train.options import RemoveOptions


def remove_runs(options: RemoveOptions) -> int:
    """Say what the runs named hold, ask, and delete their folders; 1 if the answer is no.

    remove_runs(RemoveOptions(run="mel-cnn4", yes=True))
    """
    runs = select(options.runs, options.run, dataset_name(options.dataset))
    with ExitStack() as locks:
        for run in runs:
            for fold in run.path.glob("fold*"):
                busy = f"{fold} is being trained by another process"
                locks.enter_context(Lock(fold / ".lock", busy=busy))
        files = {run: [file for file in run.path.rglob("*") if file.is_file()] for run in runs}
        for run, own in files.items():
            print(f"{run.path}: {len(own)} files, {size(sum(file.stat().st_size for file in own))}")
        answer = "y" if options.yes else ""
        if not options.yes and sys.stdin.isatty():
            with suppress(EOFError):  # an input that ends is no answer
                answer = input("remove? [y/N] ")
        if answer.strip().lower() != "y":
            print("nothing was removed; YES=1 removes them")
            return 1
        for run in runs:
            (run.path / "run.json").unlink()  # first: what a kill leaves of the folder is no run any more
            shutil.rmtree(run.path)
    print("removed")
    return 0
