"""The computation of a run: number formats, compilation, and freed memory that is used
again.
"""

import platform
import shutil

import numpy as np
import pytest
import torch

from featurestack.train.compute import Compute
from tests.processes import python
from tests.train.little import CLASSES, change, execute

COUNT = """
import resource
from featurestack.train.compute import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        bytearray(64_000_000)  # written with zeros, freed
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(faults())
keep_freed_memory()
bytearray(64_000_000)
print(faults())
"""


@pytest.mark.parametrize(
    ("precision", "rounded"), [("fp32", False), ("bf16", True), ("fp16", True)]
)
def test_a_gpu_rounds_the_inputs_of_fp32_only_beside_another_format(precision, rounded):
    matmul = torch.backends.cuda.matmul
    cudnn = torch.backends.cudnn
    before = matmul.allow_tf32
    try:
        with cudnn.flags(enabled=True, benchmark=False, allow_tf32=not rounded):
            matmul.allow_tf32 = not rounded
            Compute("cuda", precision, threads=torch.get_num_threads()).prepare()
            assert matmul.allow_tf32 == cudnn.allow_tf32 == rounded
    finally:
        matmul.allow_tf32 = before


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="the C library is not glibc"
)
def test_large_memory_is_not_mapped_anew_each_time():
    done = python("-c", COUNT)
    before, after = map(int, done.stdout.split())
    assert after < 100 < before


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch's compiler causes warnings
@pytest.mark.skipif(
    shutil.which("g++") is None, reason="torch.compile wants a C++ compiler"
)
def test_a_compiled_run_answers_as_one_that_is_not(options):
    brief = change(options, folds=(1,), curve=0)
    eager, compiled = (execute(brief, compile=word) for word in (False, True))
    assert compiled.config.computed.way.compiled
    tables = [folder.predictions(1)[list(CLASSES)] for folder in (eager, compiled)]
    np.testing.assert_allclose(*tables, atol=2e-3)
