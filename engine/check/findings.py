"""What an audit finds and counts. Knows nothing of the database."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

EXAMPLES_MAX = 10

Progress = Callable[[str, int, int], None]  # what, done, of how many (0: not known)


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken law: its code, where, and what was expected there."""

    code: str
    place: str
    about: str


@dataclass(slots=True)
class Totals:
    """One kind of account in one asset: by its transfers and, where it has a balance column, by its rows."""

    kind: str
    asset: str
    accounts: int = 0
    credit: int = 0
    debit: int = 0
    by_rows: int | None = None

    @property
    def by_transfers(self) -> int:
        """What came less what went."""
        return self.credit - self.debit


@dataclass(slots=True)
class Findings:
    """All that an audit came to: what it went through, totals per account kind, and what is broken."""

    counts: Counter[str] = field(default_factory=Counter)
    laws: list[str] = field(default_factory=list)
    totals: dict[tuple[str, str], Totals] = field(default_factory=dict)
    problems: Counter[str] = field(default_factory=Counter)
    examples: list[Finding] = field(default_factory=list)

    def tell(self, code: str, place: str, about: str) -> None:
        """A law is broken. All are counted, the first of each code are kept."""
        self.problems[code] += 1
        if self.problems[code] <= EXAMPLES_MAX:
            self.examples.append(Finding(code, place, about))

    def expect(self, code: str, place: str, what: str, expected: object, found: object) -> None:
        """Tell unless the two are equal."""
        if expected != found:
            self.tell(code, place, f"{what}: expected {expected}, found {found}")

    def totals_of(self, kind: str, asset: str) -> Totals:
        """The totals of a kind of account in an asset."""
        return self.totals.setdefault((kind, asset), Totals(kind, asset))
