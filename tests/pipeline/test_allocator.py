import subprocess
import sys

import pytest

from pipeline.allocator import ENVIRONMENT

# Page faults of ten rounds of twenty arrays of 8 MiB, 2,048 pages each, freed together.
COUNT = """
import resource, sys
import numpy as np
if sys.argv[1] == "kept":
    from pipeline.allocator import keep_freed_memory
    assert keep_freed_memory()

def rounds(number):
    for _ in range(number):
        [np.ones(8 << 20, np.int8) for _ in range(20)]

rounds(2)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
rounds(10)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

linux = pytest.mark.skipif(sys.platform != "linux", reason="glibc alone is set up")


def run(code, *arguments, **environment):
    command = [sys.executable, "-c", code, *arguments]
    # Without huge pages, of which an array would have eight faults alone.
    environment |= {"NUMPY_MADVISE_HUGEPAGE": "0"}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


@linux
def test_freed_memory_is_used_again_without_a_page_fault():
    assert int(run(COUNT, "not kept")) > 10 * 10 * 2048
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
