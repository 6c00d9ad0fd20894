"""Checks of everything that a GPU can change: `python -m bench.gpu DEVICE=cuda`.

Results are checked for each model on one fold of the synthetic clips, then requests that cannot be met; then
clips a second are timed for a table in Markdown. Exit status 1 if a check fails. DEVICE=cpu runs the same
checks on the CPU.
"""

import contextlib
import itertools
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from bench.training import CLASSES, Apart, Saved, epoch_of, make_run, save_arrays, take_turns, trainer_of
from commandline.commands import main
from commandline.errors import Failed
from commandline.options import Options, option, words
from results.run_folder import RunFolder
from train.choose_compute import measure
from train.compute import Compute, machine
from train.models.architecture import all_models, resolve
from train.options import RunOptions
from train.own_loop import OwnRun
from train.plan import make_plan
from train.run import execute
from train.trainer import Trainer, draw_network

ROUNDS = 3
LIMITS = {  # statements that leave a process little memory
    "cuda": "import torch; torch.cuda.set_per_process_memory_fraction(0.01)",
    "cpu": "import resource; resource.setrlimit(resource.RLIMIT_DATA, (2**31, 2**31))",
}

Checks = Iterator[tuple[str, object]]  # a statement, and whether it holds


class GpuOptions(Options):
    """Which device, which models, how much is timed."""

    device: str = option("cuda", "cuda, mps or cpu")
    models: str = option("", "names separated by blanks; the default and every model if empty")
    only: str = option("", "uses, refused or models' names: some checks instead of all")
    clips: int = option(1024, "clips of a timed epoch; 0 times nothing", least=0)


def ends(given: list[str], status: int = 0, part: str = "", limit: str = "") -> bool:
    """Whether `python -m <given>` ends with this status and says this part, without a traceback."""
    code = (
        f"{limit}\nimport runpy, sys\nsys.argv = {given}\nrunpy.run_module(sys.argv[0], run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return done.returncode == status and part in done.stderr and "Traceback" not in done.stderr


def check_model(run: RunOptions) -> Checks:
    trained = execute(run)
    asked = ["train", "predict", str(trained.path), "TEST_CLIPS=1", f"DATA={run.data}"]
    for device in ("cpu", run.device):
        yield f"the same predictions on {device}", ends([*asked, f"DEVICE={device}"], part=": the same")
    for place in ("auto", "ram", "stream"):  # auto: resident on a GPU
        again = execute(replace(run, tag=place, resident=place))
        yield f"the same bits with RESIDENT={place}", again.predictions(1).equals(trained.predictions(1))
    plan = make_plan(run)
    if not plan.input.kind.in_steps:
        return
    trainer = trainer_of(run, Compute(run.device))
    (batch,) = trainer.data.batches(trainer.draw(trainer.data, 1)[0][:1])
    ways = [Compute(run.device, "bf16"), Compute(run.device, "fp16")]
    if "+" in run.model:  # compiling takes minutes: the default alone
        ways.append(Compute(run.device, compiled=True))
    for compute in ways:
        reason = measure(draw_network(plan, 1), compute, batch)
        yield f"{compute} agrees with fp32 {reason}", not reason
    for devices in dict.fromkeys([(run.device, "cpu"), ("cpu", run.device)]):
        yield f"begun on {devices[0]}, continued on {devices[1]}", continues(run, *devices)


def continues(run: RunOptions, first: str, second: str) -> bool:
    """Whether a run that stops after an epoch on the first device goes on on the second."""
    run = replace(run, device="auto", tag=f"from-{first}")
    train_epoch = Trainer.train_epoch

    def one_epoch(trainer: Trainer, bar: Any) -> dict[str, float]:
        if trainer.epoch:
            raise Failed("stopped")
        return train_epoch(trainer, bar)

    stopped = patch.object(Trainer, "train_epoch", one_epoch)
    with patch("train.compute.device_of", lambda _: first), stopped, contextlib.suppress(Failed):
        execute(run)
    begun = RunFolder(make_plan(run).path).history(1)
    with patch("train.compute.device_of", lambda _: second):
        done = execute(run)
    return done.training.device == second and done.history(1)[:1].equals(begun) and len(done.history(1)) == 2


def check_uses(run: RunOptions) -> Checks:
    trained = execute(run)
    places = words(run, ("dataset", "data", "runs"))
    audio, bundle = make_plan(run).cache.clips["path"].iloc[0], run.runs / "a.bundle.pt"
    for given in (
        ["explain", str(trained.path), f"DATA={run.data}", f"DEVICE={run.device}"],
        ["bundle", str(trained.path), f"OUT={bundle}"],
        ["predict", str(bundle), f"AUDIO={audio}", f"DEVICE={run.device}"],
        ["importance", "FEATURES=mel mfcc", "MODEL=texture", "EPOCHS=2", *places],
    ):
        yield given[0], ends(["train", *given])
    own = OwnRun("own", run)
    test = own.clips(1, "test")
    x = torch.stack([test[index][0] for index in range(len(test))]).flatten(1).to(run.device)
    network = torch.nn.Linear(x.shape[1], len(own.classes)).to(run.device)
    yield "own loop", own.write(1, network(x).softmax(1).detach().cpu()).finished == [1]


def check_refusals(run: RunOptions) -> Checks:
    def trains(status: int, part: str, limit: str = "", **changes: Any) -> bool:
        return ends(["train", "run", *words(replace(run, tag="refused", **changes))], status, part, limit)

    large = {"model": "resnet50", "batch": 64, "grid": "1024x4096", "threads": "1"}
    yield "a batch that does not fit", trains(1, "out of memory on", LIMITS.get(run.device, ""), **large)
    for absent in ("cuda:99", f"{run.device} cuda:99"):
        yield f"DEVICE={absent}", trains(2, "cannot be used", device=absent)
    yield "folds side by side", trains(0, "fold 2", device=f"{run.device} {run.device}", folds=(1, 2))


def time_epochs(device: str, clips: int, scratch: Path) -> Iterator[str]:
    """Rows of the table."""
    noise = make_run(scratch / "noise", clips)
    data = Saved(save_arrays(scratch / "saved", clips), [number % CLASSES for number in range(clips)])
    threads = torch.get_num_threads()
    compiling = (False, True) if device == "cuda" else (False,)
    for model, batch in itertools.product(("resnet18", RunOptions.model), (32, 256)):
        run = replace(noise, model=model, batch=batch)
        ways = {}
        homes = {"resident": run, "streamed": replace(run, resident="stream")}
        for precision, compiled, home in itertools.product(("fp32", "bf16"), compiling, homes):
            compute = Compute(device, precision, True, threads, compiled)
            ways[f"{compute}, {home}"] = epoch_of(trainer_of(homes[home], compute))
        compute = Compute(device, "bf16", True, threads)
        ways["bare"] = epoch_of(trainer_of(replace(run, augment="none"), compute, bare=True))
        with Apart(data, draw_network(make_plan(run), 1), batch, threads, device) as usual:
            seconds = take_turns({"usual loop": usual, **ways}, ROUNDS)
        times = {name: statistics.median(values) for name, values in seconds.items()}
        for name, taken in times.items():
            yield f"| {model} | {batch} | {name} | {clips / taken:.0f} |"
        yield f"| {model} | {batch} | device computes | {times['bare'] / times[f'{compute}, resident']:.0%} |"


def gpu(options: GpuOptions) -> int:
    """Check, then time."""
    device = options.device
    failed = 0
    with tempfile.TemporaryDirectory() as place:
        data = f"{place}/data"
        extraction = ["pipeline", "features", "DATASET=synth", "FEATURES=mel mfcc waveform", f"DATA={data}"]
        checks: dict[str, Checks] = {"synth": iter([("features", ends(extraction))])}
        given = {"dataset": "synth", "data": data, "folds": "1", "epochs": "2", "precision": "fp32"}
        for model in options.models.split() or [RunOptions.model, *all_models()]:
            features = "waveform" if resolve(model).kind.name == "wave" else "mel+mfcc"
            named = {"model": model, "features": features, "runs": f"{place}/{model}", "device": device}
            checks[model] = check_model(run := RunOptions.build(given | named))
        checks |= {"uses": check_uses(run), "refused": check_refusals(run)}
        chosen = ["synth", *(options.only.split() or checks)]
        for subject in dict.fromkeys(chosen):
            for check, holds in checks[subject]:
                print("ok  " if holds else "FAIL", f"{subject}: {check}", flush=True)
                failed += not holds
        if options.clips:
            found = machine(device)
            print(f"\n{found.gpu or found.processor}, {found.cores} cores, torch {torch.__version__}")
            print("\n| model | batch | how | clips/s |\n|---|---|---|---|")
            print(*time_epochs(device, options.clips, Path(place)), sep="\n")
    return int(failed > 0)


if __name__ == "__main__":
    main([gpu])
