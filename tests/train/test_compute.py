"""How a run computes: number formats, and freed memory that is used again, as page faults show."""

import platform
import subprocess
import sys

import pytest
import torch

from train.compute import Compute, candidates
from train.options import RunOptions

COUNT = """
import resource
from train.compute import keep_freed_memory

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


def test_numbers_instead_of_maps_are_computed_in_fp32_unless_another_format_is_asked_for(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    for shape, formats in (((32, 9, 1, 1), {"fp32"}), ((32, 3, 64, 216), {"bf16", "fp32"})):
        assert {one.precision for one in candidates(RunOptions(), "cpu", shape)} == formats
    asked = candidates(RunOptions(precision="bf16"), "cpu", (32, 9, 1, 1))
    assert {one.precision for one in asked} == {"bf16"}


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
@pytest.mark.parametrize(("precision", "rounded"), [("fp32", False), ("bf16", True), ("fp16", True)])
def test_a_gpu_rounds_the_inputs_of_fp32_only_beside_another_format(precision, rounded):
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32
    try:
        with cudnn.flags(enabled=True, benchmark=False, allow_tf32=not rounded):
            matmul.allow_tf32 = not rounded
            Compute("cuda", precision, threads=torch.get_num_threads()).prepare()
            assert matmul.allow_tf32 == cudnn.allow_tf32 == rounded
    finally:
        matmul.allow_tf32 = before


def test_large_memory_is_not_mapped_anew_each_time():
    done = subprocess.run([sys.executable, "-c", COUNT], check=True, capture_output=True, text=True)
    before, after = map(int, done.stdout.split())
    assert after < 100 < before
