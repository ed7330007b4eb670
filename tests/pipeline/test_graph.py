import json

import apache_beam as beam
import msgspec
import pyarrow as pa
import pytest
from apache_beam.coders import coders

from pipeline import build, load_config
from pipeline.running import Running
from tests.runs import KEEP, some_rows, write_jsonl, write_tokenizer
from transforms.coders import RecordBatchCoder

# What holds no batch: units of work, numbers, names of files, the manifest.
PLAIN = (
    "Read/Splits/",
    "Read/Spread/",
    "AddCounts/",
    "WriteDeadLetters/ParDo(_Write)",
    "WriteShards/Write",
    "WriteInOrder/Splits/",
    "WriteInOrder/Spread/",
    "Once/",
    "Commit",
)

PICKLING = (coders.FastPrimitivesCoder, coders.PickleCoder, coders.DillCoder, coders.CloudpickleCoder)


def parts(coder):
    """A coder and those that it is made of."""
    yield coder
    for part in coder._get_component_coders():
        yield from parts(part)


def coders_of(pipeline):
    """The coders of every PCollection with the transform that made it, as runners see them."""
    proto, context = pipeline.to_runner_api(return_context=True)
    leaves = [transform for transform in proto.components.transforms.values() if not transform.subtransforms]
    return [
        (transform.unique_name, [*parts(context.coders.get_by_id(proto.components.pcollections[output].coder_id))])
        for transform in leaves
        for output in transform.outputs.values()
    ]


def pickled(pipeline):
    """The transforms whose output may be a batch and is pickled."""
    return [
        name
        for name, found in coders_of(pipeline)
        if not name.startswith(PLAIN) and any(isinstance(coder, PICKLING) for coder in found)
    ]


@pytest.fixture
def config(tmp_path):
    tokenizer = write_tokenizer(tmp_path / "tokenizer")
    corpus = write_jsonl(tmp_path / "corpus.jsonl", some_rows(5))
    return load_config(
        {
            "read": {"files": str(corpus), "text_pair": "other", "keep": KEEP},
            "tokenize": {"tokenizer": str(tokenizer)},
            "write": {"path": str(tmp_path / "out"), "formats": ["parquet", "tfrecord"]},
        }
    )


def in_order(config):
    return msgspec.structs.replace(config, run=Running(shuffle="none"))


def test_batches_never_meet_a_pickling_coder(config):
    pipeline = beam.Pipeline()
    build(pipeline, config)
    assert pickled(pipeline) == []
    carrying = {
        name.split("/")[0] for name, found in coders_of(pipeline) if any(isinstance(c, RecordBatchCoder) for c in found)
    }
    assert carrying >= {
        "Read",
        "Tokenize",
        "Truncate",
        "BucketByLength",
        "WriteShards",
        "DeadLetters",
        "WriteDeadLetters",
    }


def test_batches_never_meet_a_pickling_coder_in_order_either(config):
    pipeline = beam.Pipeline()
    build(pipeline, in_order(config))
    # What WriteInOrder gives beside its dead letters is what the manifest says of a shard, and counts.
    assert set(pickled(pipeline)) <= {"WriteInOrder/Write/ParDo(_WriteUnit)"}
    carrying = {
        name.split("/")[0] for name, found in coders_of(pipeline) if any(isinstance(c, RecordBatchCoder) for c in found)
    }
    assert carrying == {"WriteInOrder", "DeadLetters", "WriteDeadLetters"}


def test_batches_that_would_be_pickled_are_noticed(config):
    pipeline = beam.Pipeline()
    build(pipeline, config)
    batches = pipeline | "Batches" >> beam.Create([pa.record_batch({"a": [1]})])
    _ = batches | "Untyped" >> beam.Map(lambda batch: batch.slice(0))
    _ = batches | "Typed" >> beam.Map(lambda batch: batch.slice(0)).with_output_types(pa.RecordBatch)
    _ = batches | "Keyed" >> beam.Map(lambda batch: (1, batch)).with_output_types(tuple[int, object])
    found = pickled(pipeline)
    assert {"Untyped", "Keyed"} <= set(found)
    assert "Typed" not in found


def test_untyped_batches_cost_a_slice_its_parent_where_typed_ones_do_not():
    parent = pa.record_batch({"a": ["x" * 1000] * 1000})
    one = parent.slice(3, 1)
    assert len(coders.FastPrimitivesCoder().encode(one)) > 1_000_000
    assert len(beam.coders.registry.get_coder(pa.RecordBatch).encode(one)) < 2000


def test_build_gives_the_manifest_as_the_one_element_in_somebody_elses_pipeline(config, tmp_path):
    with beam.Pipeline() as pipeline:
        _ = pipeline | "Theirs" >> beam.Create([1, 2])
        manifests = build(pipeline, config)
        _ = (
            manifests
            | beam.Map(lambda manifest: json.dumps([manifest["run_id"], manifest["totals"]["rows_written"]]))
            | beam.io.WriteToText(str(tmp_path / "said"), shard_name_template="", num_shards=1)
        )
    (path,) = (tmp_path / "out").glob("runs/*/manifest.json")
    manifest = json.loads(path.read_text())
    assert json.loads((tmp_path / "said").read_text()) == [manifest["run_id"], manifest["totals"]["rows_written"]]
    assert manifest["totals"]["rows_written"] == 5


def test_steps_are_labelled_in_the_order_of_the_data(config):
    pipeline = beam.Pipeline()
    build(pipeline, config)
    labels = [part.full_label for part in pipeline.transforms_stack[0].parts]
    wanted = ["Read", "Tokenize", "Truncate", "BucketByLength", "WriteDeadLetters", "WriteShards", "Commit"]
    assert [label for label in labels if label in wanted] == wanted


def test_rows_in_order_are_shuffled_nowhere_but_dead_letters(config):
    pipeline = beam.Pipeline()
    build(pipeline, in_order(config))
    labels = [part.full_label for part in pipeline.transforms_stack[0].parts]
    wanted = ["WriteInOrder", "DeadLetters", "WriteDeadLetters", "CheckDeadLetters", "Commit"]
    assert [label for label in labels if label in wanted] == wanted
    assert not {"Read", "Tokenize", "Truncate", "BucketByLength", "WriteShards"} & set(labels)
