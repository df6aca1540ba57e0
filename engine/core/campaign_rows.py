"""Rows of campaigns: a commitment that pays only for trees made of the energy of certain behaviours, and its uses."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Campaign:
    """What ties a commitment (of the same id) to behaviours. Days are UTC, both ends included.

    `from_on` to `until_on`: when balls must ripen for their energy to count; up to `redeem_until_on` trees may be paid
    for, then what is left pays for any tree of the programme.
    """

    id: int
    name: str
    programme: str
    from_on: str
    until_on: str
    redeem_until_on: str
    started_by: str
    started_at: int
    behaviours: list[str] = field(default_factory=list)


@dataclass(slots=True)
class CampaignUse:
    """How much of a user's energy of a campaign has become trees that it paid for."""

    campaign: int
    user_id: int
    used_g: int
    trees: int
