"""The tokenizer: nothing is lost, nothing in a document is special, and training yields what is served."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgemma_model.tokenizer import Tokenizer, TokenizerFileError, UndecodableTokens
from dgemma_model.train.data import train_tokenizer as training

CHECKPOINT = Path(__file__).parents[2] / "model" / "checkpoint"
TOKENIZER = Tokenizer.from_file(CHECKPOINT / "tokenizer.json")

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
CODE_LIKE = st.lists(
    st.sampled_from(
        ["\n", "\r\n", "\r", "\t", " ", "    ", "\n    ", "x", "_y", "=", "(", "12", "é", "😋", "\0"]
    ),
).map("".join)


def tokens(text: str) -> list[str]:
    """The text of each token; ASCII tests only."""
    return [TOKENIZER.token_bytes(i).decode() for i in TOKENIZER.encode(text)]


def pre_tokens(text: str) -> list[str]:
    """How the text is cut before any merge."""
    splitter = training.untrained().pre_tokenizer
    assert splitter is not None
    return [text[start:end] for _, (start, end) in splitter.pre_tokenize_str(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("x = foo(a)", ["x", " =", " foo", "(", "a", ")"], id="a space belongs to what follows"),
        pytest.param("a:\n    b", ["a", ":", "\n    ", "b"], id="indentation belongs to the newline"),
        pytest.param("a\n\n\n\tb", ["a", "\n\n\n\t", "b"], id="newlines stay together"),
        pytest.param("a\n  \n  b", ["a", "\n  ", "\n  ", "b"], id="a blank line with spaces"),
        pytest.param("a\r\n  b", ["a", "\r\n  ", "b"], id="a CRLF is a newline"),
        pytest.param("a\rb", ["a", "\r", "b"], id="a lone CR is not"),
        pytest.param("x = 10", ["x", " =", " ", "1", "0"], id="digits stand alone, without the space"),
        pytest.param("x  = 1", ["x", " ", " =", " ", "1"], id="a run gives one space to the word"),
        pytest.param("x   1", ["x", "   ", "1"], id="but none to a digit"),
        pytest.param("\t\tx", ["\t\t", "x"], id="tabs are not given away"),
        pytest.param("x =  ", ["x", " =", "  "], id="trailing spaces at the end"),
        pytest.param("x  \n  y", ["x", "  ", "\n  ", "y"], id="trailing spaces of a line"),
        pytest.param("\f\nx", ["\f", "\n", "x"], id="a form feed keeps off the newline"),
        pytest.param("self._foo_bar", ["self", ".", "_foo_bar"], id="underscores are letters"),
        pytest.param("**kw):", ["**", "kw", "):"], id="punctuation stays together"),
    ],
)
def test_text_is_cut_into_pre_tokens(text: str, expected: list[str]) -> None:
    assert pre_tokens(text) == expected


@given(ANY_TEXT | CODE_LIKE)
def test_pre_tokens_lose_nothing(text: str) -> None:
    assert "".join(pre_tokens(text)) == text


@given(ANY_TEXT | CODE_LIKE)
def test_encoding_is_invertible(text: str) -> None:
    ids = TOKENIZER.encode(text)
    assert TOKENIZER.decode(ids) == TOKENIZER.decode_lossy(ids) == text
    assert b"".join(map(TOKENIZER.token_bytes, ids)) == text.encode()


@given(st.lists(st.sampled_from([*training.SPECIAL_TOKENS, "<", "end>", " ", "x"])).map("".join))
def test_special_tokens_in_a_document_are_text(text: str) -> None:
    ids = TOKENIZER.encode(text)
    assert not TOKENIZER.special_ids & set(ids)
    assert TOKENIZER.decode(ids) == text


@given(st.lists(st.integers(0, TOKENIZER.vocab_size - 1)))
def test_any_tokens_can_be_displayed_but_only_text_decodes(ids: list[int]) -> None:
    shown = TOKENIZER.decode_lossy(ids)
    try:
        assert TOKENIZER.decode(ids) == shown
    except UndecodableTokens:
        assert "\ufffd" in shown or TOKENIZER.special_ids & set(ids)


def test_half_a_character_does_not_decode() -> None:
    ids = TOKENIZER.encode("😋")[:-1]
    with pytest.raises(UndecodableTokens, match="not UTF-8"):
        TOKENIZER.decode(ids)
    assert TOKENIZER.decode_lossy(ids) == "\ufffd"


def test_special_tokens_have_no_text() -> None:
    for special in TOKENIZER.special_ids:
        assert TOKENIZER.token_bytes(special) == b""
        with pytest.raises(UndecodableTokens):
            TOKENIZER.decode([special])
    assert TOKENIZER.decode_lossy([TOKENIZER.bos_id, *TOKENIZER.encode("x"), TOKENIZER.end_id]) == "x"


@pytest.mark.parametrize("unknown", [-1, TOKENIZER.vocab_size])
def test_an_unknown_id_is_an_error(unknown: int) -> None:
    for method in (TOKENIZER.decode, TOKENIZER.decode_lossy):
        with pytest.raises(UndecodableTokens):
            method([unknown])


def test_a_lone_surrogate_is_an_error() -> None:
    with pytest.raises(UnicodeEncodeError):
        TOKENIZER.encode("\ud83d")


def test_the_bundled_vocabulary_is_what_training_promises() -> None:
    assert TOKENIZER.vocab_size == training.VOCAB_SIZE
    assert TOKENIZER.special_ids == set(range(len(training.SPECIAL_TOKENS)))
    names = {TOKENIZER.pad_id: "<pad>", TOKENIZER.end_id: "<end>", TOKENIZER.bos_id: "<bos>"}
    assert tuple(names.get(i) for i in range(3)) == training.SPECIAL_TOKENS[:3]
    vocabulary = [
        TOKENIZER.token_bytes(i) for i in range(TOKENIZER.vocab_size) if i not in TOKENIZER.special_ids
    ]
    assert {bytes([byte]) for byte in range(256)} <= set(vocabulary)
    assert len(set(vocabulary)) == len(vocabulary)


def test_common_python_is_short() -> None:
    assert tokens("def main(self):\n    return None\n") == [
        "def",
        " main",
        "(",
        "self",
        "):",
        "\n    ",
        "return",
        " None",
        "\n",
    ]


def test_encoding_takes_about_a_millisecond_for_two_kilobytes() -> None:
    text = (Path(training.__file__).read_text(encoding="utf-8"))[:2000]
    fastest = float("inf")
    for _ in range(10):
        start = time.perf_counter()
        TOKENIZER.encode(text)
        fastest = min(fastest, time.perf_counter() - start)
    assert fastest < 0.005  # five times the goal: test machines are busy


def test_transformers_loads_the_same_tokenizer() -> None:
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoTokenizer.from_pretrained(CHECKPOINT)
    text = "<end> def f(x):\r\n\treturn '😋<bos>'  # 12\n"
    assert theirs(text).input_ids == TOKENIZER.encode(text)
    assert theirs.decode(theirs(text).input_ids) == text
    special = (theirs.pad_token_id, theirs.eos_token_id, theirs.bos_token_id, len(theirs))
    assert special == (TOKENIZER.pad_id, TOKENIZER.end_id, TOKENIZER.bos_id, TOKENIZER.vocab_size)


@pytest.mark.parametrize("content", [None, "", "{}", '{"model": 1}'])
def test_a_bad_file_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(TokenizerFileError, match=r"tokenizer\.json"):
        Tokenizer.from_file(path)


def test_a_tokenizer_without_our_special_tokens_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(training.untrained().to_str(), encoding="utf-8")
    with pytest.raises(TokenizerFileError, match="<pad>"):
        Tokenizer.from_file(path)


def write_corpus(folder: Path, texts: list[str]) -> None:
    rows = [json.dumps({"package": "p", "path": f"{i}.py", "text": text}) for i, text in enumerate(texts)]
    (folder / "train.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")


def test_training_learns_merges_and_keeps_every_byte(tmp_path: Path) -> None:
    small = 8 + 256 + 4
    training.write(training.train(["return value\n" * 20], vocab_size=small), tmp_path)
    trained = Tokenizer.from_file(tmp_path / "tokenizer.json")
    assert trained.vocab_size == small
    assert len(trained.encode("return")) < len("return")
    assert trained.decode(trained.encode("“\0é😋”")) == "“\0é😋”"


def test_a_sample_is_bounded_overall_and_by_package() -> None:
    rows = [("big", "b" * 10)] * 50 + [("small", "s" * 10)] * 2
    chosen = training.sample(rows, size=200, package_size=100, seed=1)
    assert sorted(set(chosen)) == ["b" * 10, "s" * 10]
    assert chosen.count("b" * 10) == 10
    assert len(training.sample(rows, size=50, package_size=100, seed=1)) == 5


def test_the_command_line_explains_what_went_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ["--corpus", str(tmp_path), "--out", str(tmp_path / "out")]
    assert training.main(run) == 1
    assert "cannot read the corpus" in capsys.readouterr().err
    write_corpus(tmp_path, ["x = 1\n"])
    assert training.main(run) == 1
    assert "too little text" in capsys.readouterr().err
    assert training.main(["--corpus", str(tmp_path), "--out", str(CHECKPOINT)]) == 1
    assert "--force" in capsys.readouterr().err


@pytest.mark.parametrize("data", [b"ter", b" retur", b"(", b"\n  ", "é".encode(), b"\xff", b"zzqx"])
def test_tokens_that_cover_a_beginning_are_those_that_agree_with_it(data: bytes) -> None:
    every = ((i, TOKENIZER.token_bytes(i)) for i in range(TOKENIZER.vocab_size))
    agree = [i for i, own in every if own and (own.startswith(data) or data.startswith(own))]
    assert sorted(TOKENIZER.covering(data)) == agree


@given(st.text(st.sampled_from("ab_1 .(\t\r\n\u00e9"), max_size=60))
def test_lines_are_encoded_one_by_one_as_they_are_together(text: str) -> None:
    whole = TOKENIZER._tokenizer.encode(text, add_special_tokens=False).ids
    assert TOKENIZER.encode(text) == whole
