"""Shelves: rows found by a column, through every kind of change."""

from collections.abc import Iterator

import pytest

from engine.core import commands as c
from engine.core.state import GAME_SHELVES, Link, Shelf, State
from tests.core.world import SOURCE, World


def link(subject: str, user: int) -> Link:
    return Link(SOURCE, subject, user, ["bus"], 0, None)


def subjects(shelf: Shelf[tuple[str, str], Link], user: int) -> list[str]:
    return sorted(row.subject for row in shelf.where("user_id", user))


def test_rows_are_found_by_a_column_through_every_change() -> None:
    shelf: Shelf[tuple[str, str], Link] = State(GAME_SHELVES).shelves["links"]
    shelf.loaded((SOURCE, "a"), link("a", 1))
    shelf.loaded((SOURCE, "b"), None)
    assert (subjects(shelf, 1), subjects(shelf, 2)) == (["a"], [])
    shelf.add((SOURCE, "b"), link("b", 1))
    shelf.loaded((SOURCE, "c"), link("c", 2))
    assert (subjects(shelf, 1), subjects(shelf, 2)) == (["a", "b"], ["c"])
    shelf.put((SOURCE, "a"), link("a", 2))
    shelf.remove((SOURCE, "b"))
    assert (subjects(shelf, 1), subjects(shelf, 2)) == ([], ["a", "c"])
    shelf.add((SOURCE, "b"), link("b", 2))
    shelf.loaded((SOURCE, "c"), None)
    assert subjects(shelf, 2) == ["a", "b"]
    shelf.forget()
    assert subjects(shelf, 2) == []


def test_closing_many_accounts_does_not_look_at_every_row_that_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    users = world.village(4)
    for user in users:
        world.do(c.CloseAccount(None, user))
    looked_at = 0
    everything = Shelf.__iter__

    def counted(shelf: Shelf[object, object]) -> Iterator[object]:
        nonlocal looked_at
        looked_at += 1
        return everything(shelf)

    monkeypatch.setattr(Shelf, "__iter__", counted)
    world.do(c.CloseAccount(None, world.user()))
    assert looked_at == 0
