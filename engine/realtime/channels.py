"""Names of channels: `user:<id>` and `forest:<id>`. Both are ASCII that JSON need not escape."""

from typing import Literal, NamedTuple

from engine.core.units import ID_MAX

Kind = Literal["user", "forest"]


class Channel(NamedTuple):
    """What a channel is about: the user's own account, or their forest as friends see it."""

    kind: Kind
    user: int


def parse_id(text: str) -> int | None:
    """The id that a decimal string names, or None: positive, below 2^53, written in one way only."""
    if not (0 < len(text) <= 16 and text.isascii() and text.isdigit()) or text[0] == "0":
        return None
    number = int(text)
    return number if number <= ID_MAX else None


def parse_channel(name: str) -> Channel | None:
    """The channel of that name, or None where there is none of that kind."""
    kind, _, rest = name.partition(":")
    user = parse_id(rest)
    if user is None:
        return None
    if kind == "user":
        return Channel("user", user)
    if kind == "forest":
        return Channel("forest", user)
    return None
