"""The arithmetic needs no Beam: it can be used, and tested, without it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import transforms.arrays

PACKAGE = Path(transforms.arrays.__file__).parent

CHECK = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(*[name for name in ("apache_beam", "transformers", "tensorflow", "torch") if name in sys.modules])
"""


def imported_by(names: list[str]) -> list[str]:
    """Which heavy packages a fresh Python has imported after some modules."""
    run = subprocess.run([sys.executable, "-c", CHECK, *names], capture_output=True, text=True, check=True)
    return run.stdout.split()


def test_no_module_of_the_arithmetic_imports_beam():
    paths = [path.relative_to(PACKAGE).with_suffix("") for path in sorted(PACKAGE.rglob("*.py"))]
    names = [".".join(("transforms.arrays", *path.parts)).removesuffix(".__init__") for path in paths]
    assert {"transforms.arrays", "transforms.arrays.shape", "transforms.arrays.readers"} <= set(names)
    assert imported_by(names) == []


def test_that_check_can_fail():
    assert imported_by(["transforms.step"]) == ["apache_beam"]
