"""`saxaul check` adds up caps of the year and of an account as it does those of the day and month."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from engine.clock import Clock
from engine.core.commands import AddSource, LinkSource, OpenAccount, ReverseActivity
from engine.main import open_engine
from engine.reported import Reported, command_of
from engine.settings import Settings
from tests.cli.conftest import Ran, run_saxaul
from tests.cli.world import do
from tests.rules.pack import write_pack
from tests.rules.shapes import put

CAPS = """
attributes:
  account: {kind: account, required: true, description: The utility's number.}
caps:
  year_g: {{120}}
  month_count_per_account: {{1}}
"""


async def build(url: str, rules: Path) -> list[int]:
    """Bills of one user: two months, two accounts, one once too often, one reversed; what each was worth."""
    worth: list[int] = []
    async with open_engine(Settings(database_url=url, demo=True, game_rules=rules), Clock()) as engine:
        await do(engine, AddSource(None, "city", "City", "whsec_c2VjcmV0", ("bill",)))
        user = int((await do(engine, OpenAccount(None, "lin", "Lin", "UTC")))["user"])
        await do(engine, LinkSource(None, user, "city", "lin", ("bill",)))
        for number, (at, account) in enumerate(
            [
                ("10-01", "A1"),
                ("10-02", "A1"),
                ("10-02", "B2"),
                ("11-01", "A1"),
                ("11-02", "B2"),
                ("11-03", "C3"),
            ]
        ):
            bill = Reported(
                f"bill-{number}",
                "lin",
                "bill",
                Decimal(1),
                "payment",
                at=f"2026-{at}T{8 + number:02d}:00:00Z",
                attributes={"account": account},
            )
            worth.append((await do(engine, command_of("city", bill)))["energy_g"])
        await do(engine, ReverseActivity("city", "bill-0", "double"))
    return worth


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("caps")
    energy = "method: constant_per_event\ngrams: {{50}}"
    rules = put(write_pack(folder / "rules"), "bill", unit="payment", energy=energy, more=CAPS).folder
    database = folder / "caps.db"
    assert asyncio.run(build(f"sqlite:///{database}", rules)) == [50, 0, 50, 20, 0, 0]
    return database, rules


def check(database: Path, rules: Path) -> Ran:
    return run_saxaul("check", "--json", database_url=f"sqlite:///{database}", game_rules=rules)


def test_years_and_accounts_add_up(built: tuple[Path, Path]) -> None:
    told = check(*built).check().json
    assert told["ok"], told
    with closing(sqlite3.connect(built[0])) as db:
        rows = dict(db.execute("SELECT period, used_g FROM caps WHERE used_g > 0").fetchall())
    digests = {period: grams for period, grams in rows.items() if "/" in period}
    assert rows["2026"] == 70
    assert sorted(digests.values()) == [20, 50]


@pytest.mark.parametrize(
    ("period", "used_g", "codes"),
    [("____", 69, {"cap_use"}), ("____", 121, {"cap_use", "cap_exceeded"}), ("%/%", 49, {"cap_use"})],
)
def test_what_does_not_add_up_is_told(
    built: tuple[Path, Path], tmp_path: Path, period: str, used_g: int, codes: set[str]
) -> None:
    copy = tmp_path / "damaged.db"
    copy.write_bytes(built[0].read_bytes())
    with closing(sqlite3.connect(copy)) as db:
        changed = db.execute(
            "UPDATE caps SET used_g = ? WHERE period LIKE ? AND used_g > 0", (used_g, period)
        )
        assert changed.rowcount
        db.commit()
    ran = check(copy, built[1])
    assert ran.status == 1
    assert set(ran.json["problems"]) == codes
