"""Simulated runs keep the laws of the ledger, can be repeated to the gram, and agree with real totals."""

from __future__ import annotations

import csv
import shutil
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.cli.simulating import BENCHMARKED
from engine.core.rules import RuleBook
from engine.ingest.traces import read_trace
from engine.rulebook import load_rulebook, shipped_rules
from engine.simulate import running
from engine.simulate import tally as t
from engine.simulate.cost import planting_cost
from engine.simulate.population import SHIPPED, PopulationError, read_population
from engine.simulate.shard import Shard
from engine.simulate.typical import typical_reports
from engine.simulate.world import LawBroken
from tests.simulate.small import city_and_town, content, rulebook, simulated


def test_energy_is_conserved_and_every_gram_is_counted_once() -> None:
    tally = simulated(users=60, days=100)
    accounts = tally.accounts
    held = sum(accounts[kind] for kind in ("ball", "wallet", "redeemed", "expired", "reversed", "debt"))
    assert accounts["issued"] == held == tally.total(t.ISSUED)
    assert accounts["expired"] == tally.total(t.EXPIRED)
    assert accounts["redeemed"] == tally.total(t.REDEEMED) > 0
    assert accounts["wallet"] == sum(user.collected_g for user in tally.users) - tally.total(t.REDEEMED)
    for column in (t.ISSUED, t.BY_OWNER, t.BY_FRIENDS, t.EXPIRED, t.AVOIDED_MG, t.BALLS, t.ACTS):
        assert tally.total(column) == sum(row[column] for row in tally.behaviours.values())
        assert tally.total(column) > 0
    assert tally.total(t.TREES) == sum(tally.planted.values()) == sum(user.trees for user in tally.users) > 0
    assert not tally.refused


@pytest.mark.parametrize(
    ("column", "account"), [("wallet_g", "wallet:1: "), ("debt_g", "debt:1: "), ("avoided_mg", "carbon:1: ")]
)
def test_the_auditor_finds_a_gram_too_many(
    monkeypatch: pytest.MonkeyPatch, column: str, account: str
) -> None:
    finish = Shard.finish

    def finish_wrong(shard: Shard) -> t.Tally:
        user = next(iter(shard._world.shelves["users"].values()))
        setattr(user, column, getattr(user, column) + 1)
        return finish(shard)

    monkeypatch.setattr(Shard, "finish", finish_wrong)
    with pytest.raises(LawBroken, match=account):
        simulated(users=5, days=3)


LIMITED = {"stock": {"saxaul-alxa": 3, "caragana-wuwei": 2, "tamarix-jinta": 0}}


@pytest.mark.parametrize("stock", [LIMITED, {}])  # without stock, processes don't wait for each other
def test_the_same_seed_gives_the_same_grams_with_any_number_of_processes(stock: dict[str, Any]) -> None:
    def run(processes: int, seed: int = 1) -> t.Tally:
        return simulated(users=45, days=75, shard_users=12, processes=processes, seed=seed, **stock)

    alone = run(1)
    assert alone.total(t.TREES) > 0
    assert content(run(2)) == content(run(4)) == content(alone)
    assert content(run(1, seed=2)) != content(alone)


def test_limited_stock_runs_out_and_no_tree_more_is_redeemed() -> None:
    tally = simulated(users=60, days=110, shard_users=20, **LIMITED)
    assert tally.planted == {"saxaul-alxa": 3, "caragana-wuwei": 2}
    assert tally.sold_out["tamarix-jinta"] == 0
    assert 0 < tally.sold_out["saxaul-alxa"] < 110
    assert sum(simulated(users=60, days=110, shard_users=20).planted.values()) > 5


def test_what_is_too_little_for_all_is_shared_in_proportion() -> None:
    assert running._shared({0: 5, 1: 5, 2: 1}, 20) == {0: 5, 1: 5, 2: 1}
    for left in range(12):
        given = running._shared({0: 5, 1: 5, 2: 1}, left)
        assert sum(given.values()) == min(left, 11)
        assert all(given[shard] <= wanted for shard, wanted in ((0, 5), (1, 5), (2, 1)))


def test_memory_is_bounded_by_users_not_by_days() -> None:
    sizes: list[int] = []
    run_day = Shard.run_day

    def measured(shard: Shard, number: int) -> object:
        result = run_day(shard, number)
        shelves = shard._world.shelves
        names = ("balls", "activities", "occasions", "caps", "revisions", "trees", "commitments")
        sizes.append(sum(len(shelves[name]) for name in names) + len(shard._world.books["energy"]))
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Shard, "run_day", measured)
        simulated(users=50, days=150)
    assert max(sizes[100:]) < 1.25 * max(sizes[8:30])


def test_a_later_rulebook_changes_nothing_earlier(tmp_path: Path) -> None:
    later = changed_book(tmp_path, since=date(2026, 1, 16))
    before, after = simulated(days=30), simulated(later, days=30)
    first = [number for number in range(30) if date(2026, 1, 1) + timedelta(days=number) < date(2026, 1, 16)]
    assert [after.days[number] for number in first] == [before.days[number] for number in first]
    assert after.total(t.ISSUED) > before.total(t.ISSUED)


def changed_book(folder: Path, since: date) -> RuleBook:
    """The shipped rules with twice the grams for a bus ride from a day on."""
    rules = folder / "rules"
    shutil.copytree(shipped_rules(), rules)
    path = rules / "behaviours" / "green-travel" / "bus.yaml"
    text = path.read_text(encoding="utf-8").replace("energy_g: 80", "energy_g: 160")
    line = f"    {since}: {{value: 160, confidence: assumed, references: [saxaul-notes], because: A test.}}\n"
    at = text.index("avoided:")
    path.write_text(text[:at] + line + text[at:], encoding="utf-8")
    return load_rulebook(rules)


def test_real_steps_under_the_shipped_rules(shared_folder: Path) -> None:
    file = shared_folder / "data/real/fitbit_dailyActivity_merged_2016-04-12_05-12.csv"
    if not file.is_file():
        pytest.skip("the step file is not there")
    trace, bad = read_trace("fitbit", file)
    population = read_population(SHIPPED / "traced.yaml")[0].model_copy(update={"start": trace.start})
    setup = running.setup_of(rulebook(), population, {}, users=33, days=trace.days, traces=[trace])
    tally = running.run(setup, 1)
    assert (bad, trace.days, tally.total(t.ISSUED), tally.total(t.BALLS)) == ([], 31, 115_681, 854)
    assert tally.total(t.ACTS) == 940


def test_real_rides_and_charging_are_traces(shared_folder: Path) -> None:
    folder = shared_folder / "data/real"
    if not folder.is_dir():
        pytest.skip("the real files are not there")
    bike, bad = read_trace("bike", folder / "healthyride_rentals_2018_q1.csv")
    rides = [act for days in bike.subjects.values() for day in days.values() for act in day]
    assert len(rides) + len(bad) == 5_186
    charging, bad = read_trace("ev", folder / "ev_workplace_charging_first_1700.csv", "metro")
    sessions = [act for days in charging.subjects.values() for day in days.values() for act in day]
    assert len(sessions) + len(bad) == 1_700
    with (folder / "ev_workplace_charging_first_1700.csv").open(encoding="utf-8") as rows:
        assert sum(act.quantity for act in sessions) == sum(
            Decimal(row["kwhTotal"]) for row in csv.DictReader(rows)
        )
    assert charging.start.year == 2014
    assert len(charging.subjects) == 28


def test_a_trace_is_resampled_to_more_users(tmp_path: Path) -> None:
    file = tmp_path / "steps.csv"
    file.write_text("Id,ActivityDate,TotalSteps\n1,4/12/2016,9000\n1,4/13/2016,nine\n2,4/20/2016,5000\n")
    trace, bad = read_trace("fitbit", file)
    assert [row.line for row in bad] == [3]
    population = read_population(SHIPPED / "traced.yaml")[0].model_copy(update={"start": trace.start})
    setup = running.setup_of(rulebook(), population, {}, users=40, days=30, traces=[trace])
    tally = running.run(setup, 1)
    assert tally.behaviours.keys() == {"walking"}
    assert content(running.run(setup, 1)) == content(tally)
    assert tally.total(t.ACTS) > 40


def test_planting_cost_is_scaled_to_the_users_it_stands_for() -> None:
    population = city_and_town().model_copy(update={"users": 60, "represents": 6_000, "days": 90})
    costs = planting_cost(rulebook(), population, processes=1)
    tally = simulated(users=60, days=90, represents=6_000)
    assert {cost.programme: cost.trees for cost in costs} == {
        name: trees * 100 for name, trees in tally.planted.items()
    }
    for cost in costs:
        price = rulebook().programmes[cost.programme].unit_price_minor(date(2026, 3, 1))
        assert cost.currency == "CNY"
        assert price is not None and cost.cost_minor == cost.trees * price


def test_a_population_with_an_unknown_behaviour_is_refused() -> None:
    population = city_and_town().model_copy(update={"wishes": {"no-such": 1.0}})
    with pytest.raises(PopulationError, match="a programme that no rulebook has"):
        planting_cost(rulebook(), population, users=1, days=1)


def test_a_dead_process_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    spawn = running._Process.begin_day

    def kill_first(process: running._Process, *arguments: object) -> None:
        process._process.kill()
        process._process.join()
        spawn(process, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(running._Process, "begin_day", kill_first)
    with pytest.raises(running.SimulationStopped, match="process of the simulation has ended"):
        simulated(users=20, days=2, shard_users=10, processes=2)


def test_speed_is_measured_on_ten_commands_a_user_day_of_all_that_users_do() -> None:
    population = read_population(SHIPPED / f"{BENCHMARKED}.yaml")[0]
    setup = running.setup_of(rulebook(), population, typical_reports(shipped_rules()), users=150, days=60)
    tally = running.run(setup, 1)
    assert 10 <= sum(tally.commands.values()) / tally.user_days <= 12
    assert tally.commands.keys() == {"ReportActivity", "CollectEnergy", "BookExpiry", "RedeemOffer"}
    assert not tally.refused
    done = {name for name, row in tally.behaviours.items() if row[t.ACTS] >= tally.user_days / 250}
    assert done == set(population.acts) >= {"metro", "bus", "walking"}
    for column in (t.BY_OWNER, t.BY_FRIENDS, t.EXPIRED, t.REDEEMED):
        assert tally.total(column) > 0
