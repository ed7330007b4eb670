"""What tests of Beam steps share: running a pipeline in this process and looking at what came out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.options.pipeline_options import PipelineOptions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def run(build: Callable[[beam.Pipeline], dict[str, Any]], folder: Path) -> dict[str, list[Any]]:
    """Runs what `build` adds to a pipeline.

    Args:
        build: Gives PCollections by name: of RecordBatches, or of what JSON can spell.
        folder: For what comes out.

    Returns:
        The elements of each, in no order.
    """
    for name in ("elements", "batches"):
        (folder / name).mkdir(parents=True)
    with beam.Pipeline(runner="DirectRunner", options=PipelineOptions(["--prism_location=disabled"])) as pipeline:
        names = [name for name, elements in build(pipeline).items() if elements | f"Save {name}" >> _Save(folder, name)]
    return {name: [_load(path) for path in sorted(folder.glob(f"elements/{name}-*"))] for name in names}


class _Save(beam.PTransform):
    def __init__(self, folder: Path, name: str) -> None:
        super().__init__()
        self._prefix = f"{folder}/elements/{name}"

    def expand(self, elements: Any) -> Any:
        return elements | beam.ParDo(_SaveEach(self._prefix))


class _SaveEach(beam.DoFn):
    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def process(self, element: Any) -> None:
        import uuid

        path = f"{self._prefix}-{uuid.uuid4().hex}"
        if isinstance(element, pa.RecordBatch):
            with pa.OSFile(f"{path}.arrow", "wb") as sink, pa.ipc.new_stream(sink, element.schema) as writer:
                writer.write_batch(element)
        else:
            with open(f"{path}.json", "w") as stream:  # noqa: PTH123 - runs in a worker
                json.dump(element, stream)


def _load(path: Path) -> Any:
    if path.suffix == ".json":
        return json.loads(path.read_text())
    with pa.OSFile(str(path)) as source, pa.ipc.open_stream(source) as reader:
        return reader.read_next_batch()
