from tests.transforms.conftest import COUNT


def test_each_batch_is_a_rectangle_as_wide_as_its_bucket(alone):
    for batch in alone["padded"]:
        widths = {len(ids) for ids in batch["input_ids"].to_pylist()}
        stem = batch.schema.metadata[b"oblong.shard"].decode()
        assert widths == {8 if "00008" in stem else 16}
        assert batch.num_rows <= 4
        assert batch.schema.names == ["label", "input_ids", "attention_mask", "length", "row_id"]
    assert sum(batch.num_rows for batch in alone["padded"]) == COUNT


def test_batches_of_a_shard_are_numbered_and_full_but_the_last(alone):
    shards = {}
    for batch in alone["padded"]:
        shard = batch.schema.metadata[b"oblong.shard"]
        shards.setdefault(shard, {})[int(batch.schema.metadata[b"oblong.batch"])] = batch.num_rows
    for sizes in shards.values():
        assert sorted(sizes) == list(range(len(sizes)))
        assert {sizes[number] for number in range(len(sizes) - 1)} <= {4}


def test_masks_say_which_cells_are_real(alone):
    for batch in alone["padded"]:
        for row in batch.to_pylist():
            real = row["length"]
            assert row["attention_mask"] == [1] * real + [0] * (len(row["input_ids"]) - real)
            assert row["input_ids"][real:] == [0] * (len(row["input_ids"]) - real)
            assert (row["input_ids"][0], row["input_ids"][real - 1]) == (2, 3)


def test_rows_that_were_not_dealt_are_padded_alike(alone):
    assert spelled(alone["padded_plain"]) == spelled(alone["padded"])


def spelled(batches):
    return sorted((str(batch.schema.metadata), str(batch.to_pylist())) for batch in batches)
