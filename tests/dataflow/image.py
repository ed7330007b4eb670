"""The image as its Dockerfile lays it out, without a container."""

from __future__ import annotations

import shlex
import shutil
from typing import TYPE_CHECKING

from tests.dataflow.worlds import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.dataflow.worlds import Machine, Said, World

DOCKERFILE = (ROOT / "deploy" / "dataflow" / "Dockerfile").read_text("utf-8").replace("\\\n", " ")


def instructions(name: str) -> list[str]:
    """The arguments of the Dockerfile's instructions of one kind."""
    return [line.split(maxsplit=1)[1] for line in DOCKERFILE.splitlines() if line.startswith(f"{name} ")]


def copies() -> list[tuple[str, str]]:
    """What the Dockerfile copies from the project, and where to."""
    plain = [shlex.split(line) for line in instructions("COPY") if not line.startswith("--from")]
    return [(source, target) for *sources, target in plain for source in sources]


class Image:
    """What the image holds of ours, on a machine that has what else it holds.

    Attributes:
        machine: The machine.
        entry: The file that launches a job.
        site: Where Oblong is installed.
    """

    def __init__(self, machine: Machine, folder: Path) -> None:
        """Copies and installs what the Dockerfile says."""
        for source, target in copies():
            place = folder / target.removeprefix("./")
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                place = place / source.rpartition("/")[2] if target.endswith("/") else place
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, place)
        self.machine, self.entry = machine, folder / "main.py"
        self.site = machine.install_from(folder / "source")

    def launch(self, world: World, *flags: str) -> Said:
        """Starts the entry file as the launcher of a Flex template does."""
        environ = {**world.environ, "PYTHONPATH": str(self.site), "OBLONG_IMAGE": "r/oblong:1"}
        return self.machine.run([str(self.entry), *flags], environ)

    def replay(self, pipeline: bytes, world: World) -> Said:
        """Runs a staged pipeline in workers that start from the image."""
        return self.machine.replay(pipeline, self.site, world.environ)
