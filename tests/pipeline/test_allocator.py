import subprocess
import sys

import pytest

from pipeline.allocator import ENVIRONMENT

# Page faults of a hundred arrays of 16 MiB, 4096 pages each, freed one after the other.
COUNT = """
import resource, sys
import numpy as np
if sys.argv[1] == "kept":
    from pipeline.allocator import keep_freed_memory
    assert keep_freed_memory()
np.ones(1 << 24, np.int8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(100):
    np.ones(1 << 24, np.int8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

linux = pytest.mark.skipif(sys.platform != "linux", reason="glibc alone is set up")


def run(code, *arguments, **environment):
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment or None).stdout


@linux
def test_freed_memory_is_used_again_without_a_page_fault():
    assert int(run(COUNT, "kept")) < 4096


@linux
def test_worker_processes_are_set_up_by_their_environment():
    code = "from pipeline.allocator import *; keep_freed_memory(); import os; print(os.environ)"
    said = run(code)
    for name, value in ENVIRONMENT.items():
        assert f"'{name}': '{value}'" in said
    assert int(run(COUNT, "as the environment says", **ENVIRONMENT)) < 4096


@linux
def test_what_the_environment_says_already_stands():
    code = "from pipeline.allocator import *; print(keep_freed_memory()); import os; print(os.environ)"
    said = run(code, MALLOC_TRIM_THRESHOLD_="1000000")
    assert said.startswith("False")
    assert "MALLOC_MMAP_THRESHOLD_" not in said
