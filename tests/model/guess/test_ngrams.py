"""Counting a tiny corpus, and looking up what was counted, against plain dictionaries."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import numpy
import pytest

from dgemma_model.errors import ModelError
from dgemma_model.guess.ngrams import CONTEXT, FILE, LEVELS, NGrams
from dgemma_model.train.fit.ngrams import count, main, read, store
from tests.model.tiny import CHECKPOINT, tokenizer

TOKENIZER = tokenizer()
SHARED = "import numpy as np\n\n\ndef load(path):\n    with open(path) as file:\n        return file.read()\n"
ROWS = [
    {"package": "one", "path": "a.py", "text": SHARED + "only_here = 1\nonly_here = 1\n"},
    {"package": "two", "path": "b.py", "text": SHARED},
    {"package": "two", "path": "c.py", "text": "import numpy as xp\nimport numpy as xp\n"},
    {"package": "three", "path": "d.py", "text": "import numpy as xp\n"},
]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), "utf-8")
    return path


@pytest.fixture(scope="module")
def made(corpus: Path) -> NGrams:
    return NGrams(count(read(corpus, TOKENIZER), TOKENIZER.vocab_size, 1.0))


def slow(context: list[int]) -> numpy.ndarray:
    """The same by its definition: files of each n-gram, of two packages at least, discounted and interpolated."""
    found: dict[tuple[int, ...], set[int]] = defaultdict(set)
    packages: dict[tuple[int, ...], set[str]] = defaultdict(set)
    for file, row in enumerate(ROWS):
        tokens = TOKENIZER.encode(row["text"])
        for length in range(1, CONTEXT + 2):
            for begin in range(len(tokens) - length + 1):
                gram = tuple(tokens[begin : begin + length])
                found[gram].add(file)
                packages[gram].add(row["package"])
    files = [max(len(found[(token,)]), 0.1) for token in range(TOKENIZER.vocab_size)]
    table = numpy.array(files) / sum(files)
    for length in range(1, len(context) + 1):
        here = tuple(context[-length:])
        total = sum(len(found.get((*here, token), ())) for token in range(TOKENIZER.vocab_size))
        weights = {
            token: (len(found[(*here, token)]) - 0.7) / total
            for token in range(TOKENIZER.vocab_size)
            if len(packages.get((*here, token), ())) > 1
        }
        if weights:
            table *= 1 - sum(weights.values())
            for token, weight in weights.items():
                table[token] += weight
    return table


@pytest.mark.parametrize("text", ["import numpy as", "with open(path) as", "only_here =", "nothing of it ;"])
def test_what_was_counted_is_found_again(made: NGrams, text: str) -> None:
    context = TOKENIZER.encode(text)[-CONTEXT:]
    assert made.next(context).table() == pytest.approx(slow(context), rel=0.25, abs=1e-5)


def test_one_token_and_several_are_as_likely_as_in_the_table(made: NGrams) -> None:
    expected = made.next(TOKENIZER.encode("import numpy as"))
    table = expected.table()
    assert [expected.of(token) for token in range(len(table))] == pytest.approx(table.tolist(), rel=1e-4)
    wanted = numpy.zeros(len(table), dtype=bool)
    wanted[TOKENIZER.encode(" np xp")] = True
    assert expected.among(wanted) == pytest.approx(float(table[wanted].sum()), rel=1e-4)
    assert table.sum() == pytest.approx(1, abs=0.05)


def test_a_file_counts_once_and_one_package_alone_does_not_count(made: NGrams) -> None:
    after_import = made.next(TOKENIZER.encode("import numpy as"))
    np_, xp = (TOKENIZER.encode(text)[0] for text in (" np", " xp"))
    assert after_import.of(np_) == pytest.approx(after_import.of(xp), rel=0.3)
    alone = TOKENIZER.encode("only_here =")
    assert made.next(alone).order < len(alone)


def test_an_unknown_context_leaves_how_often_tokens_are(made: NGrams) -> None:
    expected = made.next([TOKENIZER.bos_id])
    assert expected.order == 0
    assert expected.table() == pytest.approx(slow([]), rel=1e-5)


def test_what_matters_least_goes_when_there_is_no_room(corpus: Path) -> None:
    text = read(corpus, TOKENIZER)
    whole, small = (count(text, TOKENIZER.vocab_size, megabytes) for megabytes in (1.0, 0.0002))
    assert 0 < len(small.contexts) * 9 + len(small.followers) * 3 <= 200 < len(whole.followers) * 3


def test_packages_can_be_left_out(corpus: Path) -> None:
    assert len(read(corpus, TOKENIZER, {"two"}).packages) == 2


def test_the_command_writes_a_file_that_is_read_lazily(corpus: Path, tmp_path: Path) -> None:
    main(["--corpus", str(corpus), "--out", str(tmp_path / FILE)])
    read_again = NGrams.of_checkpoint(tmp_path, TOKENIZER.vocab_size)
    assert read_again is not None
    assert read_again.next(TOKENIZER.encode("import numpy as")).order > 1


def test_a_checkpoint_may_have_no_counts(tmp_path: Path) -> None:
    assert NGrams.of_checkpoint(tmp_path, TOKENIZER.vocab_size) is None


def test_a_damaged_file_is_told_in_one_sentence(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"not one of ours")
    with pytest.raises(ModelError, match="cannot be used"):
        NGrams.of_checkpoint(tmp_path, TOKENIZER.vocab_size)
    store(count(read(corpus, TOKENIZER), TOKENIZER.vocab_size, 1.0), tmp_path / FILE)
    with pytest.raises(ModelError, match="another model"):
        NGrams.of_checkpoint(tmp_path, TOKENIZER.vocab_size + 1)


def test_the_bundled_counts_know_python() -> None:
    bundled = NGrams.of_checkpoint(CHECKPOINT, TOKENIZER.vocab_size)
    assert bundled is not None
    for text, expected in {"import numpy as": " np", "for i in": " range"}.items():
        table = bundled.next(TOKENIZER.encode(text)).table()
        assert TOKENIZER.decode([int(table.argmax())]) == expected


def test_levels_fall_from_one() -> None:
    assert LEVELS[0] == 1
    assert (numpy.diff(LEVELS) < 0).all()
