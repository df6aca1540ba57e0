"""Offers: energy, stock and money in one decision; never more trees than are funded."""

import pytest

from engine.core import commands as c
from engine.core.numbers import TREE, parse_number
from tests.core.world import World, rulebook

PROGRAMME = "saxaul-alxa"


@pytest.fixture
def world() -> World:
    return World()


def rich(world: World, count: int) -> list[int]:
    """Users with the energy of one tree each, minted as a day's walking never could."""
    users = world.village(0) or [world.user() for _ in range(count)]
    for user in users:
        world.state.users[user].wallet_g = price_g()
    return users


def price_g() -> int:
    price = rulebook().programmes[PROGRAMME].energy_g(World().days_on(0))
    assert price is not None
    return price


def fund(world: World, trees: int, stock: int | None = None) -> None:
    world.do(c.FundProgramme(None, PROGRAMME, "Foundation", "CNY", 1000, trees * 1000 + 999))
    world.do(c.GrantStock(None, PROGRAMME, trees if stock is None else stock))


def test_stock_never_exceeds_what_funding_covers(world: World) -> None:
    fund(world, trees=10, stock=4)
    assert world.refused(c.GrantStock(None, PROGRAMME, 7)).fields == {"covers_more": 6}
    assert world.do(c.GrantStock(None, PROGRAMME, 6)) == {"stock": 10}


def test_a_thousand_users_after_the_last_ten_trees_give_exactly_ten(world: World) -> None:
    users = rich(world, 1000)
    fund(world, trees=10)
    numbers, refusals = [], []
    for user in users:
        command = c.RedeemOffer(world.next_key(), user, PROGRAMME)
        if world.state.stocks[PROGRAMME].stock:
            numbers.append(world.do(command)["tree"])
        else:
            refusals.append(world.refused(command).code)
    assert len(set(numbers)) == 10
    assert refusals == ["sold_out"] * 990
    commitment = next(iter(world.state.commitments))
    assert commitment.left_minor == 999, "what is less than a tree's price stays"
    assert all(parse_number(TREE, number) for number in numbers)


def test_a_lean_wallet_is_told_what_is_lacking(world: World) -> None:
    [user] = world.village(1)
    fund(world, trees=1)
    refusal = world.refused(c.RedeemOffer(world.next_key(), user, PROGRAMME))
    assert (refusal.code, refusal.fields) == ("energy_lacking", {"wallet_g": 0, "price_g": price_g()})


def test_unknown_and_empty_offers(world: World) -> None:
    [user] = rich(world, 1)
    assert world.refused(c.RedeemOffer(world.next_key(), user, "moon-cheese")).code == "unknown_offer"
    assert world.refused(c.RedeemOffer(world.next_key(), user, PROGRAMME)).code == "sold_out"


def test_several_commitments_are_used_up_in_order(world: World) -> None:
    users = rich(world, 3)
    fund(world, trees=1)
    fund(world, trees=2)
    for user in users:
        world.do(c.RedeemOffer(world.next_key(), user, PROGRAMME))
    assert sorted(row.left_minor for row in world.state.commitments) == [999, 999]


def test_partners_advance_trees_and_say_why(world: World) -> None:
    [user] = rich(world, 1)
    fund(world, trees=1)
    world.do(c.RedeemOffer(world.next_key(), user, PROGRAMME))
    [tree] = world.state.trees
    assert world.do(c.AdvanceTrees((tree.id,), "ordered")) == {"advanced": 1}
    assert world.do(c.AdvanceTrees((tree.id,), "ordered")) == {"advanced": 0}
    assert (tree.state, tree.state_at) == ("ordered", world.now)
    assert world.refused(c.AdvanceTrees((123,), "ordered")).code == "unknown_tree"


@pytest.mark.parametrize(("price", "amount"), [(0, 100), (-1, 100), (100, 99)])
def test_a_commitment_pays_for_a_tree_at_least(world: World, price: int, amount: int) -> None:
    command = c.FundProgramme(None, PROGRAMME, "Foundation", "CNY", price, amount)
    assert world.refused(command).code == "bad_request"
