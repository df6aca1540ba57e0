"""How editions come into force and go: who decides, and what follows from it (see `engine.core.editions`).

One thing happens at a time: while a canary runs or an edition waits for its instant, nothing else is published.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from engine.core.canary import EVERYBODY
from engine.core.context import Context
from engine.core.editions import (
    APPROVED,
    BUDGET,
    DESK,
    EDITED,
    FOLDER,
    PROMOTION,
    PROPOSAL,
    PROPOSED,
    REASONS,
    ROLLBACK,
    WITHDRAWN,
    ApproveRulebook,
    Edition,
    EditionApproved,
    EditionDesk,
    EditionEnded,
    EditionMade,
    EditionState,
    LookAtEditions,
    Looked,
    PromoteCanary,
    ProposeRulebook,
    PublishFolder,
    RollBackRulebook,
    RulebookStored,
    StoredRulebook,
    WithdrawEdition,
    edition_facts,
    for_all_at,
    is_same_person,
    open_canary,
    rollback_target,
    state_told,
)
from engine.core.errors import Rejected
from engine.core.events import Decision
from engine.core.game import Rule
from engine.core.state import By, State, Touch
from engine.core.units import DAY_MS

OPEN_PROPOSALS_MAX = 50
AHEAD_MS_MAX = 366 * DAY_MS
TOLD_MAX = 20  # findings in one refusal


# --- decide ---------------------------------------------------------------------------------------


def _desk_touches(state: State) -> Iterator[Touch]:
    yield Touch("edition_desk", DESK)
    yield Touch("editions", By("state", APPROVED))
    yield Touch("editions", By("state", PROPOSED))


def _looked_touches(looked: Looked) -> Iterator[Touch]:
    for programme in looked.programmes:
        yield Touch("commitments", By("programme", programme))


def _store_touches(command: ProposeRulebook | PublishFolder, state: State) -> Iterator[Touch]:
    yield from _desk_touches(state)
    yield Touch("rulebooks", command.rulebook.hash)
    if isinstance(command, ProposeRulebook):
        yield from _looked_touches(command.looked)


def _edition_touches(
    command: ApproveRulebook | PromoteCanary | WithdrawEdition, state: State
) -> Iterator[Touch]:
    yield from _desk_touches(state)
    yield Touch("editions", command.edition)
    if not isinstance(command, WithdrawEdition):
        yield from _looked_touches(command.looked)


def _roll_back_touches(command: RollBackRulebook, state: State) -> Iterator[Touch]:
    yield from _desk_touches(state)
    if command.to is not None:
        yield Touch("editions", command.to)


def _approved(state: EditionState) -> list[Edition]:
    return state.editions.where("state", APPROVED)


def _next_number(state: EditionState) -> int:
    desk = state.edition_desk.get(DESK)
    return (desk.newest if desk else 0) + 1


def _known(state: EditionState, number: int) -> Edition:
    found = state.editions.get(number)
    if found is None:
        raise Rejected("unknown_edition", edition=number)
    return found


def _edition(state: EditionState, rules_hash: str, origin: str, by: str, why: str, now: int) -> Edition:
    """A new edition for all, not in force yet."""
    number = _next_number(state)
    return Edition(
        number, rules_hash, origin, PROPOSED, EVERYBODY, "", None, None, None, by, now, why, "", None, "", ""
    )


def _stored(state: EditionState, rulebook: StoredRulebook, now: int) -> list[object]:
    known = state.rulebooks.get(rulebook.hash)
    return [] if known is not None else [RulebookStored(replace(rulebook, stored_at=now))]


class Editions:
    """Decides. `lead_ms`: how far ahead of its approval an edition begins, so that every process has heard of it."""

    def __init__(self, lead_ms: int) -> None:
        self._lead_ms = lead_ms

    def publish_folder(self, state: EditionState, command: PublishFolder, context: Context) -> Decision:
        """The first edition counts for all that was before it, too."""
        now, approved = context.now, _approved(state)
        current = for_all_at(approved, now)
        if any(one.origin != FOLDER for one in approved) or (
            current is not None and current.hash == command.rulebook.hash
        ):
            return Decision([], {"edition": current.number if current else 0})
        made = _edition(state, command.rulebook.hash, FOLDER, FOLDER, "the folder of the rules", now)
        from_at = now + self._lead_ms if approved else 0
        made = replace(made, state=APPROVED, from_at=from_at, approved_by=FOLDER, approved_at=now)
        return Decision(
            [*_stored(state, command.rulebook, now), EditionMade(made)], edition_facts(made, from_at)
        )

    def propose(self, state: EditionState, command: ProposeRulebook, context: Context) -> Decision:
        """Number it and keep it until a second person approves."""
        now = context.now
        _need(by=command.by, why=command.why)
        if not 0 < command.share <= EVERYBODY:
            raise Rejected(
                "bad_request", field="share", expected=f"1 to {EVERYBODY} hundredths of a per cent"
            )
        if command.wanted_at is not None and not now <= command.wanted_at <= now + AHEAD_MS_MAX:
            raise Rejected("bad_request", field="from_at", expected="an instant from now on, within a year")
        if len(state.editions.where("state", PROPOSED)) >= OPEN_PROPOSALS_MAX:
            raise Rejected("too_many_proposals", limit=OPEN_PROPOSALS_MAX)
        made = _edition(state, command.rulebook.hash, PROPOSAL, command.by, command.why, now)
        made = replace(made, share=command.share, wanted_at=command.wanted_at)
        if not made.is_for_all:
            made = replace(made, salt=f"edition-{made.number}-{made.hash[:16]}")
        overrides = _allowed(state, made, command.looked, command.overrides, command.by, context)
        made = replace(made, overrides=overrides)
        events = [*_stored(state, command.rulebook, now), EditionMade(made)]
        return Decision(events, edition_facts(made, now))

    def approve(self, state: EditionState, command: ApproveRulebook, context: Context) -> Decision:
        """From the wanted instant, but not before everybody can know of it."""
        _need(by=command.by)
        edition = _known(state, command.edition)
        if edition.state != PROPOSED:
            raise Rejected("not_proposed", edition=edition.number, state=state_told(edition, context.now))
        if is_same_person(command.by, edition.proposed_by):
            raise Rejected("own_proposal", edition=edition.number, proposed_by=edition.proposed_by)
        overrides = _allowed(state, edition, command.looked, command.overrides, command.by, context)
        from_at = max(edition.wanted_at or 0, context.now + self._lead_ms)
        event = EditionApproved(edition.number, command.by, context.now, from_at, overrides)
        return Decision([event], edition_facts(_as_approved(edition, event), context.now))

    def promote(self, state: EditionState, command: PromoteCanary, context: Context) -> Decision:
        """The canary ends at the instant from which its rulebook counts for all."""
        _need(by=command.by, why=command.why)
        canary = _known(state, command.edition)
        is_ending = (
            canary.until_at is not None
        )  # every node knows of that end, so no other comes in its place
        if canary.is_for_all or canary.state != APPROVED or is_ending or not canary.counts_at(context.now):
            raise Rejected("not_running", edition=canary.number, state=state_told(canary, context.now))
        if is_same_person(command.by, canary.proposed_by):
            raise Rejected("own_proposal", edition=canary.number, proposed_by=canary.proposed_by)
        made = _edition(state, canary.hash, PROMOTION, canary.proposed_by, command.why, context.now)
        made = replace(made, overrides=canary.overrides)
        overrides = _allowed(state, made, command.looked, command.overrides, command.by, context, canary)
        from_at = context.now + self._lead_ms
        approved = EditionApproved(made.number, command.by, context.now, from_at, overrides)
        ended = EditionEnded(canary.number, command.by, f"promoted as edition {made.number}", from_at)
        reply = edition_facts(_as_approved(made, approved), context.now)
        return Decision([EditionMade(made), approved, ended], reply)

    def withdraw(self, state: EditionState, command: WithdrawEdition, context: Context) -> Decision:
        """What has not begun never does; a canary ends as soon as everybody can know of it."""
        _need(by=command.by, why=command.why)
        edition = _known(state, command.edition)
        soon = context.now + self._lead_ms
        until_at = None
        if edition.state == APPROVED and not edition.is_for_all and edition.counts_at(soon):
            until_at = soon
        elif edition.state != PROPOSED and not (edition.state == APPROVED and soon < (edition.from_at or 0)):
            raise Rejected("not_running", edition=edition.number, state=state_told(edition, context.now))
        event = EditionEnded(edition.number, command.by, command.why, until_at)
        return Decision([event], edition_facts(_as_ended(edition, event), context.now))

    def roll_back(self, state: EditionState, command: RollBackRulebook, context: Context) -> Decision:
        """Undo what was published last. One person is enough: it is the way out."""
        _need(by=command.by, why=command.why)
        approved = _approved(state)
        canary = open_canary(approved, context.now)
        if canary is not None and command.to is None:
            return self.withdraw(
                state, WithdrawEdition(None, canary.number, command.by, command.why), context
            )
        _check_free(approved, context.now, None)
        current = for_all_at(approved, context.now)
        if command.to is not None:
            _known(state, command.to)
        target = rollback_target(approved, context.now, command.to)
        if target is None or current is None:
            raise Rejected("nothing_earlier", in_force=current.number if current else 0)
        if target.hash == current.hash:
            raise Rejected("already_in_force", edition=current.number)
        made = _edition(state, target.hash, ROLLBACK, command.by, command.why, context.now)
        made = replace(
            made,
            state=APPROVED,
            from_at=context.now + self._lead_ms,
            approved_by=command.by,
            approved_at=context.now,
        )
        return Decision([EditionMade(made)], edition_facts(made, context.now) | {"same_as": target.number})


def _look_touches(command: LookAtEditions, state: State) -> Iterator[Touch]:
    yield from ()


def _look(state: State, command: LookAtEditions, context: Context) -> Decision:
    return Decision([], {"now": context.now})


def _need(**texts: str) -> None:
    for name, text in texts.items():
        if not text.strip():
            raise Rejected("bad_request", field=name, expected="who or why, in words")


def _check_free(approved: Sequence[Edition], now: int, canary: Edition | None) -> None:
    """One thing at a time: nothing is published while a canary (another than this one) or an edition is waiting."""
    running = open_canary(approved, now)
    if running is not None and (canary is None or running.number != canary.number):
        raise Rejected("canary_running", edition=running.number)
    planned = [one for one in approved if one.is_for_all and (one.from_at or 0) > now]
    if planned:
        raise Rejected("edition_planned", edition=planned[0].number)


def _allowed(
    state: EditionState,
    edition: Edition,
    looked: Looked,
    reasons: Mapping[str, str],
    by: str,
    context: Context,
    canary: Edition | None = None,
) -> list[list[str]]:
    """The overrides with which the edition may come into force. Raises Rejected where it may not."""
    now, approved = context.now, _approved(state)
    current = for_all_at(approved, now)
    if (current.number if current else 0) != looked.against:
        raise Rejected(
            "rules_moved", in_force=current.number if current else 0, checked_against=looked.against
        )
    _check_free(approved, now, canary)
    if current is not None and current.hash == edition.hash and edition.wanted_at is None:
        raise Rejected("already_in_force", edition=current.number)
    if not edition.is_for_all:
        _check_canary(looked, context)
    given = {code: reason for code, reason in reasons.items() if code in REASONS and reason.strip()}
    kept = {code for code, _, _ in edition.overrides} | set(given)
    if looked.edited and EDITED not in kept:
        raise Rejected(
            EDITED, against=looked.against, count=len(looked.edited), edited=list(looked.edited[:TOLD_MAX])
        )
    lacking = _lacking(state, looked)
    if lacking and BUDGET not in kept:
        raise Rejected(BUDGET, lacking=lacking)
    return [*edition.overrides, *([code, by, reason] for code, reason in sorted(given.items()))]


def _check_canary(looked: Looked, context: Context) -> None:
    """Trees are ordered for all users together, so that a canary can't add or drop programmes."""
    differing = sorted(set(looked.programmes) ^ set(context.rules.programmes))
    if differing:
        raise Rejected("canary_programmes", programmes=differing[:TOLD_MAX])


def _lacking(state: EditionState, looked: Looked) -> dict[str, dict[str, int]]:
    """By currency, in minor units: what trees are expected to cost and what commitments still hold for them."""
    funded: dict[str, int] = {}
    for programme in looked.programmes:
        for commitment in state.commitments.where("programme", programme):
            funded[commitment.currency] = funded.get(commitment.currency, 0) + commitment.left_minor
    return {
        currency: {"cost_minor": cost, "funded_minor": funded.get(currency, 0)}
        for currency, cost in sorted(looked.costs.items())
        if cost > funded.get(currency, 0)
    }


# --- evolve ---------------------------------------------------------------------------------------


def _as_approved(edition: Edition, event: EditionApproved) -> Edition:
    return replace(
        edition,
        state=APPROVED,
        approved_by=event.by,
        approved_at=event.at,
        from_at=event.from_at,
        overrides=event.overrides,
    )


def _as_ended(edition: Edition, event: EditionEnded) -> Edition:
    if event.until_at is None:
        return replace(edition, state=WITHDRAWN, ended_by=event.by, ended_why=event.why)
    return replace(edition, until_at=event.until_at, ended_by=event.by, ended_why=event.why)


def stored(state: EditionState, event: RulebookStored) -> None:
    state.rulebooks.add(event.rulebook.hash, event.rulebook)


def made(state: EditionState, event: EditionMade) -> None:
    state.editions.add(event.edition.number, event.edition)
    if state.edition_desk.get(DESK) is None:
        state.edition_desk.add(DESK, EditionDesk(DESK, 0))
    state.edition_desk.rewrite(DESK).newest = event.edition.number


def approved(state: EditionState, event: EditionApproved) -> None:
    state.editions.put(event.edition, _as_approved(state.editions[event.edition], event))


def ended(state: EditionState, event: EditionEnded) -> None:
    state.editions.put(event.edition, _as_ended(state.editions[event.edition], event))


def rules(lead_ms: int) -> Mapping[type, Rule]:
    """Who decides, where an edition begins at least `lead_ms` after its approval."""
    desk = Editions(lead_ms)
    return {
        PublishFolder: Rule(_store_touches, desk.publish_folder),
        ProposeRulebook: Rule(_store_touches, desk.propose),
        ApproveRulebook: Rule(_edition_touches, desk.approve),
        PromoteCanary: Rule(_edition_touches, desk.promote),
        WithdrawEdition: Rule(_edition_touches, desk.withdraw),
        RollBackRulebook: Rule(_roll_back_touches, desk.roll_back),
        LookAtEditions: Rule(_look_touches, _look, is_journaled=False, is_direct=True),
    }


EVOLVE: Mapping[type, Callable[[Any, Any], None]] = {
    RulebookStored: stored,
    EditionMade: made,
    EditionApproved: approved,
    EditionEnded: ended,
}
