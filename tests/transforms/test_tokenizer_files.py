import pytest

from transforms.arrays.errors import ConfigError
from transforms.tokenizer_files import TokenizerFiles, read_tokenizer_files


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(path):
    with pytest.raises(ConfigError) as caught:
        read_tokenizer_files(str(path))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["tokenizer.json", "other.json", "no suffix"])
def test_file_is_a_tokenizer_by_itself(folder, name):
    (folder / name).write_bytes(b"{1}")
    (folder / "tokenizer_config.json").write_bytes(b"{2}")
    assert read_tokenizer_files(name) == TokenizerFiles(name, b"{1}", None)


@pytest.mark.parametrize("folder_name", ["tok", "tok.json"])
def test_folder_gives_the_tokenizer_and_its_config_if_it_is_there(folder, folder_name):
    (folder / folder_name).mkdir()
    (folder / folder_name / "tokenizer.json").write_bytes(b"{1}")
    assert read_tokenizer_files(f"{folder_name}/") == TokenizerFiles(f"{folder_name}/tokenizer.json", b"{1}", None)
    (folder / folder_name / "tokenizer_config.json").write_bytes(b"{2}")
    assert read_tokenizer_files(folder_name) == TokenizerFiles(f"{folder_name}/tokenizer.json", b"{1}", b"{2}")


@pytest.mark.parametrize("files", [[], ["vocab.txt"]])
def test_folder_without_tokenizer_json_is_refused_with_the_command_that_makes_one(folder, files):
    (folder / "tok").mkdir()
    for name in files:
        (folder / "tok" / name).touch()
    assert refusal("tok/") == (
        "tokenize.tokenizer: the folder tok/ has no tokenizer.json; make one: python -c "
        "\"from transformers import AutoTokenizer; AutoTokenizer.from_pretrained('tok').save_pretrained('tok')\""
    )


@pytest.mark.parametrize(
    ("name", "load"),
    [
        ("bert-base-uncased", "'bert-base-uncased'"),
        ("google/gemma-2b", "'google/gemma-2b'"),
        ("google/gemma-2b@refs/pr/1", "'google/gemma-2b', revision='refs/pr/1'"),
    ],
)
def test_name_of_a_hub_is_refused_with_the_command_that_saves_it(name, load):
    assert refusal(name) == (
        f"tokenize.tokenizer: there is no file or folder {name}; names of a hub are not available yet, "
        "so save it first: "
        f'python -c "from transformers import AutoTokenizer; AutoTokenizer.from_pretrained({load})'
        ".save_pretrained('tokenizer')\", then --tokenizer tokenizer"
    )


@pytest.mark.parametrize("path", ["tok.json", "./tok", "/nowhere/tok", "a/b/c"])
def test_path_that_is_not_there_is_named(path):
    assert refusal(path) == f"tokenize.tokenizer: there is no file or folder {path}"
