"""Freed memory is used again, which the system's count of page faults shows."""

import platform
import subprocess
import sys

import pytest

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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_large_memory_is_not_mapped_anew_each_time():
    done = subprocess.run([sys.executable, "-c", COUNT], check=True, capture_output=True, text=True)
    before, after = map(int, done.stdout.split())
    assert after < 100 < before
