"""Searches by made-up logits; what transformers chooses is compared in tests/e2e/captions."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from ovenbird_runtime.errors import EngineCallFailed
from ovenbird_runtime.generation.search import (
    BeamSearch,
    GreedySearch,
    SearchSettings,
    TokenSearch,
    best_places,
    log_softmax,
    search_for,
    without_repeats,
)
from ovenbird_runtime.manifest.generation import Beam, Greedy

VOCABULARY, END = 12, 11


def logits_after(sequence: tuple[int, ...]) -> Any:
    """Return logits that depend on all tokens before."""
    return np.random.default_rng([7, *sequence]).standard_normal(VOCABULARY).astype(np.float32)


def run(search: TokenSearch) -> tuple[int, ...]:
    sequences: list[tuple[int, ...]] = [()]
    while not search.done:
        sequences = [(*one, token) for one, token in zip(sequences, search.tokens, strict=True)]
        assert {len(one) for one in sequences} == {search.position + 1}
        parents = search.advance(np.stack([logits_after(one) for one in sequences]))
        sequences = [sequences[parent] for parent in parents]
        assert len(sequences) == search.rows
    return search.result


def score(tokens: tuple[int, ...], prompt: int, penalty: float) -> float:
    steps = range(prompt, len(tokens))
    total = sum(float(log_softmax(logits_after(tokens[:at])[None])[0, tokens[at]]) for at in steps)
    return total / len(steps) ** penalty


def test_greedy_takes_the_best_of_each_step() -> None:
    found = run(GreedySearch(SearchSettings((END,), 9), (1,)))
    for at in range(1, len(found)):
        assert found[at] == logits_after(found[:at]).argmax()
    assert len(found) == 9 or found[-1] == END


@pytest.mark.parametrize("penalty", [0.0, 1.0, 2.0])
def test_beams_as_many_as_there_are_sequences_find_the_best_of_all(penalty: float) -> None:
    """With as many beams as there are prefixes nothing is lost: the best of all whole sequences wins."""
    length, prompt = 4, (1,)
    kind = Beam(beams=VOCABULARY**2, length_penalty=penalty, early_stopping="never")
    found = run(BeamSearch(kind, SearchSettings((END,), length), prompt))
    words = range(VOCABULARY)
    every = [
        (*prompt, *rest)
        for count in (1, 2, 3)
        for rest in itertools.product(words, repeat=count)
        if END not in rest[:-1] and (count == 3 or rest[-1] == END)
    ]
    assert found == max(every, key=lambda one: score(one, 1, penalty))


def test_a_prompt_is_fed_first() -> None:
    for kind in (Greedy(), Beam(beams=3)):
        search = search_for(kind, SearchSettings((END,), 8), (1, 4, 2))
        fed = []
        while search.position < 2:
            fed += search.tokens
            assert search.advance(np.full((1, VOCABULARY), np.nan, np.float32)) == [0]
        assert (fed, search.tokens) == ([1, 4], [2])
        assert run_on(search)[:3] == (1, 4, 2)


def run_on(search: TokenSearch) -> tuple[int, ...]:
    while not search.done:
        search.advance(np.stack([logits_after((search.position, token)) for token in search.tokens]))
    return search.result


def test_nothing_is_said_twice() -> None:
    for kind, size in itertools.product((Greedy(), Beam(beams=2)), (1, 2)):
        found = run(search_for(kind, SearchSettings((END,), 9, size), (1,)))
        grams = [found[at : at + size] for at in range(len(found) + 1 - size)]
        assert len(set(grams)) == len(grams)
    scores = without_repeats(np.zeros((1, 4), np.float32), [(1, 2, 3, 1, 2)], 3)
    assert scores.tolist() == [[0.0, 0.0, 0.0, -np.inf]]


@pytest.mark.parametrize("kind", [Greedy(), Beam(beams=2)])
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_is_no_number_chooses_nothing(kind: Greedy | Beam, wrong: float) -> None:
    logits = logits_after((1,))[None]
    logits[0, 3] = wrong
    with pytest.raises(EngineCallFailed, match="the best token's score is"), np.errstate(invalid="ignore"):
        search_for(kind, SearchSettings((END,), 8), (1,)).advance(logits)


def test_equal_scores_stand_in_order() -> None:
    assert best_places(np.asarray([0.0, 2.0, 1.0, 2.0], np.float32), 3).tolist() == [1, 3, 2]
