"""What an adapter gives: how a partner is asked, read back, and understood. One shape for every kind of
partner.

An adapter knows the partner's address and key and nothing of our database, users or trees; it can't verify
a tree, because no report says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from partners.core.model import PartnerReport

Idempotency = Literal["native", "emulated", "none"]
Billing = Literal["prepaid", "monthly", "invoice", "milestone"]
OutcomeKind = Literal["done", "failed", "unknown", "absent", "refused"]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a partner can do.

    `idempotency`: native = it drops a repeated request by our key; emulated = it can be asked for our
    reference; none = neither. Only `native` is ever sent twice. `poll_s` 0: it can't be asked how an order
    stands. `is_live` False: nothing that it says is about a real tree. `lines_max`: how many lines (a species on
    a site each) one order may have.
    """

    idempotency: Idempotency
    chooses_species: bool
    chooses_site: bool
    per_tree_ids: bool
    order_min_trees: int
    has_sandbox: bool
    pushes: bool
    poll_s: int
    billing: Billing
    cancels: bool
    reads_messages: bool
    asks_below_minimum: bool
    is_live: bool
    uploads_evidence: bool = False
    """Its files must be uploaded here, and what they show is judged."""
    lines_max: int = 1


@dataclass(frozen=True, slots=True)
class LineSheet:
    """One line of what a partner is asked; price in minor units of the currency."""

    line_no: int
    species: str
    site: str
    quantity: int
    unit_price_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class OrderSheet:
    """What a partner is asked; instants in ms UTC, price in minor units of the currency.

    `replaces`: the order whose lost trees it is to make good, at no price; None: an order of its own.
    Species to currency are those of the first line; `lines` has all of them. `kind`: standard, replacement or test.
    """

    order: int
    programme: str
    season: str
    season_opens_at: int
    season_closes_at: int
    answer_by_at: int
    below_minimum: bool
    species: str
    site: str
    quantity: int
    unit_price_minor: int
    currency: str
    replaces: int | None = None
    kind: str = "standard"
    agreement: str = ""
    lines: tuple[LineSheet, ...] = ()


def order_sheet(payload: Mapping[str, Any]) -> OrderSheet:
    """The sheet in an outbox row."""
    lines = tuple(LineSheet(**line) for line in payload.get("lines", ()))
    return OrderSheet(**{**payload, "lines": lines})


@dataclass(frozen=True, slots=True)
class About:
    """What a message to a partner is about: an answer or report that is due, what a reviewer misses (`text`), or how
    many `trees` are verified."""

    kind: Literal["answer_due", "needs_info", "verified"]
    text: str = ""
    trees: int = 0

    def __str__(self) -> str:
        if self.kind == "verified":
            return f"reviewed: {self.trees} trees are verified"
        return self.text if self.kind == "needs_info" else "an answer to this order is due"


def about_of(payload: Mapping[str, Any]) -> About:
    """What the message in an outbox row is about."""
    if payload.get("needs_info"):
        return About("needs_info", text=str(payload["needs_info"]))
    if "verified" in payload:
        return About("verified", trees=int(payload["verified"]))
    return About("answer_due")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a call.

    done: it had its effect; failed: it surely had none, try again; unknown: it may have had it; absent:
    the partner has no such order; refused: a clear no, also where it hides in a success. `text` is for
    people, no secrets.
    """

    outcome: OutcomeKind
    text: str = ""
    report: PartnerReport | None = None
    retry_after_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Inbound:
    """A message of a partner whose signature held: its id, the digest of its bytes, and what it says."""

    message: str
    digest: str
    report: PartnerReport


class Adapter(Protocol):
    """One partner, as the engine sees it. Calls never raise for what the partner does; see `Answer`."""

    @property
    def capabilities(self) -> Capabilities:
        """What this partner can do."""
        ...

    async def submit(self, sheet: OrderSheet, key: str) -> Answer:
        """Ask the partner to plant. `key` is the same whenever this order is sent."""
        ...

    async def cancel(self, order: int, reason: str, key: str) -> Answer:
        """Withdraw an order."""
        ...

    async def remind(self, order: int, about: About, key: str) -> Answer:
        """Tell the partner that an answer is due, what information is missing, or how a review ended."""
        ...

    async def fetch_status(self, order: int) -> Answer:
        """Read back how an order stands; `absent` if the partner does not have it."""
        ...

    def parse_inbound(self, headers: Mapping[str, str], body: bytes, now_ms: int) -> Inbound:
        """Check and understand a message (header names in lower case).

        Raises Rejected: `bad_signature`, `bad_request`, `bad_number`.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
