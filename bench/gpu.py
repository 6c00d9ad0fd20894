"""Checks of what a GPU can change: `python -m bench.gpu DEVICE=cuda`.

Each model trains on one fold of the synthetic clips, and its results are compared. Then
come the other commands, and requests that cannot be met. The exit status is 1 if a
check fails. DEVICE=cpu runs the same checks on the CPU.
"""

import contextlib
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import replace

import torch

from featurestack.commandline.commands import main
from featurestack.commandline.options import Options, option, texts
from featurestack.results.run_folder import RunFolder
from featurestack.train.compute import device_of
from featurestack.train.models.architecture import all_models, resolve
from featurestack.train.options import RunOptions
from featurestack.train.own_loop import OwnRun
from featurestack.train.plan import make_plan
from featurestack.train.run import execute
from featurestack.train.trainer import Trainer, train_run

Checks = Iterator[tuple[str, bool]]  # a statement, and whether it holds


class GpuOptions(Options):
    """Options: the device, the models, their input."""

    device: str = option("cuda", "cuda, mps or cpu")
    models: str = option(
        "",
        "models, separated by blanks; by default the default ensemble and every model",
    )
    grid: str = option("", "rows x columns of a checked model's input, as in training")


def ends(command: str, status: int = 0, part: str = "", before: str = "") -> bool:
    """Whether `python -m <command>` ends with this status and says this part, without a
    traceback.
    """
    done = subprocess.run(
        f"{before} '{sys.executable}' -m {command}",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    return (
        done.returncode == status
        and part in done.stderr
        and "Traceback" not in done.stderr
    )


class Interrupted(Trainer):
    """A training that stops before its last epoch."""

    def train_epoch(self, bar: object) -> dict[str, float]:
        if self.epoch == self.epochs - 1:
            raise KeyboardInterrupt
        return super().train_epoch(bar)


def begin(run: RunOptions, device: str) -> RunFolder:
    """Train all epochs but the last one; return the run folder."""
    plan = make_plan(run)
    with contextlib.suppress(KeyboardInterrupt):
        train_run(plan, [1], device, Interrupted)
    return RunFolder(plan.path)


def check_model(run: RunOptions) -> Checks:
    trained = execute(run)
    for device in {"cpu", run.device}:
        verify = f"train verify {trained.path} DATA={run.data} DEVICE={device}"
        yield f"{run.model}: the same predictions on {device}", ends(verify)
    for place in ("auto", "ram", "stream"):  # auto: resident on a GPU
        again = execute(replace(run, tag=place, resident=place))
        same = again.predictions(1).equals(trained.predictions(1))
        yield f"{run.model}: the same bits with RESIDENT={place}", same
    if run.model == "linear":  # an exact solution, on the CPU
        return
    ways: list[dict[str, object]] = [{"precision": "bf16"}, {"precision": "fp16"}]
    if run.model == RunOptions.model:  # compiling takes minutes
        ways.append({"compile": True})
    for way in ways:  # a run compares its way to compute with fp32 before it trains
        untrained = RunOptions(**vars(run) | way | {"epochs": 1})
        computed = begin(untrained, run.device).training.computed
        assert computed is not None
        checked = computed.checked or {"nothing": "was compared"}
        for compute, reason in checked.items():
            yield f"{run.model}: {compute} agrees with fp32 {reason}", not reason
    for first, second in {(run.device, "cpu"), ("cpu", run.device)}:
        moved = replace(run, tag=f"from-{first}")
        begun = begin(moved, first).history(1)
        train_run(make_plan(moved), [1], second)
        done = RunFolder(make_plan(moved).path)
        computed = done.training.computed
        assert computed is not None
        same_epochs = done.history(1)[:-1].equals(begun)
        goes_on = computed.way.device == second and same_epochs
        yield f"{run.model}: begun on {first}, continued on {second}", goes_on


def check_commands(run: RunOptions) -> Checks:
    """The other commands, and requests that cannot be met."""
    trained = execute(run).path
    where = f"DATA={run.data} RUNS={run.runs}"
    for command in (
        f"train bundle {trained} OUT={run.runs}/bundle.pt",
        (
            f"train predict {run.runs}/bundle.pt AUDIO={run.data}/synth/audio"
            f" DEVICE={run.device}"
        ),
        (
            "train importance FEATURES='mel mfcc' MODEL=texturenet EPOCHS=2"
            f" DATASET=synth {where}"
        ),
    ):
        yield command.split()[1], ends(command)
    own = OwnRun("own", run)
    (x, _), *_ = torch.utils.data.DataLoader(own.clips(1, "test"), batch_size=1000)
    network = torch.nn.LazyLinear(len(own.classes), device=run.device)
    probabilities = network(x.flatten(1).to(run.device)).softmax(1)
    yield "own loop", own.write(1, probabilities.detach().cpu()).finished == [1]
    train = (
        f"train run DATASET=synth FEATURES=mel EPOCHS=1 DATA={run.data} RUNS={run.runs}"
        " DEVICE="
    )
    # 500 GB of activations
    large = f"{train}{run.device} MODEL=resnet50 BATCH=64 GRID=1024x4096 THREADS=1"
    limit = "ulimit -d 2000000;" if run.device == "cpu" else ""
    yield "a batch that does not fit", ends(large, 1, "out of memory on", limit)
    for absent in ("cuda:99", f"'{run.device} cuda:99'"):
        yield f"DEVICE={absent}", ends(train + absent, 2, "cannot be used")
    yield (
        "folds side by side",
        ends(f"{train}'{run.device} {run.device}' FOLDS='1 2'", part="fold 2"),
    )


def gpu(options: GpuOptions) -> int:
    """Check what a GPU can change."""
    device = device_of(options.device)
    failed = 0
    with tempfile.TemporaryDirectory() as place:
        assert ends(
            "pipeline features DATASET=synth FEATURES='mel mfcc waveform'"
            f" DATA={place}/data"
        )
        runs = []
        for model in options.models.split() or (RunOptions.model, *all_models()):
            features = "waveform" if resolve(model).kind.name == "wave" else "mel+mfcc"
            given = (
                f"DATASET=synth FEATURES={features} MODEL={model} FOLDS=1 EPOCHS=2"
                f" PRECISION=fp32 DEVICE={device} DATA={place}/data RUNS={place}/runs"
                f" GRID={options.grid}"
            )
            runs.append(RunOptions.build(texts(RunOptions, given.split())))
        for checks in (*map(check_model, runs), check_commands(runs[0])):
            try:
                for check, holds in checks:
                    print("ok  " if holds else "FAIL", check, flush=True)
                    failed += not holds
            except Exception:  # the next group of checks is made all the same
                print("FAIL", traceback.format_exc())
                failed += 1
    return int(failed > 0)


if __name__ == "__main__":
    main([gpu])
