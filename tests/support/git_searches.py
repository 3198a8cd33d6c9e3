"""The searches in which the runtime is compared with transformers' `generate`, by its own names of settings."""

from __future__ import annotations

from typing import Any

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(f"w{i}" for i in range(150)), *(f"##s{i}" for i in range(46))]
PROMPTS = ((2,), (2, 9, 17, 60))
SEARCHES: dict[str, dict[str, Any]] = {
    "greedy": {},
    "greedy, no pair twice": {"no_repeat_ngram_size": 2},
    "4 beams": {"num_beams": 4},
    "4 beams, long": {"num_beams": 4, "length_penalty": 2.0, "early_stopping": "never"},
    "4 beams, short, first whole ones": {"num_beams": 4, "length_penalty": -1.0, "early_stopping": True},
    "3 beams, no token twice": {"num_beams": 3, "no_repeat_ngram_size": 1, "length_penalty": 0.0},
}
