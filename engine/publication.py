"""What a group tells the world after its commit: publications on channels, and ends of permissions."""

from dataclasses import dataclass


@dataclass(slots=True)
class Publication:
    """Absolute facts for one channel. `data` is their JSON; `journal_id` is the row that keeps them."""

    channel: str
    offset: int
    data: bytes
    journal_id: int


@dataclass(slots=True)
class Revocation:
    """The user may watch `channel` no longer; None: the account has ended, all its connections close."""

    user: int
    channel: str | None
    journal_id: int = 0


Item = Publication | Revocation


def user_channel(user: int) -> str:
    """The channel of a user's own facts."""
    return f"user:{user}"


def forest_channel(user: int) -> str:
    """The channel of what friends see of a user's forest."""
    return f"forest:{user}"
