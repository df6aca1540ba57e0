"""Joins all commands into `saxaul`. What a command needs is imported when it runs, so help comes at once."""

import typer

from engine.cli import (
    campaigns,
    data,
    desk,
    doctor,
    evidence,
    feeds,
    funders,
    keys,
    orders,
    partners,
    planning,
    publishing,
    records,
    reporting,
    reviews,
    serving,
    simulating,
    staff,
    workbench,
    year,
)

HELP = """Saxaul: low-carbon acts become energy, energy becomes trees, trees become planting orders.

Settings come from the environment (SAXAUL_DATABASE_URL, SAXAUL_PORT, …) or from .env in this folder. Without
any, the database is ./saxaul.db and the server listens on 127.0.0.1:8000. New here? Try `saxaul demo`.

Exit codes: 0 all is well, 1 problems were found, 2 wrong use or wrong settings.
"""

app = typer.Typer(
    name="saxaul",
    help=HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for command in (serving.serve, serving.demo, data.ingest, keys.token):
    app.command()(command)
explain = typer.Typer(help="Tell how grams came about.", no_args_is_help=True)
explain.command("ball")(data.explain_ball)
app.add_typer(explain, name="explain")
app.command()(data.check)
app.command()(data.restored)
app.command()(doctor.doctor)
rules = typer.Typer(help="Look after the rulebook.", no_args_is_help=True)
for name in ("check", "schema", "explain", "spread", "diff"):
    rules.command(name)(getattr(workbench, name))
for command in (
    publishing.publish,
    publishing.approve,
    publishing.rollback,
    publishing.withdraw,
    publishing.history,
    publishing.show,
):
    rules.command()(command)
rules.command("simulate")(simulating.rules_simulate)
rules.command("report")(reporting.rules_report)
canary = typer.Typer(help="Look after the rulebook that a share of users has.", no_args_is_help=True)
canary.command("promote")(publishing.canary_promote)
canary.command("withdraw")(publishing.canary_withdraw)
rules.add_typer(canary, name="canary")
app.add_typer(rules, name="rules")
source = typer.Typer(help="Register who may report activities.", no_args_is_help=True)
source.command("add")(keys.source_add)
source.command("rotate")(keys.source_rotate)
source.command("list")(keys.source_list)
source.command("show")(keys.source_show)
app.add_typer(source, name="source")
sources = typer.Typer(help="See how the feeds of sources fare.", no_args_is_help=True)
sources.command("report")(feeds.report)
sources.command("pull")(feeds.pull)
app.add_typer(sources, name="sources")
funder = typer.Typer(help="See what became of funders' money.", no_args_is_help=True)
funder.command("report")(funders.report)
app.add_typer(funder, name="funders")
review = typer.Typer(help="Look at acts that users have shown with photos.", no_args_is_help=True)
review.command("list")(reviews.review_list)
review.command("accept")(reviews.review_accept)
review.command("refuse")(reviews.review_refuse)
app.add_typer(review, name="review")
partners.partners.add_typer(staff.staff, name="staff")
app.add_typer(partners.partners, name="partners")
app.add_typer(campaigns.campaigns, name="campaigns")
app.add_typer(records.agreements, name="agreements")
app.add_typer(records.sites, name="sites")
app.add_typer(records.quotas, name="quotas")
planting = typer.Typer(
    help="See planting orders and what waits for one, and exchange their files with partners.",
    no_args_is_help=True,
)
planting.command("list")(orders.orders_list)
planting.command("show")(orders.orders_show)
planting.command("waiting")(records.waiting)
planting.command("why")(records.why)
planting.command("sheet")(orders.orders_sheet)
planting.command("import")(orders.orders_import)
planting.command("review")(orders.orders_review)
planting.command("evidence")(evidence.orders_evidence)
for name in ("queue", "hold", "resume", "cancel", "resolve", "dispute", "answer", "decide"):
    planting.command(name)(getattr(desk, name))
planting.command("submit")(desk.submit_draft)
for name in ("reconcile", "budget", "forecast"):
    planting.command(name)(getattr(planning, name))
planting.command("year")(year.year)
app.add_typer(planting, name="orders")
app.command()(doctor.version)


def main() -> None:
    """Run the command line."""
    app()
