"""`make bundle`: a run's models as one file; with `REFIT=1` one model, trained on the
clips of all folds.

That model predicts new audio at a fold's cost, a fifth of the work of five folds'
models. No clip is left to test it: the run's cross-validated score is that of models
trained on fewer clips, and the calibration of those models is used for this one.
"""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from featurestack.commandline.errors import RequestError, make_command
from featurestack.commandline.options import texts
from featurestack.commandline.quantities import counted, size
from featurestack.commandline.terminal import progress
from featurestack.features_cache.table import whole_split
from featurestack.predict.bundle import (
    BUNDLE_FORMAT,
    Bundle,
    BundleConfig,
    bundle_of_run,
)
from featurestack.predict.options import BundleOptions
from featurestack.results import run_folder
from featurestack.results.config import content_of
from featurestack.results.run_folder import RunFolder
from featurestack.results.selection import select_one
from featurestack.scores.tasks import require_clips
from featurestack.storage.own_files import own_file
from featurestack.train.checkpoint import as_bytes
from featurestack.train.compute import Compute
from featurestack.train.fold_data import measure_clips
from featurestack.train.folds import draw_network, load_data
from featurestack.train.options import RunOptions
from featurestack.train.plan import Plan, make_plan
from featurestack.train.trainer import trainer_of

RECORD = ".bundle.json"  # names the files that `bundle` writes
EVERY = 0  # number of the fold that tests nothing


def refit(run: RunFolder, data: Path) -> Bundle:
    """One model, trained like the run's folds on the clips of all."""
    plan = plan_of(run, data)
    clips = measure_clips(plan)
    way = run.training.computed
    assert way is not None, "the trainer records how it computes"
    compute = Compute.recorded(way)
    usable = plan.table[~plan.table["clip_id"].isin(list(clips.unusable))]
    network = draw_network(plan, EVERY)
    split = whole_split(usable)
    fold_data = load_data(plan, network, EVERY, split, clips, compute.device)
    compute.prepare()
    compute.place(network)
    trainer = trainer_of(plan)(fold_data, network, compute)
    total = plan.epochs * len(fold_data.train)
    with TemporaryDirectory() as name:
        folder = Path(name)
        run_folder.start_history(folder, [], plan.task.metric.history_columns)
        with progress(total=total, label="all folds' clips", unit="clips") as bar:
            trainer.fit(folder, bar)
    weights = trainer.weights()
    state = {key: weights[key] for key in ("network", "statistics")}
    config = BundleConfig(**vars(run.training), selection="last", refit=True)
    return Bundle(config, {EVERY: state})


def plan_of(run: RunFolder, data: Path) -> Plan:
    """The plan by which the run was trained; RequestError if it cannot be refitted."""
    config = run.training
    if run.validated:
        raise RequestError(
            f"REFIT=1 trains on all clips, but the epoch of {run.name} was chosen on"
            " validation clips: train a run without VAL"
        )
    require_clips(run.task, run.name)
    if config.command is None:  # one's own loop
        raise RequestError(
            f"REFIT=1 trains models of this project, and {run.name} was trained by a"
            " loop of its own"
        )
    options = replace(
        RunOptions.build(texts(RunOptions, config.command)),
        dataset=run.dataset,
        name=run.dataset,
        data=data,
        runs=run.path.parents[1],
        seed=config.seed,
    )
    plan = make_plan(options)
    if plan.hash != config.hash:
        raise RequestError(
            f"{plan.cache.folder} holds other clips or values than {run.name} was"
            " trained on: DATA= names the folder of the cache that trained it"
        )
    return plan


def make_bundle(options: BundleOptions) -> int:
    """Write the run's bundle to `out` or <run>.bundle.pt, and print its size."""
    run = select_one(options.runs, options.run, data=options.data)
    file = options.out or Path(f"{run.name}.bundle.pt")
    own = own_file(file, RECORD, "OUT")
    if options.refit:
        bundle = refit(run, options.data)
        made = (
            "one model of all folds' clips, without a score of its own (that of"
            f" {run.name} is cross-validated)"
        )
    else:
        bundle = bundle_of_run(run)
        made = counted(len(bundle.folds), "fold")
    content = {"config": content_of(bundle.config), "folds": bundle.folds}
    own.write({file.name: as_bytes({"format": BUNDLE_FORMAT, **content})})
    command = make_command("predict", f"RUN={file}", "AUDIO=FILE")
    print(f"{file}: {made}, {size(file.stat().st_size)}; {command} uses it")
    return 0
