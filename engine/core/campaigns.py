"""Campaigns: a funder's own budget for trees that are made of the energy of certain behaviours in a period.

The rule, exact in whole grams: a user's energy of a campaign is what they have collected themselves from balls of
their own acts of its behaviours that ripened in its period, less what trees that it paid for were made of. A campaign
pays for a whole tree, at the moment when it is redeemed, if that energy is at least the tree's price and the budget
holds; the oldest such campaign pays, before any commitment without a campaign. Energy itself moves as always: a
campaign decides only whose money pays.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from engine.core.campaign_rows import Campaign, CampaignUse
from engine.core.context import Context
from engine.core.errors import Rejected
from engine.core.events import Decision, ProgrammeFunded, TreeRedeemed, TreeWithdrawn
from engine.core.state import By, Commitment, GameState, Touch
from engine.core.units import local_day

NAME_CHARACTERS_MAX = 100
BEHAVIOURS_MAX = 50


@dataclass(slots=True)
class StartCampaign:
    """A funder commits money for trees of a programme that are made of the energy of these behaviours."""

    key: str | None
    operator: str
    name: str
    funder: str
    programme: str
    behaviours: tuple[str, ...]
    from_on: str
    until_on: str
    redeem_until_on: str
    currency: str
    unit_price_minor: int
    amount_minor: int


@dataclass(slots=True)
class CampaignStarted:
    """A campaign is there; its money was booked as any commitment's."""

    campaign: Campaign


def start_touches(command: StartCampaign, state: GameState) -> Iterator[Touch]:
    """The programme's stock, whose cover grows."""
    yield Touch("stocks", command.programme)


def start(state: GameState, command: StartCampaign, context: Context) -> Decision:
    """Book the budget and bind it. Raises `unknown_programme`, `bad_campaign`."""
    if command.programme not in context.rules.programmes:
        raise Rejected("unknown_programme", programme=command.programme)
    _check(command, context)
    number = context.new_id()
    commitment = Commitment(
        id=number,
        programme=command.programme,
        funder=command.funder,
        currency=command.currency,
        unit_price_minor=command.unit_price_minor,
        amount_minor=command.amount_minor,
        left_minor=command.amount_minor,
        committed_at=context.now,
    )
    campaign = Campaign(
        id=number,
        name=command.name,
        programme=command.programme,
        from_on=command.from_on,
        until_on=command.until_on,
        redeem_until_on=command.redeem_until_on,
        started_by=command.operator,
        started_at=context.now,
        behaviours=sorted(set(command.behaviours)),
    )
    covers = command.amount_minor // command.unit_price_minor
    events = [ProgrammeFunded(commitment, covers), CampaignStarted(campaign)]
    return Decision(events, {"campaign": str(number), "covers": covers})


def started(state: GameState, event: CampaignStarted) -> None:
    """Keep it."""
    state.campaigns.add(event.campaign.id, event.campaign)


def _check(command: StartCampaign, context: Context) -> None:
    days = []
    for field in ("from_on", "until_on", "redeem_until_on"):
        try:
            days.append(date.fromisoformat(getattr(command, field)))
        except ValueError:
            raise Rejected("bad_campaign", field=field, expected="a day, 2027-03-01") from None
    unknown = sorted(set(command.behaviours) - set(context.rules.behaviours))
    for field, expected, holds in (
        (
            "name",
            f"1 to {NAME_CHARACTERS_MAX} characters",
            0 < len(command.name.strip()) <= NAME_CHARACTERS_MAX,
        ),
        ("funder", "a name", bool(command.funder.strip())),
        (
            "behaviours",
            f"1 to {BEHAVIOURS_MAX} of the rulebook",
            0 < len(command.behaviours) <= BEHAVIOURS_MAX,
        ),
        ("behaviours", f"of the rulebook, not {unknown[:1]}", not unknown),
        ("until_on", f"not before {command.from_on}", days[0] <= days[1]),
        ("redeem_until_on", f"not before {command.until_on}", days[1] <= days[2]),
        ("redeem_until_on", "a day to come", days[2] >= local_day(context.now, "UTC")),
        ("amount_minor", "at least one unit price", 0 < command.unit_price_minor <= command.amount_minor),
    ):
        if not holds:
            raise Rejected("bad_campaign", field=field, expected=expected)


# --- who pays for a tree ------------------------------------------------------------------------------


def paying_touches(user: int, programme: str, state: GameState) -> Iterator[Touch]:
    """What says whether a campaign pays: the programme's campaigns and, where one has money, the user's balls."""
    yield Touch("campaigns", By("programme", programme))
    for campaign in state.campaigns.where("programme", programme):
        commitment = state.commitments.peek(campaign.id)
        if commitment is not None and commitment.left_minor >= commitment.unit_price_minor:
            yield Touch("campaign_uses", (campaign.id, user))
            yield Touch("balls", By("owner", user))


def paying(
    state: GameState, user: int, programme: str, price_g: int, context: Context
) -> tuple[Commitment, int]:
    """The commitment that pays for a tree of the user, and the grams of campaign energy that it uses (0: none).

    Raises `sold_out` where only campaigns have money left and none of them pays for this user, `not_funded`.
    """
    today = local_day(context.now, "UTC").isoformat()
    bound = {
        campaign.id: campaign
        for campaign in state.campaigns.where("programme", programme)
        if campaign.redeem_until_on >= today
    }
    able = [
        commitment
        for commitment in sorted(state.commitments.where("programme", programme), key=lambda one: one.id)
        if commitment.left_minor >= commitment.unit_price_minor
    ]
    for commitment in able:
        campaign = bound.get(commitment.id)
        if campaign is not None and energy_g(state, campaign, user) >= price_g:
            return commitment, price_g
    for commitment in able:
        if commitment.id not in bound:
            return commitment, 0
    if able:
        raise Rejected("sold_out", campaigns=[bound[one.id].name for one in able])
    raise Rejected("not_funded", covers_more=0)


def energy_g(state: GameState, campaign: Campaign, user: int) -> int:
    """The user's energy of the campaign that no tree of it was made of yet; never below zero."""
    collected_g = sum(
        grams
        for ball in state.balls.where("owner", user)
        if ball.behaviour in campaign.behaviours
        and campaign.from_on <= local_day(ball.ripens_at, "UTC").isoformat() <= campaign.until_on
        for taker, grams, _ in ball.takers
        if taker == user
    )
    use = state.campaign_uses.peek((campaign.id, user))
    return max(0, collected_g - (use.used_g if use is not None else 0))


def use(state: GameState, event: TreeRedeemed) -> None:
    """A tree was made of a campaign's energy."""
    key = (event.tree.commitment_id, event.tree.user_id)
    if state.campaign_uses.peek(key) is None:
        state.campaign_uses.add(key, CampaignUse(*key, 0, 0))
    row = state.campaign_uses.edit(key)
    row.used_g += event.campaign_g
    row.trees += 1


def give_back(state: GameState, event: TreeWithdrawn) -> None:
    """The tree is no more, so the campaign may pay for another one of the same energy."""
    row = state.campaign_uses.edit((event.commitment, event.user))
    row.used_g -= event.campaign_g
    row.trees -= 1


def freed_g(state: GameState, commitment: int, user: int, grams: int) -> int:
    """The campaign energy that a withdrawn tree of so many grams frees; 0 where no campaign paid for it."""
    row = state.campaign_uses.peek((commitment, user))
    return grams if row is not None and row.trees > 0 and row.used_g >= grams else 0
