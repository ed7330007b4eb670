import json

import pytest

from pipeline.config import load_config
from pipeline.description import describe
from pipeline.job import prepare


def test_description_is_plain_json_and_says_where_the_tokenizer_is(sections):
    job = prepare(load_config(sections))
    said = describe(job)
    assert said["tokenizer"]["path"] == f"{job.attempt}/tokenizer"
    assert said["tokenizer"]["sha256"] == job.facts.sha256
    assert said["config"]["truncate"]["max_length"] == 64
    assert said["config"]["split"] == {"train": 1.0}
    assert json.loads(json.dumps(said["tokenizer"])) == said["tokenizer"]


@pytest.mark.parametrize(("shuffle", "shards"), [("auto", 1), ("runner", 1), ("none", "auto")])
def test_described_configuration_makes_the_same_job_again(sections, shuffle, shards):
    job = prepare(load_config(sections, [f"run.shuffle={shuffle}"]))
    said = describe(job)["config"]
    assert said["write"]["shards"] == shards
    assert describe(prepare(load_config(json.loads(json.dumps(said)))))["config"] == said
