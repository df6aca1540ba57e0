"""The report page: one HTML file with charts and tables that asks nobody for anything. Needs the extra `charts`."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from engine.simulate import tally as t
from engine.simulate.comparing import Difference
from engine.simulate.export import ExtraMissing
from engine.simulate.figures import Figures, measure_name, measures, whole_units
from engine.simulate.tables import Cell, Table, tables_of

COLOURS = ("#2f7d4f", "#d98e04", "#3c6e9f", "#a34a3a", "#7a5c99", "#5c8a8a", "#b06d8c", "#7d7d2f")
FLOWS = ((t.BY_OWNER, "by owner 自己收"), (t.BY_FRIENDS, "by friends 好友收"), (t.EXPIRED, "expired 过期"))
DAYS_SHOWN_MAX = 62  # of the table by day; all days are in the chart and in the files
BEHAVIOURS_SHOWN = 20

STYLE = """
:root{--ink:#1d2a22;--soft:#5d6b62;--line:#dfe6e1;--leaf:#2f7d4f;--paper:#fbfcfa}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink)}
body{font:16px/1.5 system-ui,"Noto Sans CJK SC","PingFang SC",sans-serif}
main{max-width:1080px;margin:0 auto;padding:24px 16px 64px}
h1{font-size:1.6rem;margin:0 0 4px}h2{font-size:1.15rem;margin:40px 0 4px}p{margin:4px 0 12px;color:var(--soft)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:10px;margin:20px 0}
.tile{background:#fff;border:1px solid var(--line);border-radius:10px;padding:12px 14px}
.tile b{display:block;font-size:1.35rem;font-variant-numeric:tabular-nums}
.tile span{color:var(--soft);font-size:.85rem}
.tile small{display:block;color:#9a6200;font-size:.85rem;font-variant-numeric:tabular-nums}
.chart{background:#fff;border:1px solid var(--line);border-radius:10px;padding:6px;margin:8px 0;min-height:320px}
.wide{overflow-x:auto;border:1px solid var(--line);border-radius:10px;background:#fff}
table{border-collapse:collapse;width:100%;font-size:.88rem;font-variant-numeric:tabular-nums}
th,td{padding:6px 10px;text-align:right;white-space:nowrap;border-bottom:1px solid var(--line)}
th{color:var(--soft);font-weight:600}th:first-child,td:first-child,.text{text-align:left}
tr:last-child td{border-bottom:0}details{margin:10px 0}summary{cursor:pointer;color:var(--leaf)}
.name{white-space:normal;min-width:8.5em}
@media(max-width:480px){th,td{padding:5px 6px;font-size:.8rem}h1{font-size:1.35rem}.chart{padding:2px}}
.yes{color:#9a6200;font-weight:600}
"""


def page_of(
    title: str, about: Sequence[str], runs: Sequence[Figures], found: Sequence[Difference] = ()
) -> str:
    """The page as text. `runs` are one or several runs or arms; `about` says under which assumptions.

    Raises ExtraMissing.
    """
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as problem:
        raise ExtraMissing("The report page") from problem
    parts = [
        f"<h1>{_text(title)}</h1>",
        *(f"<p>{_text(line)}</p>" for line in about),
        _tiles(runs),
    ]
    if found:
        a, b = runs[0].label, runs[1].label
        noise = "The same people on both sides; ± is a 95 % interval over the runs, coloured is what stands out of it."
        parts += [_head(f"{b} against {a}", "对比", noise), _differences(found, a, b)]
    for number, (heading, heading_zh, line, figure) in enumerate(_charts(runs)):
        parts += [_head(heading, heading_zh, line), _chart(figure, number)]
    parts += [_head("All figures", "全部数据", "The same tables as in the CSV and Parquet files.")]
    for figures in runs:
        parts += [_details(figures.label, table) for table in tables_of(figures)]
    body = "\n".join(parts)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>{_text(title)}</title><style>{STYLE}</style>'
        f"<script>{get_plotlyjs()}</script></head><body><main>{body}</main></body></html>"
    )


# --- parts ------------------------------------------------------------------------------------------


def _text(text: object) -> str:
    return html.escape(str(text))


def _head(title: str, title_zh: str, line: str) -> str:
    return f"<h2>{_text(title)} <span lang='zh'>{_text(title_zh)}</span></h2><p>{_text(line)}</p>"


TILES = (
    "issued_g", "issued_a_user_day_g", "collected_by_owner_g", "collected_by_friends_g", "expired_g", "trees",
    "first_tree_p50_d", "avoided_kg", "collected_gini",
)  # fmt: skip


def _tiles(runs: Sequence[Figures]) -> str:
    facts = [measures(figures) for figures in runs]
    money = dict.fromkeys(name for fact in facts for name in fact if name.startswith("trees_cost_"))
    tiles = []
    for name in (*TILES, *money):
        rest = 0 if name in money else None
        shown = [_shown(name, fact.get(name, rest)) for fact in facts]
        others = "".join(
            f"<small>{_text(one.label)}: {value}</small>"
            for one, value in zip(runs[1:], shown[1:], strict=True)
        )
        label = " ".join(measure_name(name))
        tiles.append(f"<div class='tile'><b>{shown[0]}</b><span>{_text(label)}</span>{others}</div>")
    others = ", ".join(run.label for run in runs[1:])
    note = f"<p>Large: {_text(runs[0].label)}; below it: {_text(others)}.</p>" if others else ""
    return f"{note}<div class='tiles'>{''.join(tiles)}</div>"


def _shown(name: str, value: float | int | None) -> str:
    if value is None:
        return "not yet"
    if name.startswith("trees_cost_"):
        return f"{whole_units(name, value):,.2f}"
    return f"{value:,}"


def _differences(found: Sequence[Difference], a: str, b: str) -> str:
    rows = []
    for one in found:
        before, after, gap = (whole_units(one.measure, value) for value in (one.a, one.b, one.mean))
        half = one.half_width
        noise = "one run" if half is None else f"± {_number(whole_units(one.measure, half))}"
        share = f"{one.mean * 100 / one.a:+.1f} %" if one.a else ""
        mark = " class='yes'" if one.sure else ""
        cells = (_number(gap, "+"), noise, share, _number(before), _number(after))
        name, name_zh = measure_name(one.measure)
        rows.append(
            f"<tr><td class='name'>{_text(name)} <span lang='zh'>{_text(name_zh)}</span></td>"
            + "".join(f"<td{mark}>{cell}</td>" for cell in cells)
            + "</tr>"
        )
    head = "".join(f"<th>{_text(name)}</th>" for name in ("measure", "difference", "noise", f"of {a}", a, b))
    return f"<div class='wide'><table><tr>{head}</tr>{''.join(rows)}</table></div>"


def _number(number: float, sign: str = "") -> str:
    """As many decimals as the size calls for."""
    decimals = 0 if abs(number) >= 1000 or number == int(number) else 1 if abs(number) >= 10 else 4
    return f"{number:{sign},.{decimals}f}"


def _details(label: str, table: Table) -> str:
    rows = table.rows if table.id != "days" else table.rows[-DAYS_SHOWN_MAX:]
    head = "".join(f"<th>{_text(name)}</th>" for name in table.columns)
    body = "".join("<tr>" + "".join(_cell(cell) for cell in row) + "</tr>" for row in rows)
    note = "" if len(rows) == len(table.rows) else f" (last {len(rows)} days)"
    title = f"{label}: {table.title} {table.title_zh}{note}"
    inside = (
        f"<div class='wide'><table><tr>{head}</tr>{body}</table></div>" if rows else "<p>Nothing to show.</p>"
    )
    return f"<details><summary>{_text(title)}</summary>{inside}</details>"


def _cell(cell: Cell) -> str:
    if cell is None:
        return "<td></td>"
    if isinstance(cell, str):
        return f"<td class='text'>{_text(cell)}</td>"
    return f"<td>{cell:,}</td>"


# --- charts -----------------------------------------------------------------------------------------


def _chart(figure: Any, number: int) -> str:
    plot = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        div_id=f"chart-{number}",
        config={"displayModeBar": False, "responsive": True},
        default_height="340px",
    )
    return f"<div class='chart'>{plot}</div>"


def _new(**layout: Any) -> Any:
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.update_layout(
        template="plotly_white",
        colorway=COLOURS,
        margin={"l": 48, "r": 12, "t": 12, "b": 40},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        font={"family": 'system-ui, "Noto Sans CJK SC", "PingFang SC", sans-serif', "size": 13},
        hovermode="x unified",
        **layout,
    )
    figure.update_xaxes(
        ticks="outside", ticklen=6, tickcolor="rgba(0,0,0,0)"
    )  # clear of the other axis's zero
    return figure


def _charts(runs: Sequence[Figures]) -> list[tuple[str, str, str, Any]]:
    charts = []
    for figures in runs:
        name = f" ({figures.label})" if len(runs) > 1 else ""
        charts.append(
            (
                f"Where a day's energy went{name}",
                "每日能量去向",
                "Grams collected and expired on each day; the line is what was issued.",
                _flow_chart(figures),
            )
        )
    charts += [
        ("By behaviour", "按行为", "Grams issued over all days.", _behaviour_chart(runs)),
        (
            "The first tree",
            "第一棵树",
            "Share of users who have one, by days since they joined.",
            _first_tree_chart(runs),
        ),
        (
            "Trees by month and species",
            "各月树种",
            "Trees redeemed, of all users that the run stands for.",
            _tree_chart(runs),
        ),
        (
            "Who collects how much",
            "公平性",
            "Users from least to most, and the share of all energy they collected; a straight line would be equal.",
            _lorenz_chart(runs),
        ),
        ("By place", "按地区", "Mean grams collected by a user.", _place_chart(runs)),
    ]
    return charts


def _flow_chart(figures: Figures) -> Any:
    chart = _new(barmode="stack", bargap=0.05, yaxis_title="g")
    days = sorted(figures.tally.days.items())
    on = [figures.on(number).isoformat() for number, _ in days]
    for column, name in FLOWS:
        chart.add_bar(x=on, y=[row[column] for _, row in days], name=name)
    chart.add_scatter(
        x=on,
        y=[row[t.ISSUED] for _, row in days],
        name="issued 发放",
        mode="lines",
        line={"color": "#1d2a22", "width": 1.5},
    )
    return chart


def _behaviour_chart(runs: Sequence[Figures]) -> Any:
    """Grams in all; of arms of unequal size, a user and day."""
    days = [figures.tally.user_days or 1 for figures in runs]
    is_alike = len(set(days)) == 1
    chart = _new(barmode="group", xaxis_title="g" if is_alike else "g a user and day")
    values = {
        name: [
            figures.tally.behaviours.get(name, t.new_row())[t.ISSUED] / (1 if is_alike else many)
            for figures, many in zip(runs, days, strict=True)
        ]
        for name in {name for figures in runs for name in figures.tally.behaviours}
    }
    names = sorted(values, key=lambda name: (max(values[name]), name))[-BEHAVIOURS_SHOWN:]
    for place in reversed(range(len(runs))):  # drawn from below, so that the first run stands above
        labels = [_named(runs, name) for name in names]
        chart.add_bar(
            x=[round(values[name][place], 3) for name in names],
            y=labels,
            orientation="h",
            name=runs[place].label,
            marker={"color": _colour(place)},
        )
    chart.update_layout(
        hovermode="y unified",
        height=max(340, 80 + max(42, 24 * len(runs)) * len(names)),
        yaxis={"automargin": True},
        showlegend=len(runs) > 1,
        legend={"traceorder": "reversed"},
    )
    return chart


def _colour(run: int) -> str:
    """The colour that a run has in all charts."""
    return COLOURS[run % len(COLOURS)]


def _named(runs: Sequence[Figures], behaviour: str) -> str:
    known = next((run.rules.behaviours[behaviour] for run in runs if behaviour in run.rules.behaviours), None)
    return f"{known.names.get('en', behaviour)}<br>{known.names.get('zh', '')}" if known else behaviour


def _first_tree_chart(runs: Sequence[Figures]) -> Any:
    chart = _new(yaxis_title="% of users", xaxis_title="days", yaxis_rangemode="tozero")
    for figures in runs:
        users = [user for user in figures.tally.users if user.opened >= 0]
        waits = [user.first_tree - user.opened for user in users if user.first_tree != t.NEVER]
        counts = [0] * max(1, figures.days)
        for wait in waits:
            counts[min(wait, len(counts) - 1)] += 1
        reached, shares = 0, []
        for count in counts:
            reached += count
            shares.append(round(reached * 100 / max(1, len(users)), 2))
        chart.add_scatter(x=list(range(len(shares))), y=shares, mode="lines", name=figures.label)
    chart.update_layout(showlegend=len(runs) > 1)
    return chart


def _tree_chart(runs: Sequence[Figures]) -> Any:
    chart = _new(barmode="stack", yaxis_title="trees")
    species = sorted({run.species_of(programme) for run in runs for _, programme in run.tally.trees})
    for number, figures in enumerate(runs):
        months = sorted({month for month, _ in figures.tally.trees})
        at = [f"{month}<br>{figures.label}" for month in months] if len(runs) > 1 else months
        for place, name in enumerate(species):
            counts = [figures.scaled(_trees_of(figures, month, name)) for month in months]
            known = figures.rules.species.get(name)
            label = f"{known.names.get('en', name)} {known.names.get('zh', '')}" if known else name
            colour = {"color": COLOURS[place % len(COLOURS)]}
            chart.add_bar(x=at, y=counts, name=label, marker=colour, legendgroup=name, showlegend=not number)
    chart.update_xaxes(type="category", categoryorder="category ascending")
    return chart


def _trees_of(figures: Figures, month: str, species: str) -> int:
    trees = figures.tally.trees.items()
    return sum(
        count for (on, programme), count in trees if on == month and figures.species_of(programme) == species
    )


def _lorenz_chart(runs: Sequence[Figures]) -> Any:
    chart = _new(
        xaxis_title="% of users", yaxis_title="% of energy", xaxis_range=[0, 100], yaxis_range=[0, 100]
    )
    chart.add_scatter(
        x=[0, 100], y=[0, 100], mode="lines", name="equal", line={"color": "#b9c4bd", "dash": "dot"}
    )
    for number, figures in enumerate(runs):
        amounts = sorted(user.collected_g for user in figures.tally.users)
        total, count = sum(amounts) or 1, len(amounts) or 1
        shares, sum_g = [0.0], 0
        points = [0.0]
        for place, amount in enumerate(amounts, 1):
            sum_g += amount
            if place * 100 // count > (place - 1) * 100 // count:
                points.append(round(place * 100 / count, 2))
                shares.append(round(sum_g * 100 / total, 3))
        line = {"color": _colour(number)}
        chart.add_scatter(x=points, y=shares, mode="lines", name=figures.label, line=line)
    return chart


def _place_chart(runs: Sequence[Figures]) -> Any:
    chart = _new(barmode="group", yaxis_title="g a user")
    for figures in runs:
        places = sorted({user.place for user in figures.tally.users})
        means = []
        for place in places:
            users = [user for user in figures.tally.users if user.place == place]
            means.append(round(sum(user.collected_g for user in users) / len(users), 1))
        chart.add_bar(
            x=[figures.place_names.get(place, place) for place in places], y=means, name=figures.label
        )
    chart.update_xaxes(type="category")
    chart.update_layout(showlegend=len(runs) > 1)
    return chart
