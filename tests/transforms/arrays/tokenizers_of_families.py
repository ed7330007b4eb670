"""Small tokenizers of every family that text can be cut for, trained on the spot, and some of none."""

from __future__ import annotations

import json
from functools import cache

from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from transforms.arrays.families import CL100K

TEXTS = [
    "Hello world, it's a test; they've said I'll be 1234 years old (or 5.6e7)!",
    "naïve café — déjà vu… 한국어 문장 中文字 日本語 русский текст العربية",
    "def f(x_1, y2): return x_1 + y2*10  # comment\n\tif x:\n\t\tpass\r\n\r\n",
    "don't DON'T can't 's 're  double  spaces   triple \u00a0 nbsp \u3000 wide",
] * 20


def _bpe(pre_tokenizer, normalizer=None):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def _split(pattern):
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def _wordpiece(normalizer, pre_tokenizer):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre_tokenizer
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(TEXTS, trainers.WordPieceTrainer(vocab_size=400, special_tokens=special))
    return tokenizer


def _unigram(normalizer, pre_tokenizer):
    tokenizer = Tokenizer(models.Unigram())
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    special = ["<unk>", "<s>", "</s>", "<mask>"]
    trainer = trainers.UnigramTrainer(vocab_size=300, special_tokens=special, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


MADE = {
    "bert, uncased": lambda: _wordpiece(normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()),
    "bert, cased": lambda: _wordpiece(
        normalizers.BertNormalizer(lowercase=False, strip_accents=False), pre_tokenizers.BertPreTokenizer()
    ),
    "gpt-2": lambda: _bpe(pre_tokenizers.ByteLevel(add_prefix_space=False)),
    "gpt-2 with NFC": lambda: _bpe(pre_tokenizers.ByteLevel(add_prefix_space=False), normalizers.NFC()),
    "gpt-2 with NFKC": lambda: _bpe(pre_tokenizers.ByteLevel(add_prefix_space=False), normalizers.NFKC()),
    **{f"cl100k {i}": lambda pattern=pattern: _bpe(_split(pattern)) for i, pattern in enumerate(CL100K)},
    "unigram, metaspace": lambda: _unigram(None, pre_tokenizers.Metaspace()),
    "unigram, metaspace first": lambda: _unigram(normalizers.NFKC(), pre_tokenizers.Metaspace(prepend_scheme="first")),
    "unigram, spaces collapsed": lambda: _unigram(
        normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]),
        pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]),
    ),
    "unigram, lines are spaces": lambda: _unigram(
        normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]),
        pre_tokenizers.Metaspace(),
    ),
    "unigram, white space": lambda: _unigram(None, pre_tokenizers.WhitespaceSplit()),
    "wordpiece, words": lambda: _wordpiece(normalizers.Lowercase(), pre_tokenizers.Whitespace()),
}

NAMES = tuple(MADE)


@cache
def made(name):
    """The tokenizer of that name, trained once a process."""
    return MADE[name]()


def changed(tokenizer, **parts):
    """A tokenizer with parts of its JSON replaced."""
    return Tokenizer.from_str(json.dumps(json.loads(tokenizer.to_str()) | parts))


def with_token(tokenizer, content, **flags):
    """A tokenizer with one more added token."""
    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.add_tokens([AddedToken(content, **flags)])
    return copy
