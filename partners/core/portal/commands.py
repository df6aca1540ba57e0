"""Wishes about the portal, imperative. None is journaled: they carry hashes of secrets and are no facts of the game."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class InviteStaff:
    """An operator lets somebody of a partner set a password by a link, whose SHA-256 is `invitation`.

    Known staff get a new link: until it is used the old password goes on, a link from before ends at once.
    """

    operator: str
    partner: str
    name: str
    language: str
    invitation: str
    until_at: int


@dataclass(slots=True)
class RemoveStaff:
    """An operator takes a member of staff out: password, link and sessions end at once. The id stays taken."""

    operator: str
    partner: str
    name: str


@dataclass(slots=True)
class TakeInvitation:
    """Somebody uses a link: this is the password from now on, all sessions end. A link works once."""

    staff: str
    invitation: str
    password: str


@dataclass(slots=True)
class BeginSession:
    """A member of staff has logged in with the password whose stored text was `password`."""

    staff: str
    password: str
    session: str
    until_at: int


@dataclass(slots=True)
class EndSession:
    """A browser logs out. One that is not known is none the worse."""

    session: str


@dataclass(slots=True)
class ListOrder:
    """Lay an order into its partner's list. The same again changes nothing."""

    partner: str
    order: int
    sheet: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class PostNotice:
    """Tell a partner something about an order; `notice` is the key under which it is sent, told once."""

    partner: str
    notice: str
    order: int
    kind: str
    text: str = ""
    trees: int = 0


@dataclass(slots=True)
class KeepForm:
    """Keep what came of a form, so that the same form is answered in the same way whenever it comes again."""

    staff: str
    form: str
    kind: str
    order: int | None
    digest: str
    answer: dict[str, Any] = field(default_factory=dict)
    said: dict[str, Any] = field(default_factory=dict)
