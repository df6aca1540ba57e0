"""A domain is a set of commands with the shelves they need. The writer serves domains and knows none of them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.core import game, jobs, ledger, sources
from engine.core.game import Rule
from engine.core.ledger import Transfer
from engine.core.state import GAME_SHELVES, ShelfKind
from engine.store.mapping import GAME_TABLES, ShelfTable, shelf_table
from engine.store.tables import Leases, Pulls, SourceDays


@dataclass(frozen=True, slots=True)
class Domain:
    """What decides (`rules` by command type), what evolves (by event type), and where rows live.

    `reactions` turn an event (of any domain) into commands that are decided in the same transaction.
    """

    name: str
    shelves: tuple[ShelfKind, ...]
    tables: Mapping[str, ShelfTable]
    rules: Mapping[type, Rule]
    evolve: Mapping[type, Callable[[Any, Any], None]]
    transfers: Callable[[object], list[Transfer]] = lambda event: []
    reactions: Mapping[type, Callable[[Any], Iterable[Any]]] = field(default_factory=dict)


GAME = Domain("game", GAME_SHELVES, GAME_TABLES, game.RULES, game.EVOLVE, ledger.transfers)
JOBS = Domain("jobs", (jobs.LEASES,), {"leases": shelf_table(jobs.LEASES, Leases)}, jobs.RULES, jobs.EVOLVE)
FEEDS = Domain(
    "feeds",
    (sources.SOURCE_DAYS, sources.PULLS),
    {
        "source_days": shelf_table(sources.SOURCE_DAYS, SourceDays),
        "pulls": shelf_table(sources.PULLS, Pulls),
    },
    sources.RULES,
    sources.EVOLVE,
)
