"""Public numbers: the check character against published numbers, and what a person mistypes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.errors import Rejected
from engine.core.numbers import (
    ALPHABET,
    ID_MAX,
    check_character,
    order_number,
    parse_order_number,
    parse_tree_number,
    tree_number,
)


def test_check_character_agrees_with_published_number() -> None:
    # IFPI's Global Release Identifier standard prints A1-2425G-ABC1234002-M (ISO 7064 MOD 37,36)
    assert check_character("A12425GABC1234002") == "M"


@given(st.integers(1, ID_MAX))
def test_number_comes_back(tree: int) -> None:
    assert parse_tree_number(tree_number(tree)) == tree


@given(st.integers(1, ID_MAX), st.data())
def test_every_single_wrong_digit_is_found(tree: int, data: st.DataObject) -> None:
    number = tree_number(tree)
    place = data.draw(st.integers(3, len(number) - 3))
    wrong = data.draw(st.sampled_from([digit for digit in "0123456789" if digit != number[place]]))
    with pytest.raises(Rejected):
        parse_tree_number(number[:place] + wrong + number[place + 1 :])


@given(st.integers(1, ID_MAX), st.data())
def test_every_other_check_character_is_refused(tree: int, data: st.DataObject) -> None:
    number = tree_number(tree)
    wrong = data.draw(st.sampled_from([letter for letter in ALPHABET if letter != number[-1]]))
    with pytest.raises(Rejected) as refusal:
        parse_tree_number(number[:-1] + wrong)
    assert refusal.value.fields["reason"] == "wrong_check_character"


def test_swapped_neighbours_are_nearly_always_found() -> None:
    caught = missed = 0
    for tree in range(100_000, 110_000, 7):
        number = tree_number(tree)
        for place in range(3, len(number) - 3):
            swapped = number[:place] + number[place + 1] + number[place] + number[place + 2 :]
            if swapped == number:
                continue
            try:
                parse_tree_number(swapped)
                missed += 1
            except Rejected:
                caught += 1
    assert caught > 5000 and missed / caught < 0.005


@pytest.mark.parametrize("typed", ["SX-000042-4", "sx 000042 4", " SX0000424 ", "SX-OOOO42-4", "SX‑000042‑4"])
def test_what_people_type(typed: str) -> None:
    assert parse_tree_number(typed) == 42


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("", "empty"),
        (" - ", "empty"),
        ("42", "wrong_kind"),
        (order_number(42), "wrong_kind"),
        ("SX", "too_short"),
        ("SX-42-4", "too_short"),
        ("SX-00A042-4", "bad_character"),
        ("SX-000042-?", "bad_character"),
        ("SX-００００42-4", "bad_character"),
        ("SX-000000-" + check_character("SX000000"), "out_of_range"),
        ("SX-0000042-" + check_character("SX0000042"), "out_of_range"),
        ("SX-99999999999999999999-1", "out_of_range"),
        ("SX-000042-5", "wrong_check_character"),
        ("SX" * 30, "too_long"),
    ],
)
def test_what_is_refused_and_why(typed: str, reason: str) -> None:
    with pytest.raises(Rejected) as refusal:
        parse_tree_number(typed)
    assert (refusal.value.code, refusal.value.fields["reason"]) == ("bad_number", reason)


def test_an_order_is_no_tree() -> None:
    assert parse_order_number(order_number(7)) == 7
    assert order_number(7)[-1] != tree_number(7)[-1]


@pytest.mark.parametrize("tree", [0, -1, ID_MAX + 1])
def test_no_number_for_what_is_no_id(tree: int) -> None:
    with pytest.raises(ValueError, match="whole number"):
        tree_number(tree)
