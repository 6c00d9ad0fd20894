"""`make remove`: delete runs."""

import sys
from contextlib import suppress
from pathlib import Path

from featurestack.commandline.quantities import size
from featurestack.features_cache import dataset_name
from featurestack.results.folders import RETRAINING, hidden, locked, remove_own, select
from featurestack.train.options import RemoveOptions


def remove_runs(options: RemoveOptions) -> int:
    """Name the files, ask, and delete; 1 if nothing was deleted."""
    folders = named_folders(options)
    with locked(*folders):
        for folder in folders:
            files = [file for file in folder.rglob("*") if file.is_file()]
            sizes = [file.stat().st_size for file in files]
            print(f"{folder}: {len(sizes)} files, {size(sum(sizes))}")
        answer = "y" if options.yes else ""
        if not answer and sys.stdin.isatty():
            with suppress(EOFError):  # no answer: standard input has ended
                answer = input("remove? [y/N] ")
        if answer.strip().lower() != "y":
            print("nothing was removed; YES=1 removes them")
            return 1
        for folder in folders:
            for file in remove_own(folder):
                print(f"{file} stays: it is not of the run")
    print("removed")
    return 0


def named_folders(options: RemoveOptions) -> list[Path]:
    """The folders that RUN names, with a retraining that was begun."""
    dataset = dataset_name(options.dataset)
    folders = []
    for run in select(options.runs, options.run, dataset):
        folders.append(run.path)
        begun = hidden(run.path, RETRAINING)
        if begun.is_dir():
            folders.append(begun)
    return folders
