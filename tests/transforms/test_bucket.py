from tests.transforms.conftest import COUNT
from transforms.arrays.shards import Shard, deal


def test_every_row_goes_to_the_shard_of_its_length(alone):
    shards = {}
    for stem, rows in alone["stems"]:
        shards[stem] = shards.get(stem, 0) + rows
    assert sum(shards.values()) == COUNT
    assert set(shards) == {
        f"train/bucket-{bucket}/part-{number:05}-of-00002" for bucket in ("00008", "00016") for number in (0, 1)
    }
    lengths = [len(ids) for batch in alone["truncated"] for ids in batch["input_ids"].to_pylist()]
    short = sum(rows for stem, rows in shards.items() if Shard.parse(stem).bucket == 8)
    assert short == sum(length <= 8 for length in lengths)


def test_step_deals_as_the_function_does(alone):
    expected = {}
    for batch in alone["truncated"]:
        for stem, part in deal(batch, alone["shape"]):
            expected[stem] = expected.get(stem, 0) + part.num_rows
    found = {}
    for stem, rows in alone["stems"]:
        found[stem] = found.get(stem, 0) + rows
    assert found == expected


def test_empty_batch_goes_nowhere(alone):
    assert list(deal(alone["truncated"][0].slice(0, 0), alone["shape"])) == []
