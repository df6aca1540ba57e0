"""Whose money pays for a tree: campaigns by the energy of their behaviours, exact in grams."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core import commands as c
from engine.core.campaigns import StartCampaign, energy_g
from engine.core.units import DAY_MS
from engine.core.values import Dated
from tests.core.world import World, rulebook

PROGRAMME = "saxaul-alxa"
PRICE_G = 100


def cheap() -> Any:
    """The shipped rulebook with trees for a hundred grams, so that some rides make one."""
    book = rulebook()
    programme = book.programmes[PROGRAMME]
    energy = Dated(
        programme.energy.days,
        tuple(
            None if one is None else replace(one, amount=Decimal(PRICE_G)) for one in programme.energy.items
        ),
    )
    return replace(
        book, programmes=dict(book.programmes) | {PROGRAMME: replace(programme, energy=energy)}, memo={}
    )


class Forest(World):
    """A world of two users, a general commitment and what a campaign needs."""

    def __init__(self, general: int = 5) -> None:
        super().__init__(rules=cheap())
        self.rider, self.walker = self.village(2)
        if general:
            self.do(c.FundProgramme(None, PROGRAMME, "Foundation", "CNY", 1000, general * 1000))
            self.do(c.GrantStock(None, PROGRAMME, general))
        self.acts = 0

    def start(self, trees: int = 2, behaviours: tuple[str, ...] = ("bus",), **changes: Any) -> int:
        command = StartCampaign(
            None, "operator:li", "Ride", "Bank", PROGRAMME, behaviours, "2026-11-20", "2026-12-20", "2026-12-31",
            "CNY", 900, trees * 900,
        )  # fmt: skip
        reply = self.do(replace(command, **changes))
        if trees:
            self.do(c.GrantStock(None, PROGRAMME, trees))
        return int(reply["campaign"])

    def earn(self, user: int, behaviour: str = "bus", least_g: int = PRICE_G, by: int | None = None) -> int:
        """Rides until balls of at least so many grams were collected; the grams."""
        grams = 0
        while grams < least_g:
            self.acts += 1
            ball = self.ball(user, f"a{self.acts}", behaviour)
            self.to_ripe(ball, 3 * 3_600_000)
            found = self.collect(user if by is None else by, user, ball)
            grams += found[0].get("energy_g", 0)
        return grams

    def redeem(self, user: int) -> Any:
        number = self.do(c.RedeemOffer(self.next_key(), user, PROGRAMME))["tree"]
        return next(tree for tree in self.state.trees if tree.number == number)

    def left(self, campaign: int) -> int:
        return int(self.state.commitments[campaign].left_minor)


def test_a_campaign_pays_for_trees_of_its_behaviours_before_others_do() -> None:
    world = Forest()
    campaign = world.start()
    world.earn(world.rider)
    assert world.redeem(world.rider).commitment_id == campaign
    assert world.left(campaign) == 900
    world.state.users[world.walker].wallet_g = PRICE_G  # of whatever else
    assert world.redeem(world.walker).commitment_id != campaign
    world.state.users[world.rider].wallet_g += PRICE_G
    assert world.redeem(world.rider).commitment_id != campaign, "its energy was used up"


def test_energy_counts_by_behaviour_period_and_own_hands() -> None:
    world = Forest()
    campaign = world.start()
    row = world.state.campaigns[campaign]
    grams = world.earn(world.rider, least_g=1)
    assert energy_g(world.state, row, world.rider) == grams
    world.earn(world.rider, "metro", least_g=1)
    assert energy_g(world.state, row, world.rider) == grams, "another behaviour"
    world.earn(world.rider, least_g=1, by=world.walker)
    assert energy_g(world.state, row, world.rider) == grams, "a friend took it"
    assert energy_g(world.state, row, world.walker) == 0, "not from an own act"
    world.now += 40 * DAY_MS
    world.earn(world.rider, least_g=1)
    assert energy_g(world.state, row, world.rider) == grams, "after its period"


def test_a_withdrawn_tree_frees_energy_and_money() -> None:
    world = Forest(general=0)
    campaign = world.start(trees=1)
    world.earn(world.rider)
    tree = world.redeem(world.rider)
    assert (tree.commitment_id, world.left(campaign)) == (campaign, 0)
    assert world.state.campaign_uses[campaign, world.rider].used_g == PRICE_G
    world.do(c.WithdrawTrees((tree.id,), "energy_back:no_place"))
    use = world.state.campaign_uses[campaign, world.rider]
    assert (use.used_g, use.trees, world.left(campaign)) == (0, 0, 900)
    assert world.redeem(world.rider).commitment_id == campaign


def test_money_that_is_bound_is_not_for_everybody_until_the_last_day_is_over() -> None:
    world = Forest(general=0)
    campaign = world.start()
    world.state.users[world.walker].wallet_g = 3 * PRICE_G
    refusal = world.refused(c.RedeemOffer(world.next_key(), world.walker, PROGRAMME))
    assert (refusal.code, refusal.fields) == ("sold_out", {"campaigns": ["Ride"]})
    world.now += 60 * DAY_MS
    assert world.redeem(world.walker).commitment_id == campaign
    assert world.state.campaign_uses.peek((campaign, world.walker)) is None, "nobody's energy of it was used"


def test_the_oldest_campaign_that_fits_pays_first_and_one_without_money_does_not() -> None:
    world = Forest()
    first, second = world.start(trees=1), world.start(trees=3)
    world.earn(world.rider, least_g=2 * PRICE_G)
    assert [world.redeem(world.rider).commitment_id for _ in range(2)] == [first, second]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"behaviours": ()}, "behaviours"),
        ({"behaviours": ("flying",)}, "behaviours"),
        ({"from_on": "2026-12-21"}, "until_on"),
        ({"from_on": "soon"}, "from_on"),
        ({"redeem_until_on": "2026-12-01"}, "redeem_until_on"),
        (
            {"from_on": "2020-01-01", "until_on": "2020-01-02", "redeem_until_on": "2020-01-02"},
            "redeem_until_on",
        ),
        ({"amount_minor": 899}, "amount_minor"),
        ({"name": " "}, "name"),
        ({"funder": ""}, "funder"),
    ],
)
def test_what_does_not_add_up_is_refused(changes: dict[str, Any], field: str) -> None:
    world = Forest()
    with pytest.raises(Exception, match="bad_campaign") as caught:
        world.start(trees=2, **changes)
    assert caught.value.fields["field"] == field  # type: ignore[attr-defined]
    with pytest.raises(Exception, match="unknown_programme"):
        world.start(programme="moon")


@given(st.lists(st.sampled_from(["earn", "other", "redeem", "redeem", "withdraw", "wait"]), max_size=14))
@settings(max_examples=25, deadline=None)
def test_no_gram_pays_twice_and_no_budget_is_overdrawn(steps: list[str]) -> None:
    world = Forest(general=3)
    campaign = world.start(trees=2)
    row = world.state.campaigns[campaign]
    for step in steps:
        if step in ("earn", "other"):
            world.earn(world.rider, "bus" if step == "earn" else "metro")
        elif step == "wait":
            world.now += 9 * DAY_MS
        elif step == "redeem":
            try:
                world.redeem(world.rider)
            except Exception as refusal:
                assert getattr(refusal, "code", "") in ("sold_out", "energy_lacking"), refusal  # noqa: PT017
        else:
            trees = [tree.id for tree in world.state.trees if tree.state == "pledged"]
            if trees:
                world.do(c.WithdrawTrees((trees[0],), "energy_back:no_place"))
        use = world.state.campaign_uses.peek((campaign, world.rider))
        used = use.used_g if use is not None else 0
        own = [
            tree for tree in world.state.trees if tree.commitment_id == campaign and tree.state != "withdrawn"
        ]
        collected = sum(
            grams
            for ball in world.state.balls.where("owner", world.rider)
            if ball.behaviour == "bus"
            for taker, grams, _ in ball.takers
            if taker == world.rider
        )
        if world.now < 1_798_675_200_000:  # 2026-12-31
            assert used == PRICE_G * len(own) <= collected
            assert energy_g(world.state, row, world.rider) <= collected - used
        assert world.left(campaign) == 1800 - 900 * len(own) >= 0
