"""Editions of the rulebook: who may, from when, what is refused; and which users a canary has."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from engine.core import editions as e
from engine.core import publishing
from engine.core.canary import EVERYBODY, Canary, is_chosen
from engine.core.context import Context
from engine.core.errors import Rejected
from engine.core.state import GAME_SHELVES, By, Commitment, State
from engine.core.units import DAY_MS, HOUR_MS
from tests.core.world import NOON, rulebook

LEAD_MS = 5_000


def book(name: str) -> e.StoredRulebook:
    return e.StoredRulebook(hashlib.sha256(name.encode()).hexdigest(), {"game.yaml": name}, "d", 0)


@dataclass
class Desk:
    """The commands in memory, with a clock set by hand."""

    now: int = NOON
    state: Any = field(default_factory=lambda: State((*GAME_SHELVES, *e.EDITION_SHELVES)))
    rules: Any = field(default_factory=lambda: publishing.rules(LEAD_MS))

    def do(self, command: Any) -> dict[str, Any]:
        found = self.rules[type(command)]
        for touch in found.touches(command, self.state):
            shelf = self.state.shelves[touch.shelf]
            if not isinstance(touch.key, By) and touch.key not in shelf:
                shelf.loaded(touch.key, None)
        decision = found.decide(self.state, command, Context(self.now, rulebook(), lambda *_: 0, lambda: 1))
        for event in decision.events:
            publishing.EVOLVE[type(event)](self.state, event)
        self.state.clean()
        return decision.reply

    def refused(self, command: Any) -> Rejected:
        with pytest.raises(Rejected) as refusal:
            self.do(command)
        return refusal.value

    @property
    def rows(self) -> list[e.Edition]:
        return sorted(self.state.editions, key=lambda one: one.number)

    def in_force(self, now: int | None = None) -> e.Edition | None:
        return e.for_all_at(self.rows, self.now if now is None else now)

    def looked(self, **fields: Any) -> e.Looked:
        current = self.in_force()
        fields = {"programmes": tuple(rulebook().programmes)} | fields
        return e.Looked(current.number if current else 0, **fields)

    def start(self, name: str = "folder") -> dict[str, Any]:
        return self.do(e.PublishFolder(book(name)))

    def propose(self, name: str, by: str = "lin", **fields: Any) -> Any:
        looked = fields.pop("looked", None) or self.looked()
        return e.ProposeRulebook(None, book(name), by, "to try", looked, **fields)

    def approve(self, edition: int, by: str = "ana", **fields: Any) -> Any:
        looked = fields.pop("looked", None) or self.looked()
        return e.ApproveRulebook(None, edition, by, looked, **fields)

    def publish(self, name: str, **fields: Any) -> int:
        number = self.do(self.propose(name, **fields))["edition"]
        self.do(self.approve(number))
        self.now += LEAD_MS
        return number


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.start()
    return desk


def test_the_first_folder_counts_for_all_that_was_before() -> None:
    desk = Desk()
    assert desk.start()["edition"] == 1
    assert desk.start() == {"edition": 1}
    [first] = desk.rows
    assert (first.from_at, first.origin, first.share) == (0, "folder", EVERYBODY)
    assert desk.in_force(0) == first


def test_another_folder_follows_until_somebody_publishes(desk: Desk) -> None:
    desk.now += HOUR_MS
    assert desk.start("changed")["edition"] == 2
    assert desk.in_force().number == 1 and desk.in_force(desk.now + LEAD_MS).number == 2
    desk.now += HOUR_MS
    desk.publish("wanted")
    assert desk.start("changed again") == {"edition": 3}
    assert len(desk.rows) == 3


def test_two_people_make_an_edition(desk: Desk) -> None:
    told = desk.do(desk.propose("next"))
    assert (told["edition"], told["state"], told["proposed_by"]) == (2, "proposed", "lin")
    for name in ("lin", "LIN", "  Lin "):
        assert desk.refused(desk.approve(2, by=name)).code == "own_proposal"
    told = desk.do(desk.approve(2))
    assert (told["state"], told["approved_by"], told["why"]) == ("planned", "ana", "to try")
    assert desk.in_force(desk.now + LEAD_MS - 1).number == 1
    assert desk.in_force(desk.now + LEAD_MS).number == 2
    assert desk.refused(desk.approve(2)).code == "not_proposed"
    assert desk.refused(desk.approve(9)).code == "unknown_edition"


def test_an_edition_waits_for_its_instant_and_nothing_overtakes_it(desk: Desk) -> None:
    at = desk.now + DAY_MS
    desk.do(desk.propose("next", wanted_at=at))
    desk.do(desk.propose("other"))
    assert desk.do(desk.approve(2))["from_at"].startswith("2026-11-21T12:00:00")
    assert desk.refused(desk.approve(3)).code == "edition_planned"
    assert desk.in_force(at - 1).number == 1 and desk.in_force(at).number == 2
    told = desk.do(e.WithdrawEdition(None, 2, "lin", "not yet"))
    assert (told["state"], told["ended_why"]) == ("withdrawn", "not yet")
    assert desk.in_force(at).number == 1
    desk.do(desk.approve(3))


def test_what_is_so_near_that_others_know_of_it_can_not_be_taken_back(desk: Desk) -> None:
    desk.do(desk.propose("next"))
    desk.do(desk.approve(2))
    desk.now += 1
    assert desk.refused(e.WithdrawEdition(None, 2, "lin", "no")).code == "not_running"


@pytest.mark.parametrize("wanted_at", [NOON - 1, NOON + 400 * DAY_MS])
def test_an_instant_lies_ahead_and_within_a_year(desk: Desk, wanted_at: int) -> None:
    assert desk.refused(desk.propose("next", wanted_at=wanted_at)).fields["field"] == "from_at"


@pytest.mark.parametrize("fields", [{"by": " "}, {"share": 0}, {"share": EVERYBODY + 1}, {"share": -5}])
def test_a_proposal_says_who_and_for_whom(desk: Desk, fields: dict[str, Any]) -> None:
    assert desk.refused(desk.propose("next", **fields)).code == "bad_request"


def test_what_is_in_force_is_not_proposed_again(desk: Desk) -> None:
    assert desk.refused(desk.propose("folder")).code == "already_in_force"


def test_proposals_have_a_limit(desk: Desk) -> None:
    for number in range(publishing.OPEN_PROPOSALS_MAX):
        desk.do(desk.propose(f"n{number}"))
    assert desk.refused(desk.propose("more")).code == "too_many_proposals"
    desk.do(e.WithdrawEdition(None, 2, "lin", "room"))
    desk.do(desk.propose("more"))


def test_what_was_seen_must_still_hold(desk: Desk) -> None:
    seen = desk.looked()
    desk.publish("between")
    refusal = desk.refused(desk.propose("next", looked=seen))
    assert (refusal.code, refusal.fields["in_force"]) == ("rules_moved", 2)


# --- reasons that override --------------------------------------------------------------------------


def test_an_edited_value_is_told_and_needs_a_reason(desk: Desk) -> None:
    looked = desk.looked(edited=tuple(f"finding {number}" for number in range(30)))
    refusal = desk.refused(desk.propose("next", looked=looked))
    assert (refusal.code, refusal.fields["count"]) == ("edited_in_place", 30)
    assert refusal.fields["edited"][0] == "finding 0" and len(refusal.fields["edited"]) == 20
    assert desk.refused(desk.propose("next", looked=looked, overrides={"edited_in_place": " "})).code == (
        "edited_in_place"
    )
    told = desk.do(desk.propose("next", looked=looked, overrides={"edited_in_place": "a slip of the pen"}))
    kept = {"refusal": "edited_in_place", "by": "lin", "reason": "a slip of the pen"}
    assert told["overrides"] == [kept]
    assert desk.do(desk.approve(2, looked=looked))["overrides"] == [kept]


def test_what_comes_up_only_at_approval_needs_the_second_persons_reason(desk: Desk) -> None:
    desk.do(desk.propose("next"))
    looked = desk.looked(edited=("a value",))
    assert desk.refused(desk.approve(2, looked=looked)).code == "edited_in_place"
    told = desk.do(desk.approve(2, looked=looked, overrides={"edited_in_place": "known"}))
    assert told["overrides"][0]["by"] == "ana"


def fund(desk: Desk, number: int, programme: str, currency: str, left_minor: int) -> None:
    row = Commitment(number, programme, "f", currency, 100, left_minor, left_minor, NOON)
    desk.state.commitments.add(number, row)


def test_trees_must_be_paid_for(desk: Desk) -> None:
    own = sorted(rulebook().programmes)[0]
    fund(desk, 1, own, "CNY", 700)
    fund(desk, 2, own, "CNY", 299)
    fund(desk, 3, "of another rulebook", "CNY", 10**9)
    fund(desk, 4, own, "EUR", 10**9)
    looked = desk.looked(costs={"CNY": 1_000, "EUR": 5})
    refusal = desk.refused(desk.propose("next", looked=looked))
    assert refusal.code == "over_budget"
    assert refusal.fields["lacking"] == {"CNY": {"cost_minor": 1_000, "funded_minor": 999}}
    fund(desk, 5, own, "CNY", 1)
    desk.do(desk.propose("next", looked=looked))
    costly = desk.looked(costs={"USD": 1})
    assert desk.refused(desk.approve(2, looked=costly)).code == "over_budget"
    desk.do(desk.approve(2, looked=costly, overrides={"over_budget": "a donor has promised"}))


# --- rolling back -----------------------------------------------------------------------------------


def test_a_rollback_needs_one_person_and_a_reason(desk: Desk) -> None:
    assert desk.refused(e.RollBackRulebook(None, "lin", "x")).code == "nothing_earlier"
    desk.publish("second")
    desk.publish("third")
    assert desk.refused(e.RollBackRulebook(None, "lin", " ")).code == "bad_request"
    told = desk.do(e.RollBackRulebook(None, "lin", "too much"))
    assert (told["edition"], told["same_as"], told["origin"]) == (4, 2, "rollback")
    assert desk.in_force(desk.now + LEAD_MS).hash == book("second").hash
    desk.now += LEAD_MS
    assert desk.refused(e.RollBackRulebook(None, "lin", "x", to=2)).code == "already_in_force"
    assert desk.refused(e.RollBackRulebook(None, "lin", "x", to=77)).code == "unknown_edition"
    assert desk.do(e.RollBackRulebook(None, "lin", "x", to=1))["same_as"] == 1


def test_a_proposal_is_nothing_to_go_back_to(desk: Desk) -> None:
    desk.do(desk.propose("never"))
    assert desk.refused(e.RollBackRulebook(None, "lin", "x", to=2)).code == "nothing_earlier"


# --- canaries ---------------------------------------------------------------------------------------


def test_a_canary_runs_beside_what_is_in_force_for_all(desk: Desk) -> None:
    number = desk.publish("bold", share=500)
    assert desk.in_force().number == 1
    assert e.canary_at(desk.rows, desk.now).number == number
    assert desk.refused(desk.propose("other")).code == "canary_running"
    told = desk.do(e.WithdrawEdition(None, number, "lin", "people were lost"))
    assert told["state"] == "published" and "until_at" in told
    assert e.canary_at(desk.rows, desk.now + LEAD_MS - 1) is not None
    assert e.canary_at(desk.rows, desk.now + LEAD_MS) is None
    desk.now += LEAD_MS
    assert desk.refused(e.WithdrawEdition(None, number, "lin", "again")).code == "not_running"
    desk.publish("other")


def test_a_canary_is_promoted_by_another_person(desk: Desk) -> None:
    number = desk.publish("bold", share=500)
    promote = e.PromoteCanary(None, number, "lin", "it went well", desk.looked())
    assert desk.refused(promote).code == "own_proposal"
    told = desk.do(replace(promote, by="kim"))
    assert (told["origin"], told["share_pct"], told["proposed_by"]) == ("promotion", 100, "lin")
    assert desk.in_force(desk.now + LEAD_MS).hash == book("bold").hash
    assert e.canary_at(desk.rows, desk.now + LEAD_MS) is None
    desk.now += LEAD_MS
    assert desk.refused(replace(promote, by="kim")).code == "not_running"


def test_a_canary_that_was_ended_is_not_promoted_in_its_last_seconds(desk: Desk) -> None:
    number = desk.publish("bold", share=500)
    desk.do(e.WithdrawEdition(None, number, "lin", "people were lost"))
    desk.now += LEAD_MS - 1
    assert e.canary_at(desk.rows, desk.now) is not None
    promote = e.PromoteCanary(None, number, "kim", "it went well", desk.looked())
    assert desk.refused(promote).code == "not_running"


def test_a_rollback_ends_the_canary_first(desk: Desk) -> None:
    desk.publish("second")
    number = desk.publish("bold", share=500)
    told = desk.do(e.RollBackRulebook(None, "lin", "stop"))
    assert told["edition"] == number and "until_at" in told
    assert desk.refused(e.RollBackRulebook(None, "lin", "and back", to=1)).code == "canary_running"
    desk.now += LEAD_MS
    assert desk.do(e.RollBackRulebook(None, "lin", "and back"))["same_as"] == 1


def test_a_canary_has_the_programmes_of_all(desk: Desk) -> None:
    looked = desk.looked(programmes=("elsewhere",))
    refusal = desk.refused(desk.propose("bold", share=1, looked=looked))
    assert refusal.code == "canary_programmes" and "elsewhere" in refusal.fields["programmes"]


# --- arms -------------------------------------------------------------------------------------------

SALTS = st.text(min_size=1, max_size=40)
SHARES = st.integers(1, EVERYBODY - 1)
USERS = st.integers(1, 2**53)


def test_anybody_can_work_out_a_canary_again() -> None:
    """As the documents say: SHA-256 of `salt|user`, eight bytes, the rest of a division by 10,000."""
    chosen = [user for user in range(1, 200) if is_chosen("edition-2-0744602ab8496c94", 500, user)]
    by_hand = [
        user
        for user in range(1, 200)
        if int(hashlib.sha256(f"edition-2-0744602ab8496c94|{user}".encode()).hexdigest()[:16], 16) % 10_000
        < 500
    ]
    assert chosen == by_hand and chosen


@given(SALTS, SHARES, SHARES, USERS)
def test_a_greater_share_keeps_everybody_of_a_smaller_one(salt: str, one: int, other: int, user: int) -> None:
    low, high = sorted((one, other))
    assert is_chosen(salt, low, user) <= is_chosen(salt, high, user)
    assert is_chosen(salt, low, user) == is_chosen(salt, low, user)
    assert is_chosen(salt, EVERYBODY, user)


@given(SALTS, SHARES, st.integers(1, 2**52))
def test_a_canary_has_the_share_that_was_named(salt: str, share: int, first: int) -> None:
    count = 4_000
    part = share / EVERYBODY
    chosen = sum(is_chosen(salt, share, user) for user in range(first, first + count))
    tolerance = 6 * (count * part * (1 - part)) ** 0.5 + 1
    assert abs(chosen - count * part) <= tolerance


@given(USERS, SHARES, SALTS)
def test_everybody_is_in_exactly_one_arm(user: int, share: int, salt: str) -> None:
    base = rulebook()
    bold = replace(base, hash="bold")
    context = Context(NOON, base, lambda *_: 0, lambda: 1, Canary(2, share, salt, bold))
    assert context.rules_of(user) is (bold if is_chosen(salt, share, user) else base)


def test_one_canarys_users_are_not_the_next_ones() -> None:
    first = {user for user in range(2_000) if is_chosen("edition-2-a", 1_000, user)}
    second = {user for user in range(2_000) if is_chosen("edition-3-a", 1_000, user)}
    assert len(first & second) < len(first) / 2


# --- whatever is done, what was in force stays answered -----------------------------------------------


class Editing(RuleBasedStateMachine):
    """Random wishes at random instants. What was in force at a past instant never changes afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk()
        self.desk.start()
        self.seen: dict[int, tuple[str, str | None]] = {}
        self.names = 0

    def _try(self, command: Any) -> None:
        with suppress(Rejected):
            self.desk.do(command)

    @rule(share=st.sampled_from((1, 500, EVERYBODY)), ahead=st.sampled_from((None, 0, 60_000)))
    def propose(self, share: int, ahead: int | None) -> None:
        self.names += 1
        wanted_at = None if ahead is None else self.desk.now + ahead
        self._try(self.desk.propose(f"n{self.names}", share=share, wanted_at=wanted_at))

    @rule(back=st.integers(0, 3), by=st.sampled_from(("lin", "ana")))
    def approve(self, back: int, by: str) -> None:
        self._try(self.desk.approve(max(1, len(self.desk.rows) - back), by=by))

    @rule(back=st.integers(0, 3))
    def promote(self, back: int) -> None:
        number = max(1, len(self.desk.rows) - back)
        self._try(e.PromoteCanary(None, number, "ana", "w", self.desk.looked()))

    @rule(back=st.integers(0, 3))
    def withdraw(self, back: int) -> None:
        self._try(e.WithdrawEdition(None, max(1, len(self.desk.rows) - back), "ana", "w"))

    @rule(to=st.none() | st.integers(1, 6))
    def roll_back(self, to: int | None) -> None:
        self._try(e.RollBackRulebook(None, "ana", "w", to))

    @rule(ms=st.sampled_from((1, 4_999, 5_000, 61_000)))
    def wait(self, ms: int) -> None:
        self.desk.now += ms

    @invariant()
    def the_past_stays(self) -> None:
        for at, before in self.seen.items():
            assert self._at(at) == before
        # what is certain for the lead is certain for ever, too
        for at in (self.desk.now, self.desk.now + LEAD_MS - 1):
            self.seen.setdefault(at, self._at(at))

    @invariant()
    def there_is_one_for_all_and_at_most_one_canary(self) -> None:
        rows, now = self.desk.rows, self.desk.now
        assert self.desk.in_force() is not None
        running = [
            one for one in rows if not one.is_for_all and one.state == e.APPROVED and one.counts_at(now)
        ]
        assert len(running) <= 1
        assert [one.number for one in rows] == list(range(1, len(rows) + 1))
        for one in rows:
            if one.state == e.APPROVED and one.origin in (e.PROPOSAL, e.PROMOTION):
                assert not e.is_same_person(one.proposed_by, one.approved_by)

    def _at(self, at: int) -> tuple[str, str | None]:
        found, canary = self.desk.in_force(at), e.canary_at(self.desk.rows, at)
        assert found is not None
        return found.hash, canary.hash if canary else None


TestEditing = Editing.TestCase
