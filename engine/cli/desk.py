"""Commands of the operator's desk: the queue, and what a person does to an order that waits for one."""

from typing import Annotated, Any

import typer

from engine.cli.orders import NumberArgument
from engine.cli.record_tools import ByOption, submit, tell, who
from engine.cli.shared import DatabaseOption, Exit, Failure, JsonOption, failures, note, run, say_json

DisputeArgument = Annotated[int, typer.Argument(min=1, help="The dispute's id, as `orders dispute` told it.")]


def _operator(by: str | None) -> str:
    return f"operator:{who(by)}"


def _id(number: str) -> int:
    """The id of an order from its public number. Raises Failure."""
    from engine.core.errors import Rejected
    from engine.core.numbers import parse_order_number

    with failures():
        try:
            return parse_order_number(number)
        except Rejected as refusal:
            told = f"{number!r} is no order number: {refusal.fields.get('reason')}"
            raise Failure(told, Exit.USAGE) from refusal


def _done(command: Any, database: str | None, as_json: bool, text: str) -> None:
    reply = run(submit(command, database))
    if as_json:
        say_json(reply)
    else:
        note(text.format(**reply))


def queue(
    late: Annotated[bool, typer.Option("--late", help="Only what is late.")] = False,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """List all that waits for a person: held, stuck, disputed, escalated, to review, to count, to pay; late first."""
    rows = [row for row in run(_queue(database)) if row["late"] or not late]
    if as_json:
        say_json({"queue": rows})
        return
    head = ("order", "partner", "state", "why", "detail", "since", "")
    told = [
        (
            row["number"],
            row["partner"],
            row["state"],
            row["why"],
            row["detail"],
            (row["since_at"] or "-")[:10],
            " ".join(mark.upper() for mark in ("late", "escalated") if row[mark]),
        )
        for row in rows
    ]
    tell(head, told, "Nothing waits for a person.")


async def _queue(database: str | None) -> list[dict[str, Any]]:
    import time

    from engine.cli.shared import settings_with
    from engine.reading import reading
    from partners.store.queue import queue as waiting
    from partners.store.queue import queue_shown

    async with reading(settings_with(database).database_url) as db, db.snapshot() as view:
        return queue_shown(await waiting(view, time.time_ns() // 1_000_000))


def submit_draft(
    number: NumberArgument, by: ByOption = None, database: DatabaseOption = None, as_json: JsonOption = False
) -> None:
    """Send a draft out now; its guards hold for you too."""
    from partners.core.commands import SubmitOrder

    order = _id(number)
    _done(SubmitOrder(None, _operator(by), order), database, as_json, f"Order {number} is {{state}}.")


def hold(
    number: NumberArgument,
    why: Annotated[str, typer.Option("--why", help="Why, in a sentence.")],
    by: ByOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop an order: no timer runs and nothing is paid until it is resumed."""
    from partners.core.commands import HoldOrder

    command = HoldOrder(None, _operator(by), _id(number), why)
    _done(command, database, as_json, f"Order {number} is held.")


def resume(
    number: NumberArgument, by: ByOption = None, database: DatabaseOption = None, as_json: JsonOption = False
) -> None:
    """Let a held order go on; its deadlines move by the time that it was held."""
    from partners.core.commands import ResumeOrder

    command = ResumeOrder(None, _operator(by), _id(number))
    _done(command, database, as_json, f"Order {number} goes on.")


def cancel(
    number: NumberArgument,
    why: Annotated[str, typer.Option("--why", help="Why, in a sentence.")],
    consent: Annotated[str, typer.Option(help="How the partner agreed, where it did so in words.")] = "",
    by: ByOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Withdraw an order of which nothing is reported; once it is accepted, the partner is asked first."""
    from partners.core.commands import CancelOrder

    command = CancelOrder(None, _operator(by), _id(number), why, consent)
    _done(command, database, as_json, f"Order {number} is {{state}}.")


def resolve(
    delivery: Annotated[
        str, typer.Argument(help="The stuck delivery, as `orders queue` names it: submit:42.")
    ],
    arrived: Annotated[bool, typer.Option("--arrived/--never-arrived", help="What the partner says.")],
    by: ByOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether a stuck request has arrived; if it never did, it is sent anew."""
    from partners.core.commands import ResolveDelivery

    command = ResolveDelivery(None, _operator(by), delivery, arrived)
    _done(command, database, as_json, f"{delivery} is {{state}}.")


def dispute(
    number: NumberArgument,
    why: Annotated[str, typer.Option("--why", help="What is contested, in a sentence.")],
    of: Annotated[str, typer.Option("--of", help="Who contests it.")],
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take down that somebody contests an order: it is held until that is decided."""
    from partners.core.after_commands import OpenDispute

    command = OpenDispute(None, of, _id(number), why)
    _done(command, database, as_json, f"Dispute {{dispute}}: order {number} is held.")


def answer(
    number: DisputeArgument,
    text: Annotated[str, typer.Option("--text", help="The first answer.")],
    by: ByOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a dispute its first answer."""
    from partners.core.after_commands import AnswerDispute

    _done(
        AnswerDispute(None, _operator(by), number, text), database, as_json, f"Dispute {number} is answered."
    )


def decide(
    number: DisputeArgument,
    outcome: Annotated[str, typer.Option(help="upheld, dismissed or settled.")],
    said: Annotated[str, typer.Option("--note", help="Why, in a sentence.")] = "",
    by: ByOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decide a dispute; with the last one its order goes on."""
    from partners.core.after_commands import DecideDispute

    command = DecideDispute(None, _operator(by), number, outcome, said)
    _done(command, database, as_json, f"Dispute {number} is decided: {{outcome}}.")
