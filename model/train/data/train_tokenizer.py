"""Train the tokenizer of the bundled checkpoint.

    python -m dgemma_model.train.data.train_tokenizer --corpus .cache/corpus --out model/checkpoint/

Writes ``tokenizer.json`` and the two small files from which transformers' ``AutoTokenizer`` loads the same
tokenizer. Every weight of the model depends on the vocabulary: a new tokenizer means a new model, so an
existing file is overwritten only with ``--force``.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from dgemma_model.spelling import byte_alphabet
from dgemma_model.tokenizer import BOS, DRAFT, END, PAD

VOCAB_SIZE = 8192  # specials included
SAMPLE_BYTES = 25_000_000
SAMPLE_PACKAGE_BYTES = 1_500_000  # of one package, or the giants' private words fill the vocabulary
MAX_TOKEN_BYTES = 32  # room for deep indentation; no token for somebody's licence header
SPECIAL_TOKENS = (
    PAD,
    END,
    BOS,
    DRAFT,
    *(f"<unused{i}>" for i in range(1, 5)),
)  # in the order of their ids, from 0
CONTEXT_TOKENS = 1_000_000_000  # the tokenizer itself sets no limit

# The pre-tokens, first match first; together they cover every character.
PATTERN = "|".join(
    [
        r"(?:\r?\n)+[ \t]*",  # line ends with the indentation that follows: Python's INDENT is one token
        r"\p{N}",  # digits apart: 1000 and 1001 share all but one token
        r" ?[\p{L}_]+",  # words: the space before belongs to them, so "x = foo" is 3 tokens
        r" ?[^\s\p{L}\p{N}_]+",  # punctuation, likewise
        r"[ \t]+(?= [^\s\p{N}])",  # a run of spaces gives its last one to the word behind it
        r"[ \t]+",  # any other run: before a digit, before a line end, at the end of the text
        r"\s",  # form feeds and the like
    ]
)


class TrainingError(Exception):
    """The tokenizer cannot be trained; the message is for the user."""


def untrained() -> Tokenizer:
    """A byte-level BPE tokenizer with our pre-tokenisation and an empty vocabulary."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def train(texts: Iterable[str], vocab_size: int = VOCAB_SIZE) -> Tokenizer:
    """Learn the merges from the texts; raises TrainingError when they yield too small a vocabulary."""
    tokenizer = untrained()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS],
        initial_alphabet=byte_alphabet(),
        max_token_length=MAX_TOKEN_BYTES,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    if tokenizer.get_vocab_size() != vocab_size:
        raise TrainingError(f"too little text: {tokenizer.get_vocab_size()} of {vocab_size} tokens")
    return tokenizer


def read_texts(path: Path) -> Iterator[tuple[str, str]]:
    """The (package, text) rows of a corpus file; raises TrainingError when it is no such file."""
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                row = json.loads(line)
                yield row["package"], row["text"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"cannot read the corpus {path}: {error}") from error


def sample(rows: Iterable[tuple[str, str]], size: int, package_size: int, seed: int) -> list[str]:
    """Texts in random order until ``size`` bytes, and ``package_size`` of each package, are reached."""
    shuffled = list(rows)
    random.Random(seed).shuffle(shuffled)
    chosen: list[str] = []
    used: Counter[str] = Counter()
    for package, text in shuffled:
        if used.total() >= size:
            break
        if used[package] < package_size:
            used[package] += len(text.encode())
            chosen.append(text)
    return chosen


def write(tokenizer: Tokenizer, folder: Path) -> None:
    """Write tokenizer.json and what transformers needs beside it."""
    named = {"pad_token": PAD, "eos_token": END, "bos_token": BOS}
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": CONTEXT_TOKENS,
        "clean_up_tokenization_spaces": False,
        "split_special_tokens": True,  # special tokens written in a document are text
        **named,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(tokenizer.to_str(pretty=True) + "\n", encoding="utf-8")
    for name, content in (("tokenizer_config.json", config), ("special_tokens_map.json", named)):
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def run(corpus: Path, out: Path, seed: int, force: bool, size: int = VOCAB_SIZE) -> None:
    """Train on the corpus folder's train split and write to the folder ``out``; raises TrainingError."""
    if (out / "tokenizer.json").exists() and not force:
        raise TrainingError(f"{out} has a tokenizer that a model may depend on; --force replaces it")
    texts = sample(read_texts(corpus / "train.jsonl"), SAMPLE_BYTES, SAMPLE_PACKAGE_BYTES, seed)
    print(f"training on {len(texts)} files", file=sys.stderr)
    write(train(texts, size), out)


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        "python -m dgemma_model.train.data.train_tokenizer", description="Train the tokenizer."
    )
    parser.add_argument("--corpus", type=Path, required=True, help="the folder that corpus.py made")
    parser.add_argument("--out", type=Path, required=True, help="the checkpoint folder")
    parser.add_argument(
        "--size", type=int, default=VOCAB_SIZE, help="of the vocabulary (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the sample (default: %(default)s)")
    parser.add_argument("--force", action="store_true", help="replace an existing tokenizer")
    options = parser.parse_args(arguments)
    try:
        run(options.corpus, options.out, options.seed, options.force, options.size)
    except (TrainingError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
