"""``python -m dgemma_model.grow``: grow a model, or export a grown one for transformers."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from dgemma_model.errors import ModelError
from dgemma_model.grow import ranking, vocabulary
from dgemma_model.grow.blueprint import Blueprint
from dgemma_model.grow.checkpoint import Card, write_packed
from dgemma_model.grow.export import export, write_stock
from dgemma_model.grow.opening import open_source
from dgemma_model.grow.pack import Bits
from dgemma_model.grow.source import Source
from dgemma_model.grow.trimmed import Trimmed
from dgemma_model.grow.vocabulary import Ids

_DESCRIPTION = """\
Turn a language model of the Llama or Qwen2 family into a DiffusionGemma that computes the same.

SOURCE is a GGUF file, a folder with config.json, tokenizer.json and safetensors, or a model's name on the Hugging Face
hub. With --bits 4 or 8 the weights are packed for this project's own runner; with --bits 16 they are written as
transformers loads them. `python -m dgemma_model.grow export FOLDER OUT` writes a packed model for transformers.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 when it is done, 1 after a sentence that says why it is not."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if words[:1] == ["export"]:
            options = _export_parser().parse_args(words[1:])
            export(options.folder, options.out)
        else:
            options = _parser().parse_args(words)
            grow(options.source, options.out, Bits(options.bits), options.vocabulary, options.texts)
    except ModelError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def grow(name: str, out: Path, bits: Bits, size: int | None = None, texts: Path | None = None) -> None:
    """Grow the model of that name into the folder ``out``.

    Args:
        size: tokens of the vocabulary, `<mask>` among them; all that the tokenizer has where it is None.
        texts: files of the kind that the model is for, whose tokens are counted to choose the vocabulary.

    Raises:
        ModelError: it cannot be grown, or the folder cannot be written.
    """
    source = open_source(name)
    kept = _kept(source, size, texts)
    smaller = vocabulary.keep(source.tokenizer, kept, source.special)
    plain = replace(source.network.config, vocabulary=len(kept) + 1)
    blueprint = Blueprint.fit(plain, source.network.tensor("embedding")[kept])
    network = Trimmed(source.network, kept, blueprint.mask_size)
    card = Card(smaller.tokenizer, smaller.special, smaller.mask, source.chat_template)
    if bits is Bits.SIXTEEN:
        write_stock(out, network, blueprint, card)
    else:
        write_packed(out, network, blueprint, card, bits)


def _kept(source: Source, size: int | None, texts: Path | None) -> Ids:
    if size is None:
        return vocabulary.everything(source.tokenizer)
    if texts is None:
        return vocabulary.most_useful(source.tokenizer, size, ranking.of_code(source.tokenizer))
    counts = ranking.count(source.tokenizer, _texts(texts))
    return vocabulary.most_useful(source.tokenizer, size, ranking.by_count(counts))


def _texts(folder: Path) -> Iterator[str]:
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    if not paths:
        raise ModelError(f"{folder} has no files to count tokens in; give a folder of texts.")
    for path in paths:
        yield path.read_bytes().decode("utf-8", "ignore")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dgemma_model.grow",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="SOURCE", help="GGUF file, folder, or name on the hub")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="where to write; new or empty"
    )
    parser.add_argument(
        "--bits",
        type=int,
        choices=[int(bits) for bits in Bits],
        default=4,
        help="bits of a weight (default: 4)",
    )
    parser.add_argument(
        "--vocabulary", type=int, metavar="N", help="keep the N most useful tokens (default: keep all)"
    )
    parser.add_argument(
        "--texts",
        type=Path,
        metavar="FOLDER",
        help="choose those tokens by counting them in these files (default: by the list for code that comes with it)",
    )
    return parser


def _export_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dgemma_model.grow export",
        description="Write a packed model in bfloat16, for transformers.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a packed model")
    parser.add_argument("out", type=Path, metavar="OUT", help="where to write; new or empty")
    return parser
