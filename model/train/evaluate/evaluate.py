"""Measure a checkpoint on held-out files: ``python -m dgemma_model.train.evaluate.evaluate``.

Regions of nine kinds are drawn from whole packages that were never used for training (`cases`). The checkpoint fills
them, and in the same run so does what it must beat (`baselines`). ``--calibrate`` also fits a curve that turns the
checkpoint's confidence into the share of fills that are right (`calibration`). The curve is fitted on other cases of
every other package, so that the remaining packages show what it is worth.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from dgemma_model.errors import ModelError
from dgemma_model.fill.confidence import Curve
from dgemma_model.fill.filler import Filler
from dgemma_model.fill.fitted import Fitted
from dgemma_model.fill.infiller import Infiller
from dgemma_model.network.folder import BUNDLED
from dgemma_model.protocol import FillOptions
from dgemma_model.train.evaluate import plots
from dgemma_model.train.evaluate.baselines import baselines, corpus_texts
from dgemma_model.train.evaluate.calibration import calibration_error, coverage, fit, precision_and_coverage
from dgemma_model.train.evaluate.card import renew
from dgemma_model.train.evaluate.cases import Files, Kind, draw, halves, read_files
from dgemma_model.train.evaluate.scores import MODEL, Judged, Measured, judge, measure
from dgemma_model.train.memory import keep_freed_memory
from dgemma_model.train.progress import say

_PRECISION = 0.6
_SEED, _CALIBRATION_SEED = 0, 1

Report = dict[str, Any]


Claims = tuple[list[float], list[bool]]
"""Confidences, and for each whether the answer was right."""


def of_fills(cases: Iterable[Judged], curve: Callable[[float], float] = float) -> Claims:
    """Take each fill by itself."""
    pairs = [pair for case in cases for pair in zip(case.confidences, case.right, strict=True)]
    return [curve(confidence) for confidence, _ in pairs], [right for _, right in pairs]


def of_cases(cases: Sequence[Judged], curve: Callable[[float], float] = float) -> Claims:
    """Take each case as a whole: its confidence is the product of its fills', as `Infiller` ranks them."""
    return [math.prod(map(curve, case.confidences)) for case in cases], [all(case.right) for case in cases]


def summarize(measured: Measured, curve: Curve | None) -> Report:
    """Write down one kind, for metrics.json."""
    claims = of_cases(measured.cases)
    errors = {"calibration error": round(calibration_error(*claims), 4)}
    if curve:
        errors["calibrated error"] = round(calibration_error(*of_cases(measured.cases, curve)), 4)
    return {
        **{name: asdict(score) for name, score in measured.scores.items()},
        f"at {_PRECISION:.0%} precision".replace("%", " %"): _rounded(coverage(*claims, _PRECISION)),
        "precision and coverage": [_rounded(point) for point in precision_and_coverage(*claims)],
        **errors,
    }


def _rounded(point: Any) -> dict[str, float]:
    return {name: round(value, 4) for name, value in asdict(point).items()}


def calibrate(filler: Filler, options: FillOptions, files: Files, kinds: Sequence[Kind], count: int) -> Curve:
    """Fit one curve for the fills of all kinds, because whoever asks for a fill does not say which kind it is."""
    judged: list[Judged] = []
    for kind in kinds:
        cases = list(draw(files, kind, count, _CALIBRATION_SEED))
        judged += judge(filler, options, cases)
        say(f"calibration, {kind}: {len(cases)} cases")
    return fit(*of_fills(judged))


def summarize_calibration(cases: Sequence[Judged], curve: Curve | None, seen: Files) -> Report:
    """How far the confidence in a fill is from the share of fills that are right, all kinds together."""
    unseen = [case for case in cases if case.package not in seen]
    report: Report = {"all packages": _calibration(cases, curve)}
    if curve:
        report["fitted on"] = sorted(seen)
        report["packages not fitted on"] = _calibration(unseen, curve)
    return report


def _calibration(cases: Sequence[Judged], curve: Curve | None) -> Report:
    raw = of_fills(cases)
    report = {"fills": len(raw[0]), "error": round(calibration_error(*raw), 4)}
    if curve:
        report["calibrated error"] = round(calibration_error(*of_fills(cases, curve)), 4)
    return report


def main(argv: list[str] | None = None) -> None:
    """Run the command line."""
    arguments = _parser().parse_args(argv)
    try:
        _run(arguments)
    except ModelError as error:
        sys.exit(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dgemma_model.train.evaluate.evaluate", description=__doc__
    )
    parser.add_argument("--model", type=Path, default=BUNDLED)
    parser.add_argument("--corpus", type=Path, default=Path(".cache/corpus"))
    parser.add_argument("--count", type=int, default=300, help="cases of each kind")
    parser.add_argument(
        "--kinds",
        type=_kind,
        nargs="+",
        default=list(Kind),
        metavar="KIND",
        help=", ".join(map(_option, Kind)),
    )
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--bigram-megabytes", type=float, default=40.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--calibrate",
        type=Path,
        metavar="FOLDER",
        help="fit a calibration curve for this checkpoint, and write it",
    )
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="draw PNGs; needs the extra train")
    parser.add_argument("--out", type=Path, help="metrics.json to write")
    parser.add_argument("--card", type=Path, metavar="FILE", help="model card whose table is made anew")
    return parser


def _option(kind: Kind) -> str:
    return kind.name.lower().replace("_", "-")


def _kind(option: str) -> Kind:
    named = {_option(kind): kind for kind in Kind}
    if option not in named:
        raise argparse.ArgumentTypeError(f"There is no kind {option}; use {', '.join(named)}.")
    return named[option]


def _run(arguments: argparse.Namespace) -> None:
    if arguments.plots:
        plots.require_matplotlib()  # fails before the long part, and not after it
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    infiller, options = Infiller.load(arguments.model, calibrated=False), FillOptions(steps=arguments.steps)
    files = read_files(arguments.corpus / "held_out.jsonl")
    if arguments.calibrate and min(len(files), arguments.count) < 2:
        raise ModelError(
            "A calibration needs two packages and two cases: to be fitted on one, and judged on another."
        )
    seen, _ = halves(files)
    texts = corpus_texts(arguments.corpus / "train.jsonl", arguments.bigram_megabytes)
    others = baselines(infiller.tokenizer, texts)
    curve = None
    if arguments.calibrate:
        curve = calibrate(infiller, options, seen, arguments.kinds, arguments.count)
        replace(Fitted.of_checkpoint(arguments.calibrate), confidence=curve).write(arguments.calibrate)
    measured = []
    for kind in arguments.kinds:
        measured.append(
            measure(infiller, options, others, kind, list(draw(files, kind, arguments.count, _SEED)))
        )
        say(f"{kind}: {measured[-1].scores[MODEL]}")
    report = _report(measured, curve, seen)
    _write(report, arguments.out)
    if arguments.card:
        arguments.card.write_text(renew(arguments.card.read_text("utf-8"), report), "utf-8")
    if arguments.plots:
        _draw(measured, curve, seen, arguments.plots)


def _report(measured: Sequence[Measured], curve: Curve | None, seen: Files) -> Report:
    every = [case for kind in measured for case in kind.cases]
    report: Report = {str(each.kind): summarize(each, curve) for each in measured}
    return {**report, "calibration": summarize_calibration(every, curve, seen)}


def _write(report: Report, out: Path | None) -> None:
    text = json.dumps(report, indent=2, ensure_ascii=False)
    if out:
        out.write_text(text + "\n", "utf-8")
    else:
        print(text)


def _draw(measured: Sequence[Measured], curve: Curve | None, seen: Files, folder: Path) -> None:
    """Draw both plots; a curve is shown on the packages that it was not fitted on."""
    folder.mkdir(parents=True, exist_ok=True)
    every = [case for kind in measured for case in kind.cases]
    cases = [case for case in every if not curve or case.package not in seen]
    claims = {"as the model says": of_fills(cases)}
    if curve:
        claims["calibrated, on packages not fitted on"] = of_fills(cases, curve)
    exact = {str(each.kind): {name: score.exact for name, score in each.scores.items()} for each in measured}
    plots.draw_exact(exact, folder / "exact.png")
    plots.draw_reliability(claims, folder / "reliability.png")


if __name__ == "__main__":
    main()
