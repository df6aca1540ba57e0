"""A partner's file to commands: the one path for mail, shared folder, portal and the operator's `saxaul orders import`.

Good rows are submitted, wrong ones are told beside their row; a file that comes again changes nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import PurePath
from typing import Any

from engine.core.errors import Rejected
from engine.core.numbers import order_number, parse_order_number
from engine.core.units import DAY_MS, local_day
from engine.store.database import Database, Reader
from engine.writer import Outcome
from partners.adapters.files import judging
from partners.adapters.files.codes import is_check_code
from partners.adapters.files.config import SheetPartner
from partners.adapters.files.judging import Judged, KnownBatch, OrderFacts
from partners.adapters.files.letters import Language, Line
from partners.adapters.files.mails import File
from partners.adapters.files.names import Names
from partners.adapters.files.surveying import Count, Surveyed, judge_surveys
from partners.core.after_commands import PlotCount, RecordAudit
from partners.core.commands import RecordReport
from partners.core.model import PartnerReport
from partners.counts import counts_of
from partners.evidence.intake import LATER
from partners.evidence.mailed import KeepPhoto
from partners.sheets.kinds import ORDER
from partners.sheets.problems import CellProblem, FileRefused
from partners.sheets.reading import Table, read_table
from partners.sheets.returning import returned_file
from partners.sheets.rows import AnswerRow, PlantingRow, Row, SurvivalRow, typed_rows
from partners.sheets.words import cell_text, file_text
from partners.store import queries

ORDERS_PER_FILE_MAX = 200
_OWN_ROW = {"order_held": "order_held", "order_ended": "order_ended"}

_COUNT_COLUMNS = {"visited_on": "visit_date", "plots": "planted_in_plot", "method": "method"}

_TEMPORARY = ("unavailable", "overloaded", "internal")
_TOLD_IN_TEXT_MAX = 20


class TakeLater(Exception):
    """The database is away or busy: nothing can be said of the file yet, and it must be taken again."""


SubmitAll = Callable[[Sequence[Any]], Awaitable[list[Outcome]]]


@dataclass(frozen=True, slots=True)
class Came:
    """A file as it came. `message` names its way here (a Message-ID, a file name); `codes`: check codes by order
    number from elsewhere than the rows; `is_vouched`: whoever hands it in is known, so no codes are asked. `by`: the
    person at the partner who does (an operator where it is empty), `remark` what they say beside the rows; `picture`
    gives a photo's bytes by its hash."""

    partner: SheetPartner
    name: str
    content: bytes
    message: str
    photos: Mapping[str, str] = field(default_factory=dict)
    codes: Mapping[str, str] = field(default_factory=dict)
    is_vouched: bool = False
    by: str = ""
    remark: str = ""
    picture: Callable[[str], Awaitable[bytes | None]] | None = None


@dataclass(slots=True)
class Taken:
    """What came of a file: what its sender is told, the file with what is wrong, orders that were just accepted."""

    lines: list[Line] = field(default_factory=list)
    returned: File | None = None
    accepted: list[OrderFacts] = field(default_factory=list)
    problems: list[CellProblem] = field(default_factory=list)
    notes: list[CellProblem] = field(default_factory=list)
    recorded_rows: int = 0
    refusal: FileRefused | None = None
    table: Table | None = None

    @property
    def is_clean(self) -> bool:
        """Everything in it was taken."""
        return self.refusal is None and not self.problems


class Intake:
    """Takes files in. `names` gives the rulebook's names of now; `keep` takes photos in as evidence."""

    def __init__(
        self,
        submit_all: SubmitAll,
        db: Database,
        names: Callable[[], Names],
        now_ms: Callable[[], int],
        keep: KeepPhoto | None = None,
    ) -> None:
        self._keep = keep
        self._submit_all = submit_all
        self._db = db
        self._names = names
        self._now_ms = now_ms

    async def take(self, came: Came) -> Taken:
        """Read, judge, submit, and say what became of each row. Raises TakeLater, DatabaseAway."""
        language = came.partner.language
        try:
            table = await asyncio.to_thread(read_table, came.content, language)
            taken = await self.take_rows(came, table)
        except FileRefused as refusal:
            return refused(came.name, refusal, language)
        await self._give_back(came, table, taken)
        return taken

    async def take_rows(self, came: Came, table: Table) -> Taken:
        """The same for rows that were read already, in a file or from a form. Raises FileRefused too."""
        rows = typed_rows(table)
        if not table.rows:
            raise FileRefused("nothing_filled")
        orders = sorted({row.order for row in rows if not isinstance(row, SurvivalRow)})
        if len(orders) > ORDERS_PER_FILE_MAX:
            raise FileRefused("too_many_orders", orders_max=ORDERS_PER_FILE_MAX)
        taken = Taken(problems=list(table.problems), table=table)
        if table.kind.id == "survival":
            await self._survey(came, table, rows, taken)
        else:
            await self._record(came, table, rows, orders, taken)
        return taken

    async def say(self, came: Came, report: PartnerReport) -> Rejected | None:
        """Take what a person says of an order in no row, as that it may be cancelled; the refusal, where it is one.

        Raises TakeLater, DatabaseAway.
        """
        [outcome] = await self._submit_all([_command(came, report)])
        if outcome.error is not None and outcome.error.code in _TEMPORARY:
            raise TakeLater
        return outcome.error

    async def _record(
        self, came: Came, table: Table, rows: Sequence[Row], orders: Sequence[int], taken: Taken
    ) -> None:
        before = await self._facts(came.partner, orders)
        judged = self._judge(came, table, rows, before)
        taken.problems += judged.problems
        taken.notes += judged.notes
        await self._keep_photos(came, judged, taken)
        commands = [_command(came, report) for report, _ in judged.reports]
        outcomes = await self._submit_all(commands) if commands else []
        if any(one.error is not None and one.error.code in _TEMPORARY for one in outcomes):
            raise TakeLater
        after = await self._facts(came.partner, orders)
        for (report, numbers), outcome in zip(judged.reports, outcomes, strict=True):
            now_held = report.order in after and after[report.order].held and not before[report.order].held
            if outcome.error is not None:
                taken.problems += [_refused(row, outcome.error) for row in numbers]
            elif now_held:
                taken.problems += [CellProblem(row, "", "order_held") for row in numbers]
            else:
                taken.recorded_rows += len(numbers)
        named = [known for order in orders if (known := after.get(order)) is not None]
        for known in named:
            taken.lines += _told(before[known.id], known, rows, bool(taken.problems))
        if table.kind is ORDER:
            taken.accepted = [
                known
                for known in named
                if known.state == "accepted" and before[known.id].state == "submitted"
            ]

    async def _keep_photos(self, came: Came, judged: Judged, taken: Taken) -> None:
        """The photos of the rows that are taken; one that can't be read is told beside its row, and proves nothing."""
        if self._keep is None or came.picture is None:
            return
        for report, numbers in judged.reports:
            for shown, row in zip(report.batches, numbers, strict=False):
                for file in shown.evidence:
                    data = await came.picture(file.sha256)
                    try:
                        if data is not None:
                            await self._keep(came.partner.id, file.name, data)
                    except Rejected as refusal:
                        if refusal.code in LATER:
                            raise TakeLater from refusal
                        fields = {"names": [file.name], "reason": refusal.code}
                        taken.notes.append(CellProblem(row, "photos", "photo_unreadable", fields))

    def _judge(
        self, came: Came, table: Table, rows: Sequence[Row], facts: Mapping[int, OrderFacts]
    ) -> Judged:
        names, now = self._names(), self._now_ms()
        is_code = _is_code(came)
        answers = [row for row in rows if isinstance(row, AnswerRow)]
        if answers:
            return judging.judge_answers(answers, facts, is_code, names, now)
        spoilt = {row.values.get("order_no") for row in table.rows if row.problems}
        today = local_day(now + DAY_MS // 2, "UTC")  # the day that has begun furthest east
        return judging.judge_plantings(
            [row for row in rows if isinstance(row, PlantingRow)],
            facts,
            is_code,
            names,
            came.photos,
            today,
            now,
            lambda order: order in spoilt or None in spoilt,
        )

    async def _survey(self, came: Came, table: Table, rows: Sequence[Row], taken: Taken) -> None:
        """Survival rows of batches that the partner planted become the counts that were planned of them."""
        surveys = [row for row in rows if isinstance(row, SurvivalRow)]
        named = {row.row: _batch_named(row.batch_no) for row in surveys}
        orders = sorted({order for order, _ in named.values() if order})
        if len(orders) > ORDERS_PER_FILE_MAX:
            fields = {"reason": "too_many_orders"}
            taken.problems += [CellProblem(row.row, "batch_no", "not_taken", fields) for row in surveys]
            return
        facts = await self._facts(came.partner, orders)
        good, is_code = [], _is_code(came)
        for row in surveys:
            order, report_no = named[row.row]
            known = facts.get(order) if order else None
            if known is None or report_no not in known.batches:
                fields = {"value": row.batch_no}
                taken.problems.append(CellProblem(row.row, "batch_no", "unknown_batch", fields))
            elif not is_code(order, row.check):
                taken.problems.append(CellProblem(row.row, "check", "wrong_check"))
            else:
                good.append(((known.id, report_no), row))
        judged = judge_surveys(good, await counts_of(self._db, facts), _spoilt(table, taken.problems))
        taken.problems += judged.problems
        await self._record_counts(came, judged, taken)

    async def _record_counts(self, came: Came, judged: Surveyed, taken: Taken) -> None:
        commands = [_audit(came, count) for count in judged.counts]
        outcomes = await self._submit_all(commands) if commands else []
        if any(one.error is not None and one.error.code in _TEMPORARY for one in outcomes):
            raise TakeLater
        for count, outcome in zip(judged.counts, outcomes, strict=True):
            if outcome.error is not None:
                taken.problems += [_refused(row, outcome.error) for row in count.rows]
                continue
            taken.recorded_rows += len(count.rows)
            said = json.loads(outcome.data or b"{}")
            rate = "?" if said["rate_bp"] is None else f"{said['rate_bp'] / 100:.1f} %"
            order, report_no = count.batch
            taken.lines.append(Line("counted", order, len(count.plots), text=report_no, reason=rate))
        if judged.known_rows:
            taken.lines.append(Line("counted_before", number=judged.known_rows))

    async def _give_back(self, came: Came, table: Table, taken: Taken) -> None:
        if not taken.problems and not taken.notes:
            return
        wrong_rows = {problem.row for problem in taken.problems}
        if wrong_rows:
            taken.lines.append(Line("problems", number=len(wrong_rows)))
        elif taken.notes:
            taken.lines.append(Line("notes", number=len(taken.notes)))
        language = came.partner.language
        try:
            content = await asyncio.to_thread(
                returned_file, came.content, table, taken.problems, taken.notes, language
            )
        except FileRefused:  # it could be read, but not written again: then the letter says it all
            for one in [*taken.problems, *taken.notes][:_TOLD_IN_TEXT_MAX]:
                told = cell_text(one, table.kind, language)
                taken.lines.append(Line("row", number=one.row, text=told))
            return
        stem = PurePath(came.name).stem[:100] or "file"
        taken.returned = File(f"{stem}.{table.form}", content)

    async def _facts(self, partner: SheetPartner, orders: Iterable[int]) -> dict[int, OrderFacts]:
        """How the partner's own orders among these stand."""
        found: dict[int, OrderFacts] = {}
        async with self._db.snapshot() as reader:
            for order in orders:
                known = await order_facts(reader, partner.id, order)
                if known is not None:
                    found[order] = known
        return found


def refused(name: str, refusal: FileRefused, language: Language) -> Taken:
    """Nothing of the file is taken."""
    line = Line("refused", text=name, reason=file_text(refusal, language))
    return Taken(lines=[line], refusal=refusal)


async def order_facts(reader: Reader, partner: str, order: int) -> OrderFacts | None:
    """How an order of the partner stands, as far as files go; None where it has no such order."""
    row = await queries.order_facts(reader, order)
    if row is None or row["partner"] != partner:
        return None
    line = row["lines"][0]
    batches = {
        batch["report_no"]: KnownBatch(
            batch["reported"],
            batch["planted_from_on"],
            batch["planted_to_on"],
            batch["site"],
            len(batch["evidence"]),
        )
        for batch in row["batches"]
    }
    fields = (
        "species",
        "site",
        "unit_price_minor",
        "currency",
        "tolerance_pct",
        "ordered",
        "accepted",
        "reported",
    )
    return OrderFacts(
        id=order,
        state=row["state"],
        held=row["held"],
        batches=batches,
        **{name: line[name] for name in fields},
    )


def _is_code(came: Came) -> Callable[[int, str], bool]:
    """Whether a row's code, or that of the subject, is the order's."""

    def is_code(order: int, code: str) -> bool:
        offered = code or came.codes.get(order_number(order), "")
        return came.is_vouched or is_check_code(came.partner.keys, came.partner.id, order, offered)

    return is_code


def _command(came: Came, report: PartnerReport) -> RecordReport:
    """The report as a message of its own: what says the same, came the same way and is in the inbox is a repeat."""
    report = replace(report, by=came.by or report.by, reason=report.reason or came.remark)
    content = json.dumps(asdict(replace(report, at=0)), sort_keys=True, default=str)
    digest = hashlib.sha256(content.encode()).hexdigest()
    way = hashlib.sha256(f"{came.message}\n{report.order}\n{digest}".encode()).hexdigest()
    return RecordReport(None, came.partner.id, f"file_{way[:40]}", digest, report)


def _audit(came: Came, count: Count) -> RecordAudit:
    """The count as it is recorded. Who hands in what they planted themselves has an interest; what an operator hands
    in says who counted."""
    order, _ = count.batch
    is_ours = (
        came.is_vouched and not came.by
    )  # an operator's; whoever else hands it in counted what they planted
    by = "operator" if is_ours else f"{came.partner.id}/{came.by or 'files'}"
    surveyor = count.surveyor if is_ours else f"{came.partner.id}/{count.surveyor}"
    plots = tuple(PlotCount(*plot) for plot in count.plots)
    return RecordAudit(
        None, by, order, count.audit, count.visited_on, count.method, surveyor, not is_ours, plots
    )


def _spoilt(table: Table, problems: Sequence[CellProblem]) -> frozenset[tuple[int, str] | None]:
    """Batches with a row that is not taken; None where it may be any batch's."""
    wrong = {problem.row for problem in problems}
    named = [row.values.get("batch_no") for row in table.rows if row.problems or row.number in wrong]
    return frozenset(_batch_named(name) if name else None for name in named)


def _refused(row: int, refusal: Rejected) -> CellProblem:
    if refusal.code == "bad_audit" and refusal.fields.get("field") in _COUNT_COLUMNS:
        column, expected = _COUNT_COLUMNS[str(refusal.fields["field"])], refusal.fields.get("expected", "")
        return CellProblem(row, column, "count_refused", {"expected": expected})
    if refusal.code in _OWN_ROW:
        return CellProblem(row, "", _OWN_ROW[refusal.code], {"state": refusal.fields.get("state", "")})
    return CellProblem(row, "", "not_taken", {"reason": refusal.code})


def _batch_named(text: str) -> tuple[int, str]:
    """(order, report number) of a batch number; (0, "") where it is none."""
    number, _, report_no = text.partition("/")
    try:
        return parse_order_number(number), report_no.strip()
    except Rejected:
        return 0, ""


def _told(before: OrderFacts, after: OrderFacts, rows: Sequence[Row], has_problems: bool) -> list[Line]:
    """What the sender is told of an order."""
    order = after.id
    if after.held and not before.held:
        return [Line("held", order)]
    if before.state == "submitted" and after.state == "rejected":
        return [Line("rejected", order)]
    if before.state == "submitted" and after.state == "accepted":
        code = "accepted_all" if after.accepted == after.ordered else "accepted"
        return [Line(code, order, after.accepted, after.ordered)]
    lines = _planting_told(before, after)
    wants_end = any(isinstance(row, PlantingRow) and row.order == order and row.all_planted for row in rows)
    if wants_end and has_problems and after.state == "in_planting":
        lines.append(Line("waits_for_rows", order))
    if not lines and not has_problems:
        lines.append(Line("nothing_new", order))
    return lines


def _planting_told(before: OrderFacts, after: OrderFacts) -> list[Line]:
    lines = []
    fresh = len(after.batches) - len(before.batches)
    known = before.batches
    photos = sum(one.evidence - known[name].evidence for name, one in after.batches.items() if name in known)
    if fresh:
        lines.append(Line("reported", after.id, fresh, after.reported))
    if photos:
        lines.append(Line("photos", after.id, photos))
    if after.state == "planted" and before.state != "planted":
        lines.append(Line("planted", after.id, after.accepted, after.reported))
        if after.reported < after.accepted:
            lines.append(Line("shortfall", after.id, after.accepted, after.reported))
    return lines
