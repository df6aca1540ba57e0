"""Public numbers of trees and orders: a kind, a count and a check character.

A number is written by hand, read over a telephone and typed from a photographed sign, so it carries a check
character of ISO/IEC 7064, system MOD 37,36: every single wrong character and nearly every swap of two
neighbours is found. The check covers the kind too, so that an order's number is never taken for a tree's.

    tree 42  ->  SX-000042-4

This module knows nothing of what a number stands for, nor whether such a tree exists.
"""

from __future__ import annotations

from engine.core.errors import Rejected

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
TREE = "SX"
ORDER = "PO"
DIGITS_MIN = 6
ID_MAX = 2**53 - 1
TEXT_CHARACTERS_MAX = 40

_MODULUS = 36
_LOOKALIKES = str.maketrans({"O": "0", "I": "1", "L": "1"})


def check_character(body: str) -> str:
    """The ISO/IEC 7064 MOD 37,36 check character of `body` (digits and capital letters only)."""
    carry = _MODULUS
    for character in body:
        carry = _fold(carry, ALPHABET.index(character))
    return ALPHABET[(_MODULUS + 1 - carry) % _MODULUS]


def number_of(kind: str, id_: int) -> str:
    """The public number of a thing: `number_of(TREE, 42) == "SX-000042-4"`."""
    if not 0 < id_ <= ID_MAX:
        raise ValueError(f"an id is a whole number from 1 to {ID_MAX}, not {id_}")
    digits = f"{id_:0{DIGITS_MIN}d}"
    return f"{kind}-{digits}-{check_character(kind + digits)}"


def tree_number(tree: int) -> str:
    """The public number of a tree."""
    return number_of(TREE, tree)


def order_number(order: int) -> str:
    """The public number of a planting order."""
    return number_of(ORDER, order)


def parse_number(kind: str, text: str) -> int:
    """The id behind a number as a person may type it: any case, spaces or hyphens anywhere, O for 0, I or
    L for 1.

    Raises `Rejected("bad_number")` with `reason`: `empty`, `too_long`, `wrong_kind`, `bad_character`,
    `too_short`, `out_of_range` or `wrong_check_character`.
    """
    if len(text) > TEXT_CHARACTERS_MAX:
        raise _refused("too_long", characters_max=TEXT_CHARACTERS_MAX)
    packed = "".join(
        character for character in text.upper() if character not in " -\t\u00a0\u2010\u2011\u2013"
    )
    if not packed:
        raise _refused("empty")
    if not packed.startswith(kind):
        raise _refused("wrong_kind", expected=kind)
    digits, check = packed[len(kind) : -1].translate(_LOOKALIKES), packed[-1]
    for character in digits:
        if character not in "0123456789":
            raise _refused("bad_character", character=character)
    if len(digits) < DIGITS_MIN:
        raise _refused("too_short", digits_min=DIGITS_MIN)
    if check not in ALPHABET:
        raise _refused("bad_character", character=check)
    id_ = int(digits)
    if not 0 < id_ <= ID_MAX or f"{id_:0{DIGITS_MIN}d}" != digits:
        raise _refused("out_of_range")
    if check_character(kind + digits) != check:
        raise _refused("wrong_check_character")
    return id_


def parse_tree_number(text: str) -> int:
    """The id of a tree from its public number; see `parse_number` for what is refused."""
    return parse_number(TREE, text)


def parse_order_number(text: str) -> int:
    """The id of a planting order from its public number; see `parse_number` for what is refused."""
    return parse_number(ORDER, text)


def _fold(carry: int, value: int) -> int:
    total = (carry + value) % _MODULUS or _MODULUS
    return total * 2 % (_MODULUS + 1)


def _refused(reason: str, **fields: object) -> Rejected:
    return Rejected("bad_number", reason=reason, **fields)
