"""Masked text in, drafts out, with a network that knows nothing: what must hold whatever it says."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from dgemma_model.errors import Cancelled, ModelError
from dgemma_model.fill.infiller import Infiller
from dgemma_model.protocol import Draft, FillOptions, FillRequest
from dgemma_model.syntax.errors import Surroundings
from tests.model.tiny import infiller

TWO = FillRequest(("def add(a, b):\n    return ", "\n\n\nprint(add(", "))\n"), ("", ""))


LINES = "".join(f"value_{n} = compute({n}, other)\n" for n in range(120))


def drafts(request: FillRequest, options: FillOptions, own: Infiller | None = None) -> list[Draft]:
    return list((own or infiller()).drafts(replace(request, options=options), lambda: False))


def test_every_draft_has_a_fill_for_every_region_and_the_last_one_is_final() -> None:
    made = drafts(TWO, FillOptions(steps=3))
    assert [draft.final for draft in made] == [False] * (len(made) - 1) + [True]
    assert all(len(fills) == 2 for draft in made for fills in draft.alternatives)
    assert [draft.step for draft in made] == list(range(1, len(made) + 1))


def test_a_region_that_does_not_end_gets_more_room_up_to_a_limit() -> None:
    made = drafts(TWO, FillOptions(steps=2))
    fills = made[-1].alternatives[0]
    assert all(fill.complete or len(fill.slots) == 64 for fill in fills)


@pytest.mark.parametrize("regions", [1, 2, 8])
def test_a_request_reads_its_text_twice_at_most_and_once_more_for_each_of_several_regions(
    regions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = infiller()
    read: list[int] = []
    store = own.runner.store
    monkeypatch.setattr(own.runner, "store", lambda *given: read.append(len(given[1])) or store(*given))
    lines = LINES.splitlines(keepends=True)
    segments = [line.removesuffix("other)\n") for line in lines[: regions + 1]]
    made = drafts(FillRequest(tuple(segments), ("",) * regions), FillOptions(steps=2), own)
    assert made[-1].final
    assert 1 <= len(read) <= (2 if regions == 1 else regions + 2)


def test_the_same_request_gives_the_same_fill_with_a_warm_cache() -> None:
    own = infiller()
    cold, warm = (drafts(TWO, FillOptions(steps=3, seed=5), own)[-1] for _ in range(2))
    assert cold.alternatives == warm.alternatives
    assert cold.encoded_tokens >= cold.prompt_tokens - 1
    assert warm.encoded_tokens < cold.encoded_tokens


def test_alternatives_are_ranked_and_different() -> None:
    ranked = drafts(TWO, FillOptions(steps=2, alternatives=4))[-1].alternatives
    texts = [tuple(fill.text for fill in fills) for fills in ranked]
    assert len(set(texts)) == len(texts)
    whole = [all(fill.complete for fill in fills) for fills in ranked]
    assert whole == sorted(whole, reverse=True)


@pytest.mark.parametrize("asked", [TWO, FillRequest((LINES + "value = ", "\nprint(value)\n"), ("",))])
def test_what_breaks_the_syntax_stands_behind_what_does_not(asked: FillRequest) -> None:
    around = Surroundings(asked.segments)
    ranked = drafts(asked, FillOptions(steps=1, alternatives=2, single_line=True))[-1].alternatives
    whole = [fills for fills in ranked if all(fill.complete for fill in fills)]
    errors = [around.errors([fill.text for fill in fills]) for fills in whole]
    assert errors == sorted(errors)


def test_a_guess_that_fits_is_taken_though_another_one_is_likelier() -> None:
    """The line above goes on in the next one, which is no way to end a line before a dedent."""
    before = "names = [\n    first,\n]\nothers = [\n    second,\n]\nmore = "
    request = FillRequest((before, "\nprint(names)\n"), ("",))
    best = drafts(request, FillOptions(steps=1, single_line=True))[-1].alternatives[0][0]
    assert Surroundings(request.segments).errors([best.text]) == 0


def test_gentle_strength_begins_with_the_present_text() -> None:
    own = infiller()
    seen: list[torch.Tensor] = []
    decode = own.runner.decode

    def watched(ids: torch.Tensor, *rest: object) -> torch.Tensor:
        seen.append(ids)
        return decode(ids, *rest)  # type: ignore[arg-type]

    own.runner.decode = watched  # type: ignore[assignment, method-assign]
    present = "total = first + second"
    request = FillRequest(("def f(first, second):\n    ", "\n    return total\n"), (present,))
    drafts(request, FillOptions(steps=1, strength=0.1), own)
    tokens = torch.tensor(own.tokenizer.encode(present))
    kept = (seen[0][0, : len(tokens)] == tokens).float().mean()
    assert kept > 0.5


def test_typing_encodes_a_few_tokens_for_each_character_and_never_the_whole_prompt_again() -> None:
    own = infiller()
    before, after = LINES[: LINES.index("value_60")], LINES[LINES.index("value_61") :]
    typed = (
        "value_60 = compute(60, another_one, and=1, something=2, else_=[3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13])"
    )
    encoded = []
    for length in range(len(typed)):
        request = FillRequest((before + typed[:length], "\n" + after), ("",))
        made = drafts(request, FillOptions(steps=1, single_line=True), own)
        encoded.append(made[-1].encoded_tokens)
        own.anticipate(request, lambda: True)
    assert encoded[0] > 60
    assert max(encoded[1:]) <= 8


def test_looking_ahead_stops_when_somebody_waits() -> None:
    own = infiller()
    own.anticipate(FillRequest((LINES, "\n"), ("",)), lambda: False)
    made = drafts(FillRequest((LINES, "\n"), ("",)), FillOptions(steps=1), own)[-1]
    assert made.encoded_tokens == made.prompt_tokens


@pytest.mark.parametrize("begun", ["val", "x = ", "value_", "print(", "q"])
def test_a_fill_goes_on_behind_the_word_that_was_begun(begun: str) -> None:
    request = FillRequest((LINES + begun, "\n" + LINES), ("",))
    for draft in drafts(request, FillOptions(steps=3, single_line=True)):
        fill = draft.alternatives[0][0]
        assert "".join(text for text, _, _ in fill.slots) == fill.text or not fill.complete
    assert "\n" not in fill.text
    assert 0 < fill.confidence <= 1


def test_cancelling_ends_it() -> None:
    with pytest.raises(Cancelled):
        list(infiller().drafts(TWO, lambda: True))


def test_a_region_longer_than_the_widest_canvas_is_refused_in_one_sentence() -> None:
    request = FillRequest(("", ""), ("x = 1\n" * 200,))
    with pytest.raises(ModelError, match="too long for this model"):
        drafts(request, FillOptions())
