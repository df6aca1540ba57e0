"""Accounts, sources, and the consents (links) that join the two."""

from collections.abc import Iterator
from dataclasses import replace

from engine.core.commands import (
    AddSource,
    ChangeAccount,
    CloseAccount,
    LinkSource,
    OpenAccount,
    ResumeAccount,
    RotateSource,
    SuspendAccount,
    WithdrawLink,
)
from engine.core.context import Context
from engine.core.energy import active_user
from engine.core.errors import Rejected
from engine.core.events import (
    AccountChanged,
    AccountErased,
    AccountOpened,
    AccountStateChanged,
    Decision,
    LinkChanged,
    SourceChanged,
)
from engine.core.rules import CATEGORIES, REDUCTION_OWNERS
from engine.core.showing import erase_photos
from engine.core.shown import OWN_SOURCE
from engine.core.state import By, Friend, GameState, Identity, Link, Reference, Source, Touch, User
from engine.core.units import rfc3339, second_midnight_after, zone_of


def open_touches(command: OpenAccount, state: GameState) -> Iterator[Touch]:
    if command.reference is not None:
        yield Touch("references", command.reference)


def open_account(state: GameState, command: OpenAccount, context: Context) -> Decision:
    zone_of(command.zone)
    if command.reference is not None:
        known = state.references.get(command.reference)
        if known is not None:
            raise Rejected("account_exists", user=str(known.user_id))
    user = context.new_id()
    opened = AccountOpened(
        user,
        command.reference,
        command.display_name,
        command.holder,
        command.province,
        command.zone,
        context.now,
    )
    return Decision([opened], {"user": str(user), "state": "active"})


def opened(state: GameState, event: AccountOpened) -> None:
    state.users.add(
        event.user,
        User(
            id=event.user,
            state="active",
            holder=event.holder,
            province=event.province,
            zone=event.zone,
            next_zone=None,
            next_zone_at=None,
            wallet_g=0,
            debt_g=0,
            avoided_mg=0,
            friend_count=0,
            user_pos=0,
            forest_pos=0,
            opened_at=event.at,
        ),
    )
    state.identities.add(event.user, Identity(event.user, event.display_name, event.reference))
    if event.reference is not None:
        state.references.add(event.reference, Reference(event.reference, event.user))


def change_touches(command: ChangeAccount, state: GameState) -> Iterator[Touch]:
    yield Touch("users", command.user)
    yield Touch("identities", command.user)


def change_account(state: GameState, command: ChangeAccount, context: Context) -> Decision:
    user = active_user(state, command.user)
    zone, next_zone, next_zone_at = user.zone_at(context.now), user.next_zone, user.next_zone_at
    if zone == next_zone:
        next_zone = next_zone_at = None
    if command.zone is not None:
        zone_of(command.zone)
        next_zone, next_zone_at = command.zone, second_midnight_after(context.now, zone)
    event = AccountChanged(
        command.user, command.display_name, command.province, zone, next_zone, next_zone_at
    )
    reply: dict[str, object] = {"user": str(user.id), "state": user.state, "zone": zone}
    if next_zone is not None and next_zone_at is not None:
        reply |= {"next_zone": next_zone, "next_zone_at": rfc3339(next_zone_at)}
    return Decision([event], reply)


def changed(state: GameState, event: AccountChanged) -> None:
    user = state.users.rewrite(event.user)
    user.zone, user.next_zone, user.next_zone_at = event.zone, event.next_zone, event.next_zone_at
    if event.province is not None:
        user.province = event.province
    if event.display_name is not None:
        state.identities.rewrite(event.user).display_name = event.display_name


def one_user_touches(command: SuspendAccount | ResumeAccount, state: GameState) -> Iterator[Touch]:
    yield Touch("users", command.user)


def suspend_account(state: GameState, command: SuspendAccount, context: Context) -> Decision:
    return _to_state(state, command.user, "suspended")


def resume_account(state: GameState, command: ResumeAccount, context: Context) -> Decision:
    return _to_state(state, command.user, "active")


def _to_state(state: GameState, user_id: int, wanted: str) -> Decision:
    user = state.users.get(user_id)
    if user is None:
        raise Rejected("unknown_user")
    if user.state == "closed":
        raise Rejected("account_closed")
    events: list[object] = [] if user.state == wanted else [AccountStateChanged(user_id, wanted)]
    return Decision(events, {"user": str(user_id), "state": wanted})


def state_changed(state: GameState, event: AccountStateChanged) -> None:
    state.users.rewrite(event.user).state = event.state


def close_touches(command: CloseAccount, state: GameState) -> Iterator[Touch]:
    yield Touch("users", command.user)
    yield Touch("identities", command.user)
    yield Touch("friends", By("user_id", command.user))
    yield Touch("friends", By("friend_id", command.user))
    yield Touch("links", By("user_id", command.user))
    yield Touch("photos", By("user_id", command.user))
    yield Touch("shown_reviews", By("user_id", command.user))
    if command.user in state.identities:
        identity = state.identities.get(command.user)
        if identity is not None and identity.reference is not None:
            yield Touch("references", identity.reference)
    for row in _friend_rows(state, command.user):
        yield Touch("users", row.user_id)
        yield Touch("users", row.friend_id)


def _friend_rows(state: GameState, user: int) -> list[Friend]:
    return [*state.friends.where("user_id", user), *state.friends.where("friend_id", user)]


def close_account(state: GameState, command: CloseAccount, context: Context) -> Decision:
    user = state.users.get(command.user)
    if user is None:
        raise Rejected("unknown_user")
    reply: dict[str, object] = {"user": str(command.user), "state": "closed"}
    if user.state == "closed":
        return Decision([], reply)
    identity = state.identities.get(command.user)
    rows = sorted((row.user_id, row.friend_id, row.state) for row in _friend_rows(state, command.user))
    links = sorted((link.source, link.subject) for link in state.links.where("user_id", command.user))
    reference = identity.reference if identity else None
    photos = sorted(photo.sha256 for photo in state.photos.where("user_id", command.user))
    waiting = [row for row in state.shown_reviews.where("user_id", command.user) if row.state == "waiting"]
    reviews = sorted(row.activity_id for row in waiting)
    return Decision([AccountErased(command.user, reference, rows, links, photos, reviews)], reply)


def erased(state: GameState, event: AccountErased) -> None:
    user = state.users.rewrite(event.user)
    user.state, user.province, user.friend_count = "closed", None, 0
    if state.identities.get(event.user) is not None:
        state.identities.remove(event.user)
    if event.reference is not None and state.references.get(event.reference) is not None:
        state.references.remove(event.reference)
    for row_user, row_friend, row_state in event.friends:
        state.friends.remove((row_user, row_friend))
        if row_state == "friends" and row_user != event.user:
            state.users.rewrite(row_user).friend_count -= 1
    for link in event.links:
        state.links.remove(link)
    erase_photos(state, event.photos, event.reviews)


# --- sources and links ----------------------------------------------------------------------------


def source_touches(command: AddSource | RotateSource, state: GameState) -> Iterator[Touch]:
    yield Touch("sources", command.source)


def add_source(state: GameState, command: AddSource, context: Context) -> Decision:
    if command.source == OWN_SOURCE or state.sources.get(command.source) is not None:
        raise Rejected("source_exists", source=command.source)
    for behaviour in command.behaviours:
        if not context.versions_of(behaviour):
            raise Rejected("unknown_behaviour", behaviour=behaviour)
    if not command.behaviours:
        raise Rejected("behaviours_missing")
    _check_about(command, context)
    source = Source(
        id=command.source,
        name=command.name,
        secret=command.secret,
        old_secret=None,
        old_until_at=None,
        behaviours=list(command.behaviours),
        added_at=context.now,
        evidence=list(command.evidence),
        about={
            "categories": list(command.about.categories),
            "fields": list(command.about.fields),
            "refresh_h": command.about.refresh_h,
            "contact": command.about.contact,
            "reduction_owner": command.about.reduction_owner,
            "may_be_sold": command.about.may_be_sold,
        },
    )
    return Decision([SourceChanged(source, True)], {"source": command.source})


def _check_about(command: AddSource, context: Context) -> None:
    """Raises Rejected(bad_source)."""
    about = command.about
    if not set(about.categories) <= set(CATEGORIES):
        raise Rejected("bad_source", field="categories", known=list(CATEGORIES))
    if about.reduction_owner not in REDUCTION_OWNERS:
        raise Rejected("bad_source", field="reduction_owner", known=list(REDUCTION_OWNERS))
    if about.may_be_sold and about.reduction_owner == "none":
        raise Rejected("bad_source", field="may_be_sold", expected="an owner who could sell the reduction")
    known = [behaviour for name in command.behaviours for behaviour in context.versions_of(name)]
    kinds = {one.kind for behaviour in known for one in behaviour.evidence}
    if not set(command.evidence) <= kinds:
        raise Rejected("bad_source", field="evidence", known=sorted(kinds))


def rotate_source(state: GameState, command: RotateSource, context: Context) -> Decision:
    source = state.sources.get(command.source)
    if source is None:
        raise Rejected("unknown_source", source=command.source)
    rotated = replace(
        source, secret=command.secret, old_secret=source.secret, old_until_at=command.old_until_at
    )
    reply = {"source": command.source, "old_until_at": rfc3339(command.old_until_at)}
    return Decision([SourceChanged(rotated, False)], reply)


def source_changed(state: GameState, event: SourceChanged) -> None:
    if event.is_new:
        state.sources.add(event.source.id, event.source)
        return
    row = state.sources.rewrite(event.source.id)
    row.secret, row.old_secret = event.source.secret, event.source.old_secret
    row.old_until_at = event.source.old_until_at


def link_touches(command: LinkSource | WithdrawLink, state: GameState) -> Iterator[Touch]:
    yield Touch("users", command.user)
    yield Touch("sources", command.source)
    name = (command.source, command.subject)
    yield Touch("links", name)
    if name in state.links and (known := state.links.get(name)) is not None:
        yield Touch(
            "users", known.user_id
        )  # locked, so that nobody else takes the subject over, or erases it


def link_source(state: GameState, command: LinkSource, context: Context) -> Decision:
    active_user(state, command.user)
    source = state.sources.get(command.source)
    if source is None:
        raise Rejected("unknown_source", source=command.source)
    foreign = sorted(set(command.behaviours) - set(source.behaviours))
    if foreign or not command.behaviours:
        raise Rejected("behaviours_missing", behaviours=foreign)
    known = state.links.get((command.source, command.subject))
    if known is not None and known.withdrawn_at is None and known.user_id != command.user:
        raise Rejected("subject_taken", source=command.source)
    behaviours = sorted(set(command.behaviours))
    reply: dict[str, object] = {
        "source": command.source,
        "behaviours": behaviours,
    }  # replies stay, subjects go
    link = Link(command.source, command.subject, command.user, behaviours, context.now, None)
    return Decision([LinkChanged(link, known is None)], reply)


def withdraw_link(state: GameState, command: WithdrawLink, context: Context) -> Decision:
    link = state.links.get((command.source, command.subject))
    if link is None or link.user_id != command.user:
        raise Rejected("not_linked")
    reply: dict[str, object] = {"source": command.source}
    if link.withdrawn_at is not None:
        return Decision([], reply)
    return Decision([LinkChanged(replace(link, withdrawn_at=context.now), False)], reply)


def link_changed(state: GameState, event: LinkChanged) -> None:
    link = event.link
    if event.is_new:
        state.links.add((link.source, link.subject), link)
        return
    state.links.put((link.source, link.subject), link)
