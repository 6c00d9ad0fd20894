"""Under each instruction set of oneDNN a run in bf16 agrees with fp32, or computes in
fp32.
"""

import os

import numpy as np
import pytest
import torch

from featurestack.commandline.options import option_words
from featurestack.results.folders import find
from tests.processes import python
from tests.train.little import change

# of oneDNN, which takes the best that the processor has up to this
SETS = ("AVX2", "AVX512_CORE_AMX")
# allowed difference of a probability after one epoch; an unwritten gradient gives more
FARTHEST = 0.2


def probabilities(options, **environment):
    """The run's probabilities for the clips of fold 1."""
    python(
        "-m",
        "featurestack",
        "train",
        *option_words(options),
        environment=os.environ | environment,
    )
    (run,) = find(options.runs)
    return run.answers(1)[0]


@pytest.mark.slow
def test_bf16_agrees_with_fp32_under_every_instruction_set(options):
    options = change(
        options, model="cnn8@width=8", grid="64x108", folds=(1,), epochs=1, batch=6
    )
    expected = probabilities(options)
    best = torch.backends.cpu.get_cpu_capability().lower()
    for name, kernels in zip(SETS, ("avx2", best)):  # torch runs what it is told to
        environment = {"ONEDNN_MAX_CPU_ISA": name, "ATEN_CPU_CAPABILITY": kernels}
        bf16 = change(options, precision="bf16", runs=options.runs / name)
        assert np.abs(probabilities(bf16, **environment) - expected).max() < FARTHEST, (
            name
        )
