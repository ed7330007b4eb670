"""Fuzzes the targets with atheris, each for some seconds, guided by the code that runs: `make fuzz`.

    python -m tests.hostile.fuzz [SECONDS [TARGET ...]]

A target that breaks ends it with exit 1; the bytes that did are in the file that is named.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

MOST_BYTES = 4096  # of an input


def fuzz_one(name: str, seconds: str, corpus: str) -> None:
    """Fuzzes one target in this process, which atheris ends."""
    import atheris

    with atheris.instrument_imports(include=["transforms", "pipeline", "yaml", "csv", "json"]):
        from tests.hostile.targets import SEEDS, TARGETS
    for i, seed in enumerate(SEEDS[name]):
        Path(corpus, str(i)).write_bytes(seed)
    flags = [f"-max_total_time={seconds}", f"-max_len={MOST_BYTES}", "-rss_limit_mb=4096", "-timeout=60"]
    atheris.Setup([sys.argv[0], *flags, f"-artifact_prefix=fuzz-{name}-", corpus], TARGETS[name])
    atheris.Fuzz()


def fuzz_all(seconds: str, names: list[str]) -> int:
    """Fuzzes targets one after the other, each in a process of its own; returns the exit code."""
    from tests.hostile.targets import TARGETS

    broken = []
    for name in names or list(TARGETS):
        with tempfile.TemporaryDirectory(prefix="oblong-fuzz-") as corpus:
            command = [sys.executable, "-m", "tests.hostile.fuzz", "--one", name, seconds, corpus]
            done = subprocess.run(command, stderr=subprocess.PIPE, text=True, errors="replace", check=False)
        last = [line for line in done.stderr.splitlines() if line.startswith(("Done", "stat", "#"))][-1:]
        print(f"{name}: {'ok' if done.returncode == 0 else 'BROKEN'} {' '.join(last)}", flush=True)
        if done.returncode:
            broken.append(name)
            print(done.stderr[-4000:], file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        fuzz_one(*sys.argv[2:])
    else:
        sys.exit(fuzz_all(sys.argv[1] if len(sys.argv) > 1 else "60", sys.argv[2:]))
