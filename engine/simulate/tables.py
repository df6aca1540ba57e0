"""Figures as named tables, from which terminal, CSV, Parquet, JSON and page are all made. Units are in column names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.simulate import tally as t
from engine.simulate.figures import (
    PERCENTILES,
    RETURNS_D,
    Figures,
    gini,
    measures,
    percentile_d,
    returned,
    top_share,
)

Cell = str | int | float | None


@dataclass(slots=True)
class Table:
    """One table; every row has a cell for each column. `id` names its file.

    `brief`: the columns that fit a terminal; none named: all.
    """

    id: str
    title: str
    title_zh: str
    columns: tuple[str, ...]
    rows: list[tuple[Cell, ...]]
    brief: tuple[str, ...] = ()


def tables_of(figures: Figures) -> list[Table]:
    """All tables of one run or one arm."""
    return [make(figures) for make in _TABLES]


def joined(labels: Sequence[str], many: Sequence[Sequence[Table]]) -> list[Table]:
    """The same tables of several runs as one each: a first column says which run a row is of.

    In the summary each run has a column of its own.
    """
    whole = []
    for parts in zip(*many, strict=True):
        first = parts[0]
        if first.id == "summary":
            whole.append(_side_by_side(labels, parts))
            continue
        rows = [(label, *row) for label, part in zip(labels, parts, strict=True) for row in part.rows]
        brief = ("run", *first.brief) if first.brief else ()
        whole.append(Table(first.id, first.title, first.title_zh, ("run", *first.columns), rows, brief))
    return whole


def _side_by_side(labels: Sequence[str], parts: Sequence[Table]) -> Table:
    names = list(dict.fromkeys(name for part in parts for name, _ in part.rows))
    values = [dict(part.rows) for part in parts]
    rows: list[tuple[Cell, ...]] = [
        (name, *(known.get(name, 0 if name.startswith("trees_cost_") else None) for known in values))
        for name in names
    ]
    columns = ("measure", *labels) if len(labels) > 1 else parts[0].columns
    return Table(parts[0].id, parts[0].title, parts[0].title_zh, columns, rows)


def behaviours_beside(runs: Sequence[Figures]) -> Table:
    """Energy by behaviour with a column for each run, in all and a user and day, so that small arms compare too."""
    issued: dict[str, list[int]] = {}
    for place, figures in enumerate(runs):
        for name, row in figures.tally.behaviours.items():
            issued.setdefault(name, [0] * len(runs))[place] = row[t.ISSUED]
    rows: list[tuple[Cell, ...]] = []
    for name, grams in sorted(issued.items(), key=lambda item: (-max(item[1]), item[0])):
        known = next((run.rules.behaviours[name] for run in runs if name in run.rules.behaviours), None)
        days = [run.tally.user_days or 1 for run in runs]
        shares = [round(one / many, 3) for one, many in zip(grams, days, strict=True)]
        rows.append((name, known.names.get("zh", name) if known else name, *grams, *shares))
    labels = [run.label for run in runs]
    columns = (
        "behaviour",
        "name_zh",
        *(f"{one}, g" for one in labels),
        *(f"{one}, g/user-day" for one in labels),
    )
    return Table("behaviours", "Energy issued by behaviour", "按行为", columns, rows)


def _summary(figures: Figures) -> Table:
    rows: list[tuple[Cell, ...]] = [("rulebook", figures.rules_hash[:16])]
    rows += [("first_day", figures.start.isoformat()), ("days", figures.days)]
    if figures.scale != 1:
        rows.append(("real_users_for_each", round(float(figures.scale), 3)))
    rows += list(measures(figures).items())
    return Table("summary", "Summary", "概览", ("measure", "value"), rows)


def _days(figures: Figures) -> Table:
    days = sorted(figures.tally.days.items())
    rows = [(figures.on(number).isoformat(), *row) for number, row in days]
    return Table("days", "Energy by day", "每日能量", ("day", *t.COLUMNS), rows)


def _behaviours(figures: Figures) -> Table:
    shown = (t.ISSUED, t.BY_OWNER, t.BY_FRIENDS, t.EXPIRED, t.REVERSED, t.AVOIDED_MG, t.BALLS, t.ACTS)
    columns = ("behaviour", "name", "name_zh", *(t.COLUMNS[column] for column in shown))
    rows: list[tuple[Cell, ...]] = []
    for name, row in sorted(figures.tally.behaviours.items(), key=lambda item: (-item[1][t.ISSUED], item[0])):
        known = figures.rules.behaviours.get(name)
        names = known.names if known else {}
        rows.append((name, names.get("en", name), names.get("zh", name), *(row[column] for column in shown)))
    brief = ("behaviour", "name_zh", "issued_g", "by_owner_g", "by_friends_g", "expired_g", "balls")
    return Table("behaviours", "Energy by behaviour", "按行为", columns, rows, brief)


def _first_tree(figures: Figures) -> Table:
    users = figures.tally.users
    rows: list[tuple[Cell, ...]] = [(f"p{percent}", percentile_d(users, percent)) for percent in PERCENTILES]
    with_tree = sum(user.trees > 0 for user in users)
    rows += [("users_with_a_tree", with_tree), ("users_without", len(users) - with_tree)]
    return Table(
        "first_tree", "Days to the first tree", "第一棵树所需天数", ("measure", "days_or_users"), rows
    )


def _trees(figures: Figures) -> Table:
    columns = ("month", "species", "name", "name_zh", "programme", "trees", "trees_of_real_users")
    rows: list[tuple[Cell, ...]] = []
    for (month, programme), count in sorted(figures.tally.trees.items()):
        species = figures.species_of(programme)
        known = figures.rules.species.get(species)
        names = known.names if known else {}
        shown = (names.get("en", species), names.get("zh", species))
        rows.append((month, species, *shown, programme, count, figures.scaled(count)))
    brief = ("month", "species", "name_zh", "programme", "trees_of_real_users")
    return Table("trees", "Trees by species and month", "各月各树种", columns, rows, brief)


def _budget(figures: Figures) -> Table:
    columns = ("programme", "currency", "trees_of_real_users", "cost_of_real_users_minor")
    rows: list[tuple[Cell, ...]] = [
        (programme, currency, figures.scaled(figures.tally.planted[programme]), figures.scaled(minor))
        for (programme, currency), minor in sorted(figures.tally.money.items())
    ]
    return Table("budget", "Planting budget", "种植预算", columns, rows)


def _stock(figures: Figures) -> Table:
    columns = ("programme", "stock_trees", "sold_out_on", "days_a_user_waited_in_vain")
    names = sorted(figures.stock.keys() | figures.tally.unmet.keys())
    rows: list[tuple[Cell, ...]] = []
    for name in names:
        day = figures.tally.sold_out.get(name)
        on = None if day is None else figures.on(day).isoformat()
        rows.append((name, figures.stock.get(name), on, figures.tally.unmet[name]))
    return Table("stock", "Stock-outs", "售罄", columns, rows)


def _fairness(figures: Figures) -> Table:
    columns = (
        "place", "name", "users", "collected_mean_g", "collected_median_g", "collected_gini",
        "collected_by_top_1_pct", "issued_mean_g", "trees_per_100_users", "first_tree_p50_d",
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    places = sorted({user.place for user in figures.tally.users})
    for place in ("", *places):
        users = [user for user in figures.tally.users if place in ("", user.place)]
        if not users:
            continue
        collected = sorted(user.collected_g for user in users)
        rows.append(
            (
                place or "all",
                figures.place_names.get(place, place) if place else "all users",
                len(users),
                round(sum(collected) / len(users), 1),
                collected[(len(users) - 1) // 2],
                round(float(gini(collected)), 4),
                round(float(top_share(collected)) * 100, 2),
                round(sum(user.issued_g for user in users) / len(users), 1),
                round(sum(user.trees for user in users) * 100 / len(users), 1),
                percentile_d(users, 50),
            )
        )
    brief = (
        "place",
        "users",
        "collected_mean_g",
        "collected_gini",
        "trees_per_100_users",
        "first_tree_p50_d",
    )
    return Table("fairness", "Fairness: by place", "公平性", columns, rows, brief)


def _returns(figures: Figures) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for after_d in RETURNS_D:
        asked, came = returned(figures.tally.users, after_d, figures.days)
        rows.append((after_d, asked, came, round(came * 100 / asked, 2) if asked else None))
    columns = ("after_d", "users_asked", "users_returned", "returned_pct")
    return Table("returns", "Return after 1, 7 and 30 days", "留存", columns, rows)


def _sources(figures: Figures) -> Table:
    users = figures.tally.users
    linked, active = sum(user.linked for user in users), sum(user.linked_active for user in users)
    rows: list[tuple[Cell, ...]] = [("links", linked), ("links_that_reported_in_the_last_7_days", active)]
    return Table("sources", "Linked sources", "已授权来源", ("measure", "links"), rows)


def _refusals(figures: Figures) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (command, code, count) for (command, code), count in sorted(figures.tally.refused.items())
    ]
    return Table("refusals", "Refused commands", "被拒绝的命令", ("command", "code", "times"), rows)


_TABLES = (
    _summary, _behaviours, _first_tree, _trees, _budget, _stock, _fairness, _returns, _sources, _refusals, _days
)  # fmt: skip


def records(table: Table) -> Iterator[dict[str, Cell]]:
    """The rows as mappings, for JSON."""
    for row in table.rows:
        yield dict(zip(table.columns, row, strict=True))
