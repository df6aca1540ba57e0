"""Draws that depend on the seed and on what they are about alone, never on the order in which they are made."""

from __future__ import annotations

import random


def dice(seed: int, *about: object) -> random.Random:
    """Dice for one thing; the same thing has the same dice in every run of a seed."""
    return random.Random("/".join(map(str, (seed, *about))))


def hits(draws: random.Random, pct: int) -> bool:
    """Whether something that happens in so many of a hundred cases happens now."""
    return draws.randrange(100) < pct
