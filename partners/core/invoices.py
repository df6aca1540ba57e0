"""Partners' bills: one is taken in against a milestone that fell due, and paid once nothing speaks against it."""

from __future__ import annotations

from datetime import date

from engine.core.errors import Rejected
from engine.core.events import Decision
from partners.core import after_events as a
from partners.core.after_commands import RecordInvoice, SettleInvoice
from partners.core.after_rows import Invoice
from partners.core.context import Context
from partners.core.guards import after_of, stop_of
from partners.core.model import PartnerState, PlantingOrder
from partners.core.money import Book, funds_of, milestone_id, split
from partners.core.orders import has_open_dispute, the_order

INVOICE_LINES_MAX = 100


def invoice_id(partner: str, invoice_no: str) -> str:
    """The id of a bill: a partner's number counts once."""
    return f"{partner}/{invoice_no}"


def record_invoice(state: PartnerState, command: RecordInvoice, context: Context) -> Decision:
    """Take a bill in: what it asks for becomes payable. The same number again with the same content changes nothing.

    Raises `unknown_order`, `milestone_open` (not reached), `over_invoiced`, `invoice_known`, `bad_request`.
    """
    order = the_order(state, command.order)
    invoice = _row(order, command, context.now)
    known = state.invoices.get(invoice.id)
    if known is not None:
        if (known.order_id, known.milestone, known.lines, known.tax_minor) == (
            order.id,
            invoice.milestone,
            invoice.lines,
            invoice.tax_minor,
        ):
            return Decision([], {"invoice": known.id, "state": known.state})
        raise Rejected("invoice_known", invoice_no=command.invoice_no)
    due = state.milestones.get(invoice.milestone) if invoice.milestone in state.milestones else None
    if due is None:
        raise Rejected("milestone_open", milestone=command.milestone)
    asked, funds = invoice.net_minor + invoice.tax_minor, funds_of(state, order)
    committed = [fund.committed_minor for fund in funds]
    left = min(due.amount_minor - due.invoiced_minor, sum(committed))
    if asked > left:
        raise Rejected("over_invoiced", asked_minor=asked, due_minor=left, currency=due.currency)
    invoice.currency = due.currency
    events: list[object] = []
    for fund, amount in zip(funds, split(asked, committed), strict=True):
        if amount:
            book = Book(fund, context.now, f"invoice {command.invoice_no}")
            book.move("invoice", "payable", "committed", amount)
            invoice.split.append([fund.commitment_id, amount, fund.id])
            events.append(book.event())
    return Decision([a.InvoiceRecorded(invoice), *events], {"invoice": invoice.id, "state": "received"})


def settle_invoice(state: PartnerState, command: SettleInvoice, context: Context) -> Decision:
    """Pay a bill or reject it.

    Raises `unknown_order`, `unknown_invoice`, `invoice_settled`, `payments_held` (the order is held or disputed, or
    its report is overdue).
    """
    order = the_order(state, command.order)
    invoice = state.invoices.get(command.invoice)
    if invoice is None or invoice.order_id != order.id:
        raise Rejected("unknown_invoice", invoice=command.invoice)
    if invoice.state != "received":
        raise Rejected("invoice_settled", invoice=invoice.id, state=invoice.state)
    if command.is_paid:
        _check_payable(state, order, context)
    parts: dict[str, int] = {part[2]: part[1] for part in invoice.split}
    events: list[object] = []
    for fund in funds_of(state, order):
        amount = parts.get(fund.id, 0)
        if amount:
            book = Book(fund, context.now, command.reason or f"invoice {invoice.invoice_no}")
            if command.is_paid:
                book.move("release", "paid", "payable", amount)
                book.settle_excess()
            else:
                book.move("invoice", "committed", "payable", amount)
                book.refund_excess()
            events.append(book.event())
    became = "paid" if command.is_paid else "rejected"
    settled = a.InvoiceSettled(invoice.id, became, command.operator, context.now)
    return Decision([settled, *events], {"invoice": invoice.id, "state": became})


def _check_payable(state: PartnerState, order: PlantingOrder, context: Context) -> None:
    stop = stop_of(state, order, context)
    why = order.held or (stop[0] if stop else "") or ("dispute" if has_open_dispute(state, order) else "")
    overdue_at = order.season_closes_at + after_of(state, order, context).payments_hold_ms
    if not why and order.state in ("accepted", "in_planting") and context.now >= overdue_at:
        why = "report_overdue"
    if why:
        raise Rejected("payments_held", order=order.id, reason=why)


def _row(order: PlantingOrder, command: RecordInvoice, now: int) -> Invoice:
    net = sum(amount for _, amount in command.lines)
    if not 1 <= len(command.lines) <= INVOICE_LINES_MAX or not command.invoice_no:
        raise Rejected("bad_request", field="lines", expected=f"1 to {INVOICE_LINES_MAX} lines, and a number")
    if net <= 0 or command.tax_minor < 0:
        raise Rejected("bad_request", field="lines", expected="a sum above 0, tax not below 0")
    try:
        date.fromisoformat(command.due_on)
    except ValueError:
        raise Rejected("bad_request", field="due_on", expected="a day, 2027-09-15") from None
    return Invoice(
        id=invoice_id(order.partner, command.invoice_no),
        partner=order.partner,
        invoice_no=command.invoice_no,
        order_id=order.id,
        milestone=milestone_id(order.id, command.milestone),
        currency="",
        net_minor=net,
        tax_minor=command.tax_minor,
        due_on=command.due_on,
        state="received",
        received_at=now,
        settled_by="",
        settled_at=None,
        lines=[[text, amount] for text, amount in command.lines],
    )
