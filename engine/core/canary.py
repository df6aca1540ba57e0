"""Which users a canary is for: a named share of them, the same users for as long as it runs.

Anybody can work out again who they are. Take the SHA-256 of `salt|user` (the canary's salt, the user's id in digits),
read its first eight bytes as a number, biggest byte first, and take the rest of its division by 10,000. The user is
in the canary when that rest is below the share in hundredths of a per cent: 500 for 5 %.
"""

import hashlib
from dataclasses import dataclass

from engine.core.rules import RuleBook

EVERYBODY = 10_000  # a share in hundredths of a per cent


@dataclass(frozen=True, slots=True)
class Canary:
    """A rulebook for a share of users. `share` is in hundredths of a per cent, above 0 and below `EVERYBODY`."""

    edition: int
    share: int
    salt: str
    rules: RuleBook

    def has(self, user: int) -> bool:
        """Whether the user plays by the canary's rulebook."""
        return is_chosen(self.salt, self.share, user)


def is_chosen(salt: str, share: int, user: int) -> bool:
    """Whether a share of users, in hundredths of a per cent, holds this one."""
    digest = hashlib.sha256(f"{salt}|{user}".encode()).digest()
    return int.from_bytes(digest[:8]) % EVERYBODY < share
