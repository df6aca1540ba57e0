"""What a job is told: plain data that crosses a process border as JSON."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Session:
    """One socket: who signs in, what it subscribes to, which (owner, ball id) it presses, in that order."""

    token: str
    channels: list[str] = field(default_factory=list)
    presses: list[tuple[int, int]] = field(default_factory=list)


@dataclass(slots=True)
class Server:
    """Where to connect. `speaks` is `centrifuge` or `echo`; `pids` names the processes whose CPU time counts."""

    host: str
    port: int
    path: str
    speaks: str
    pids: dict[str, list[int]]


@dataclass(slots=True)
class CollectPlan:
    """Keep `outstanding` collects under way on each session for a while; watchers only listen.

    `again`: start over with the presses when all are done, for a server that only echoes. `mark`: tell a
    profiled server by signals when the window begins and ends.
    """

    server: Server
    sessions: list[Session]
    watchers: list[Session]
    outstanding: int
    warm_up_s: float
    measure_s: float
    again: bool = False
    mark: bool = False


@dataclass(slots=True)
class PressPlan:
    """All sessions press at the same instant, `repeats` times, each time the next of their presses."""

    server: Server
    sessions: list[Session]
    repeats: int
    settle_s: float
    hot: bool


@dataclass(slots=True)
class FanOutPlan:
    """Speakers collect (or speak), two commands under way, and listeners count what reaches them."""

    server: Server
    speakers: list[Session]
    listeners: list[Session]
    warm_up_s: float
    measure_s: float


@dataclass(slots=True)
class IdlePlan:
    """Open sessions and do nothing, to see what they weigh; `first` of them only warm the server up."""

    server: Server
    sessions: list[Session]
    first: int
    settle_s: float


@dataclass(slots=True)
class WriterPlan:
    """Keep `outstanding` collects under way in the engine's writer; `presses` are (user, its presses)."""

    url: str
    pids: dict[str, list[int]]
    presses: list[tuple[int, list[tuple[int, int]]]]
    outstanding: int
    warm_up_s: float
    measure_s: float
    profile: str = ""  # sample | exact: also tell where the time went


@dataclass(slots=True)
class ExpiryPlan:
    """Wait until the engine has booked the `expiring` balls whose life ends at `expires_at` (ms)."""

    url: str
    pids: dict[str, list[int]]
    expiring: int
    expires_at: int


@dataclass(slots=True)
class PlantedPlan:
    """Fill the empty database at `url` with that many trees, most of them in orders, and of those most planted."""

    url: str
    trees: int


@dataclass(slots=True)
class PagesPlan:
    """Ask for pages: those of `hot` again and again, `cold_pct` per cent from `cold`, each once.

    `per_s` 0: as fast as `connections` with one request each can; else at that rate, whether answers come or not.
    `writes` are (path, JSON body) that an operator sends beside it, `writes_per_s` of them a second, over and over;
    every fifth is one of `once` instead, as far as they last.
    `hot` and `cold` are (path, what is accepted).
    """

    server: Server
    hot: list[tuple[str, str]]
    cold: list[tuple[str, str]]
    cold_pct: int
    per_s: int
    connections: int
    warm_up_s: float
    measure_s: float
    writes: list[tuple[str, str]] = field(default_factory=list)
    once: list[tuple[str, str]] = field(default_factory=list)
    writes_per_s: int = 0
    operator_key: str = ""


@dataclass(slots=True)
class AllocationPlan:
    """Place that many redeemed trees; the database at `url` is empty."""

    url: str
    pids: dict[str, list[int]]
    trees: int


@dataclass(slots=True)
class FindPlan:
    """Press for a viewer with each of these numbers of friends; a database is made at `path`."""

    path: str
    friends: list[int]
    measure_s: float
