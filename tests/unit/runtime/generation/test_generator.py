"""Texts in flight: they join and leave at any step, and each is the text that its picture has alone."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from ovenbird_runtime.errors import EngineCallFailed, WrongOption
from ovenbird_runtime.generation.generator import BegunText, Generator
from ovenbird_runtime.model import Model
from support.captioner_artifact import RightTexts


def writer(model: Model, slots: int) -> Any:
    found = model.text_writer(slots)
    assert found is not None
    return found


def check_owners(generator: Generator) -> None:
    """The invariant: the first slots of a bank are owned, each by one text, which knows them."""
    for bank in generator._banks:
        owned = sorted(slot for text in bank.texts for slot in text.slots)
        assert owned == list(range(bank.states.used)) == list(range(len(bank.owners)))
        assert all(slot in owner.slots for slot, owner in enumerate(bank.owners))
        assert bank.free >= 0


def test_many_at_once_are_what_each_is_alone(captioner: Model, right: RightTexts) -> None:
    for slots in (1, 4, 16):
        one = writer(captioner, slots)
        texts = one.write(right.pictures, one.request())
        assert [text.tokens for text in texts] == right.tokens
        assert one.generator.texts == []


@pytest.mark.parametrize("seed", range(3))
def test_they_join_and_leave_at_any_step(captioner: Model, right: RightTexts, seed: int) -> None:
    """Greedy texts and beam searches begin when there is room, some are dropped on the way; nobody else notices."""
    draw, one = random.Random(seed), writer(captioner, 8)
    generator = one.generator
    prepared = generator.prepare(right.pictures)
    alone = {beams: [t.tokens for t in one.write(right.pictures, one.request(beams=beams))] for beams in (1, 2, 4)}
    assert alone[1] == right.tokens
    begun: dict[BegunText, tuple[int, int]] = {}
    left, done = 40, 0
    while left or begun:
        while left and draw.random() < 0.6:
            picture, beams = draw.randrange(len(prepared)), draw.choice((1, 1, 2, 4))
            request = one.request(beams=beams)
            if not generator.has_room(request):
                break
            begun[generator.begin(prepared[picture], request)] = picture, beams
            left -= 1
            check_owners(generator)
        if begun and draw.random() < 0.1:
            dropped = draw.choice(list(begun))
            generator.drop(dropped)
            del begun[dropped]
            check_owners(generator)
        for text in generator.step():
            picture, beams = begun.pop(text)
            assert text.search.result == alone[beams][picture]
            done += 1
        check_owners(generator)
    assert done > 20
    assert generator.texts == []


def test_states_stay_where_they_are(captioner: Model, right: RightTexts) -> None:
    """The step is given the bank's own memory, and what it gives is a row a sequence."""
    generator = writer(captioner, 4).generator
    generator.begin(generator.prepare(right.pictures[:1])[0], writer(captioner, 4).request())
    generator.step()
    (bank,) = generator._banks
    held = bank.held[1]["text_keys"]
    assert np.shares_memory(held, bank.states.array("text_keys"))
    assert bank.states.rows("text_keys", 0) == 1
    assert held[0, 0].any()
    assert not held[0, 1:].any()


def test_what_can_never_begin_is_refused(captioner: Model) -> None:
    one = writer(captioner, 4)
    with pytest.raises(WrongOption, match="beams is 5, the model was compiled for 4 sequences at a time"):
        one.request(beams=5)
    with pytest.raises(WrongOption, match=r"the prompt has 13 tokens, the model takes 11: shorten it"):
        one.request(prompt="w1 " * 12)


def test_a_call_that_fails_leaves_no_texts_behind(
    captioner: Model, right: RightTexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = writer(captioner, 4)

    def fail(*_: object) -> None:
        raise EngineCallFailed("no")

    with monkeypatch.context() as patched:
        patched.setattr(one.generator, "_run", fail)
        with pytest.raises(EngineCallFailed):
            one.write(right.pictures, one.request())
    assert one.generator.texts == []
    assert one.write(right.pictures[:1], one.request())[0].tokens == right.tokens[0]


def test_a_prompt_is_gone_on_from_and_length_is_kept(captioner: Model, right: RightTexts) -> None:
    one = writer(captioner, 4)
    (whole,) = one.write(right.pictures[:1], one.request())
    (longer,) = one.write(right.pictures[:1], one.request(prompt="W3 w5s7."))
    assert longer.tokens[:5] == (2, *one.pieces.tokens("w3 w5s7."))
    assert (len(longer.tokens), longer.text[:8]) == (12, "w3 w5s7.")
    (short,) = one.write(right.pictures[:1], one.request(max_tokens=3))
    assert (short.tokens, short.finish) == (whole.tokens[:4], "length")


def test_a_text_that_overflows_spoils_no_other(captioner: Model, right: RightTexts) -> None:
    """Its rows are masked for who has its slot next, by a weight of zero: they must not be NaN then."""
    generator, request = writer(captioner, 4).generator, writer(captioner, 4).request()
    first, good = generator.prepare(right.pictures[:2])
    failing = generator.begin(first, request)
    for name in failing.bank.states.states:
        failing.bank.states.array(name)[failing.slots[0]] = np.nan
    assert generator.step() == [failing]
    assert isinstance(failing.failure, EngineCallFailed)
    begun = generator.begin(good, request)
    while begun in generator.texts:
        generator.step()
    assert (begun.failure, begun.search.result) == (None, right.tokens[1])


def test_no_more_at_a_time_than_asked_for(captioner: Model, right: RightTexts) -> None:
    """Also where a bank has more slots; a text that is wider than all is written alone."""
    one = writer(captioner, 2)
    generator, request = one.generator, one.request()
    (prepared,) = generator.prepare(right.pictures[:1])
    wide = one.request(beams=4)
    assert generator.has_room(wide)
    generator.begin(prepared, request)
    assert not generator.has_room(wide)
    assert generator.has_room(request)
    generator.begin(prepared, request)
    assert not generator.has_room(request)
