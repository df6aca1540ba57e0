"""Commands about webhooks to partners, and about test orders to try one out with."""

from typing import Annotated, Any

import typer

from engine.cli.record_tools import ByOption, PartnerArgument, instant_of, moved, submit, tell, who
from engine.cli.shared import (
    DatabaseOption,
    Exit,
    Failure,
    JsonOption,
    failures,
    note,
    run,
    say,
    say_json,
    settings_with,
)

HOUR_MS = 3_600_000
MESSAGES_MAX = 1_000

webhooks = typer.Typer(help="See to whom webhooks go, and send them again.", no_args_is_help=True)
WebhookArgument = Annotated[str, typer.Argument(help="The endpoint's id (saxaul partners webhooks list).")]


@webhooks.command("make")
def make(
    partner: PartnerArgument,
    url: Annotated[str, typer.Argument(help="Where events go, https://…")],
    event: Annotated[
        list[str] | None, typer.Option(help="An event to tell of (default: all); say it again for more.")
    ] = None,
    test: Annotated[bool, typer.Option("--test", help="Of test orders, and of nothing else.")] = False,
    by: ByOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register an endpoint for a partner and print the secret that signs its messages (shown once)."""
    from engine.core.errors import Rejected
    from partners.core.api_commands import MakeWebhook
    from partners.partner_api.hooks import new_secret, new_webhook_id
    from partners.webhooks.outward import check_url

    with failures():
        try:
            check_url(url, settings_with(database).webhook_loopback)
        except Rejected as refusal:
            raise Failure(
                f"{url} can't be used: {refusal.fields['expected']} is needed", Exit.USAGE
            ) from refusal
    name, secret = new_webhook_id(), new_secret()
    command = MakeWebhook(None, who(by), partner, name, url, tuple(event or ()), test, secret)
    run(submit(command, database))
    if as_json:
        say_json({"partner": partner, "id": name, "secret": secret})
        return
    note(f"{name} is told of {partner}'s events. The secret that signs them, shown only now:")
    say(secret)


@webhooks.command("list")
def webhooks_list(
    partner: Annotated[str | None, typer.Argument(help="Of one partner only.")] = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """List endpoints and how they stand."""

    async def look(queries: Any, view: Any) -> Any:
        return await queries.endpoints(view, partner)

    rows = run(_read(database, look))
    if as_json:
        say_json([_endpoint(row) for row in rows])
        return
    head = ("endpoint", "partner", "address", "for", "events", "status")
    told = [
        (
            row.id,
            row.partner,
            row.url,
            "tests" if row.is_test else "earnest",
            " ".join(row.types) or "all",
            row.status + (f" ({row.why})" if row.why else ""),
        )
        for row in rows
    ]
    tell(head, told, "No partner has an endpoint: saxaul partners webhooks make PARTNER URL")


@webhooks.command("rotate")
def rotate(
    webhook: WebhookArgument,
    keep_old_h: Annotated[
        int, typer.Option(min=0, max=720, help="Hours for which the old secret signs too.")
    ] = 24,
    by: ByOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give an endpoint a new secret and print it (shown once)."""
    from partners.core.api_commands import RotateWebhook
    from partners.partner_api.hooks import new_secret

    row, secret = run(_known(webhook, database)), new_secret()
    command = RotateWebhook(None, who(by), row.partner, webhook, secret, keep_old_h * HOUR_MS)
    reply = run(submit(command, database))
    until = instant_of(reply["old_until_at"])
    if as_json:
        say_json({"id": webhook, "secret": secret, "old_until_at": until})
        return
    note(f"The old secret of {webhook} signs until {until}. The new one, shown only now:")
    say(secret)


@webhooks.command("enable")
def enable(
    webhook: WebhookArgument,
    by: ByOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a disabled endpoint be told again: what has waited is sent."""
    _move(webhook, "active", by, database, as_json)


@webhooks.command("disable")
def disable(
    webhook: WebhookArgument,
    by: ByOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send an endpoint nothing: what happens meanwhile waits."""
    _move(webhook, "disabled", by, database, as_json)


@webhooks.command("remove")
def remove(
    webhook: WebhookArgument,
    by: ByOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove an endpoint for good, with its secret."""
    _move(webhook, "removed", by, database, as_json)


@webhooks.command("messages")
def messages(
    webhook: WebhookArgument,
    state: Annotated[list[str] | None, typer.Option(help="waiting, done or dead; all if left out.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=MESSAGES_MAX, help="At most so many.")] = 50,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """List an endpoint's messages, newest first, with each try."""

    async def look(queries: Any, view: Any) -> Any:
        found = await queries.messages(view, webhook, 2**53, state or ("waiting", "done", "dead"), limit)
        return [(row, await queries.attempts(view, row.id)) for row in found]

    rows = run(_read(database, look))
    if as_json:
        from partners.partner_api.shown import message_whole

        say_json([message_whole(row, tries) for row, tries in rows])
        return
    for row, tries in rows:
        say(f"{row.id}  {row.sequence:>5}  {row.type:<18} {row.state}, {row.attempts} tries")
        for one in tries:
            say(f"    {instant_of(one.at)}  {one.status or '-'}  {one.ms} ms  {one.problem}")
    if not rows:
        note("There are no such messages.")


@webhooks.command("replay")
def replay(
    message: Annotated[str, typer.Argument(help="The message's id (saxaul partners webhooks messages).")],
    by: ByOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a message again, with the same id; up to 30 days after it was made."""
    from partners.core.api_commands import ReplayMessage

    async def look(queries: Any, view: Any) -> Any:
        return await queries.message(view, message)

    row = run(_read(database, look))
    with failures():
        if row is None:
            raise Failure(f"there is no message {message}; see saxaul partners webhooks messages ENDPOINT")
    reply = run(submit(ReplayMessage(None, who(by), row.partner, message), database))
    moved(reply, f"{message} is sent again.", as_json)


def sandbox_order(
    partner: PartnerArgument,
    species: Annotated[
        str | None, typer.Option(help="A species of its agreement; the first if not said.")
    ] = None,
    site: Annotated[
        str | None, typer.Option(help="A site of its; the first with a price if not said.")
    ] = None,
    trees: Annotated[int, typer.Option(min=1, max=5_000, help="How many trees.")] = 10,
    by: ByOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a partner a test order, which stands for no tree and counts nowhere."""
    from engine.core.numbers import order_number
    from partners.core.commands import OrderTest

    async def look(queries: Any, view: Any) -> Any:
        return await queries.priced(view, partner)

    priced = run(_read(database, look))
    found = [one for one in priced if species in (None, one[0]) and site in (None, one[1])]
    with failures():
        if not found:
            raise Failure(
                f"no agreement of {partner} that is in force has such a price; see saxaul agreements list"
            )
    reply = run(submit(OrderTest(None, who(by), partner, *found[0], trees), database))
    number = order_number(reply["order"])
    moved({"order": number, "state": reply["state"]}, f"{number} is on its way to {partner}.", as_json)


def _move(webhook: str, status: str, by: str | None, database: str | None, as_json: bool) -> None:
    from partners.core.api_commands import MoveWebhook

    row = run(_known(webhook, database))
    reply = run(submit(MoveWebhook(None, who(by), row.partner, webhook, status), database))
    moved(reply, f"{webhook} is {status}.", as_json)


def _endpoint(row: Any) -> dict[str, Any]:
    from engine.clock import Clock
    from partners.partner_api.shown import webhook_given

    return webhook_given(row, Clock().now_ms()) | {"partner": row.partner}


async def _known(webhook: str, database: str | None) -> Any:
    async def look(queries: Any, view: Any) -> Any:
        return await queries.endpoint(view, webhook)

    row = await _read(database, look)
    if row is None:
        raise Failure(f"there is no endpoint {webhook}; see saxaul partners webhooks list")
    return row


async def _read(database: str | None, look: Any) -> Any:
    from engine.reading import reading
    from partners.store import api_queries

    async with reading(settings_with(database).database_url) as db, db.snapshot() as view:
        return await look(api_queries, view)
