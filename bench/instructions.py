"""Every model's training step against plain fp32, under each instruction set that the processor has.

    python -m bench.instructions                       all models, some minutes an instruction set
    python -m bench.instructions MODELS="cnn8 m11" SETS=AVX2
    python -m bench.instructions CONVOLUTIONS=yes      single convolutions instead, where oneDNN has errors

oneDNN is held to an instruction set by ONEDNN_MAX_CPU_ISA, each in its own process. A row is one model in
bf16 or in fp32 laid out channels last; figures are the worst over grids, stacks and batches. Exit status 1
where a step of ours disagrees.
"""

import itertools
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from commandline.commands import Command, main
from commandline.options import Options, option
from commandline.registry import RequestError
from commandline.terminal import text_table
from train.agreement import Batch, Deviation, Operations, measure_deviation
from train.compute import Compute, keep_freed_memory, poisoned_memory
from train.models.registry import all_models, build, find_model

SETS = {  # instruction set of oneDNN -> flag of the processor that it needs, torch's own kernels beside it
    "SSE41": ("sse4_1", "default"),
    "AVX2": ("avx2", "avx2"),
    "AVX512_CORE": ("avx512f", "avx512"),
    "AVX512_CORE_BF16": ("avx512_bf16", "avx512"),
    "AVX512_CORE_AMX": ("amx_bf16", "avx512"),
}
SHOWN = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "avx512_fp16", "asimd", "bf16")
GRIDS = ((64, 108), (64, 216), (128, 216), (8, 8), (16, 16), (32, 54))
LENGTHS = ((1, 8000), (1, 22050))
CHANNELS = (1, 3)
WAVES = (1, 2)
BATCHES = (2, 9)
CLASSES = 5


@dataclass(frozen=True, kw_only=True)
class InstructionsOptions(Options):
    """Which instruction sets, which models."""

    sets: tuple[str, ...] = option(tuple(SETS), "instruction sets, of those that this processor has")
    models: tuple[str, ...] = option((), "models, all but linear by default")
    short: bool = option(False, "the smallest grid and one batch of each: what the tests run")
    convolutions: bool = option(
        False,
        "single convolutions over few frames and with long kernels, not models",
    )
    child: bool = option(False, "only this process's instruction set, as lines of JSON")


def instructions(options: InstructionsOptions) -> int:
    """Training steps against plain fp32, under each instruction set."""
    if options.child:
        for row in convolution_rows() if options.convolutions else model_rows(options):
            print(json.dumps(row), flush=True)
        return 0
    if unknown := set(options.sets) - SETS.keys():
        raise RequestError(f"SETS={unknown.pop()}: expected some of {' '.join(SETS)}")
    print(processor())
    header = CONVOLUTION_HEADER if options.convolutions else MODEL_HEADER
    disagrees = False
    for name in available(options.sets):
        words = [f"MODELS={' '.join(options.models)}"] if options.models else []
        words += ["SHORT=yes"] if options.short else []
        words += ["CONVOLUTIONS=yes"] if options.convolutions else []
        command = [sys.executable, "-m", "bench.instructions", "CHILD=yes", *words]
        done = subprocess.run(command, env=environment(name), check=True, stdout=subprocess.PIPE, text=True)
        rows = [[name, *json.loads(line)] for line in done.stdout.splitlines()]
        print(text_table([[str(one) for one in row] for row in rows], ["instructions", *header]), flush=True)
        disagrees |= not options.convolutions and any(row[-1] for row in rows)
    return int(disagrees)


def available(names: tuple[str, ...]) -> list[str]:
    """Those that this processor has; says which it has not."""
    lacking = [name for name in names if SETS[name][0] not in flags()]
    for name in lacking:
        print(f"{name} skipped: this processor has no {SETS[name][0]}")
    return [name for name in names if name not in lacking]


def environment(name: str) -> dict[str, str]:
    """For a process that computes with this instruction set, on one thread."""
    held = {"ONEDNN_MAX_CPU_ISA": name, "ATEN_CPU_CAPABILITY": SETS[name][1]}
    return {**os.environ, **held, "OMP_NUM_THREADS": "1"}


def cpuinfo(*names: str) -> str:
    """The first line of that name in /proc/cpuinfo; nothing on other systems."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(names)), "")


def flags() -> set[str]:
    """What the processor can do."""
    return set(cpuinfo("flags", "Features").split())


def processor() -> str:
    """Its name, its flags that matter, torch's version."""
    name = cpuinfo("model name") or platform.processor() or platform.machine()
    return f"{name}: {' '.join(one for one in SHOWN if one in flags())}; torch {torch.__version__}"


MODEL_HEADER = (
    "model",
    "number format",
    "operation",
    "loss",
    "cosine",
    "with noise",
    "ratio",
    "steps",
    "disagrees",
)


def model_rows(options: InstructionsOptions) -> Iterator[tuple[object, ...]]:
    """Of each model and number format the worst over everything else."""
    keep_freed_memory()
    for name in options.models or [one for one, entry in all_models().items() if entry.kind != "linear"]:
        for compute in (
            Compute("cpu", "bf16", channels_last=True),
            Compute("cpu", "fp32", channels_last=True),
        ):
            worst, steps = Deviation(), 0
            for channels, shape in shapes(name, options.short):
                generator = torch.Generator().manual_seed(0)
                try:
                    network = build(name, channels, CLASSES, shape, generator=generator)
                except RequestError:
                    continue  # too small a grid for this model
                given = batches(channels, shape, BATCHES[: 1 if options.short else None], generator)
                worst, steps = worst.with_(measure_deviation(network, compute, given)), steps + len(given)
            figures = (
                f"{worst.operation:.1e}",
                f"{worst.loss:.1e}",
                f"{worst.cosine:.3f}",
                f"{worst.sound:.3f}",
                f"{worst.ratio:.2f}",
            )
            yield name, compute.precision, *figures, steps, worst.why


def shapes(name: str, short: bool) -> list[tuple[int, tuple[int, int]]]:
    """(channels, shape): every shape, with one and with several channels in turn."""
    wave = find_model(name).kind == "wave"
    sizes, channels = (LENGTHS, WAVES) if wave else (GRIDS, CHANNELS)
    pairs = list(zip(itertools.cycle(channels), sizes))
    return pairs[-1:] if short else pairs


def batches(
    channels: int, shape: tuple[int, int], sizes: tuple[int, ...], generator: torch.Generator
) -> list[Batch]:
    """Noise with rows of different level, and targets."""
    found = []
    for size in sizes:
        x = torch.randn(size, channels, *shape, generator=generator)
        if shape[0] > 1:
            x += torch.randn(size, channels, shape[0], 1, generator=generator)
        y = torch.nn.functional.one_hot(torch.arange(size) % CLASSES, CLASSES).float()
        found.append((x, 0.9 * y + 0.1 / CLASSES))
    return found


Pair = tuple[int, int]
Layer = tuple[Pair, Pair, Pair, Pair]  # kernel, stride, channels in and out, size
CONVOLUTION_HEADER = ("kernel", "stride", "channels", "input", "worst error")


def convolution_rows() -> Iterator[tuple[object, ...]]:
    """Those whose output or weight gradient in bf16 is wrong."""
    keep_freed_memory()
    sizes = [(h, w) for h in (1, 2, 3, 4, 8) for w in (1, 2, 3, 4, 8)]
    few: list[Layer] = [((k, k), (s, s), (256, 512), size) for k in (3, 5) for s in (1, 2) for size in sizes]
    long: list[Layer] = [
        ((1, k), (1, 4), (c, 64), (1, 1000)) for c in (1, 2, 3, 4, 8, 16) for k in (9, 16, 32, 64, 80)
    ]
    for kernel, stride, (inputs, outputs), size in [*few, *long]:
        padding = (kernel[0] // 2, kernel[1] // 2)
        layer = torch.nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        x = torch.randn(4, inputs, *size, requires_grad=True)
        watch = Operations("bf16")
        with poisoned_memory(), watch:
            with torch.autocast("cpu", torch.bfloat16):
                y = layer(x)
            y.backward(torch.randn_like(y))
        if watch.worst.why:
            told = ("x".join(map(str, pair)) for pair in (kernel, stride, (inputs, outputs), size))
            yield *told, watch.worst.why


COMMANDS: list[Command] = [instructions]

if __name__ == "__main__":
    main(COMMANDS)
