"""Mails as they come: who sent them, whether a person did, and what is in them."""

from __future__ import annotations

from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partners.adapters.files.codes import (
    check_code,
    codes_in_subject,
    is_check_code,
    mail_named,
    message_id,
    subject_mark,
)
from partners.adapters.files.mails import OWN_HEADER
from partners.adapters.files.received import MAIL_PARTS_MAX, is_authentic, open_mail
from tests.partners.bench import KEY
from tests.partners.files.staff import jpeg
from tests.partners.parties import OTHER_KEY


def written(**headers: str) -> EmailMessage:
    mail = EmailMessage()
    usual = {
        "From": "Li <li@ngo.example>",
        "To": "orders@mail.example",
        "Subject": "表",
        "Message-ID": "<1@ngo.example>",
    }
    for name, value in (usual | {name.replace("_", "-"): value for name, value in headers.items()}).items():
        if value:
            mail[name] = value
    mail.set_content("见附件")
    return mail


def test_a_mail_with_a_table_and_photos() -> None:
    mail = written()
    mail.add_attachment(
        b"PK", maintype="application", subtype="octet-stream", filename="..\\..\\种植报告.xlsx"
    )
    mail.add_attachment(jpeg("a"), maintype="image", subtype="jpeg", filename="/tmp/A.JPG")
    mail.add_attachment(b"not a picture", maintype="image", subtype="jpeg", filename="b.jpg")
    found = open_mail(mail.as_bytes())
    assert found is not None
    assert (found.sender, found.automatic, found.message_id) == ("li@ngo.example", "", "<1@ngo.example>")
    assert [table.name for table in found.tables] == ["种植报告.xlsx"]
    assert list(found.photos) == ["a.jpg"]


@pytest.mark.parametrize(
    ("headers", "automatic"),
    [
        ({"Auto_Submitted": "auto-replied"}, "auto_reply"),
        ({"Auto_Submitted": "auto-generated; owner-email=x@y"}, "auto_reply"),
        ({"Auto_Submitted": "no"}, ""),
        ({"Precedence": "bulk"}, "list"),
        ({"Precedence": "auto_reply"}, "list"),
        ({"List_Id": "<list.ngo.example>"}, "auto_reply"),
        ({"X_Autoreply": "yes"}, "auto_reply"),
        ({"From": "MAILER-DAEMON@ngo.example"}, "bounce"),
        ({"From": "no-reply@ngo.example"}, "auto_reply"),
        ({"Return_Path": "<>"}, "bounce"),
        ({OWN_HEADER: "order"}, "own"),
    ],
)
def test_what_no_person_sent(headers: dict[str, str], automatic: str) -> None:
    found = open_mail(written(**headers).as_bytes())
    assert found is not None
    assert found.automatic == automatic


@pytest.mark.parametrize(
    "raw",
    [
        b"From: li@ngo.example\r\nFrom: evil@x.example\r\n\r\nx",
        b"From: li@ngo.example, evil@x.example\r\n\r\nx",
        b"Subject: no sender\r\n\r\nx",
        b"From: \r\n\r\nx",
        b"From: nobody\r\n\r\nx",
        b'From: "li@ngo.example" <evil@x.example>\r\n\r\nx',
        b"",
        b"\xff\xfe\x00",
    ],
)
def test_a_sender_is_one_address_or_none(raw: bytes) -> None:
    found = open_mail(raw)
    assert found is None or found.sender in ("", "nobody", "evil@x.example")


def test_more_parts_than_anybody_sends() -> None:
    mail = written()
    for number in range(MAIL_PARTS_MAX + 50):
        mail.add_attachment(b"x", maintype="text", subtype="csv", filename=f"{number}.csv")
    found = open_mail(mail.as_bytes())
    assert found is not None
    assert len(found.tables) == 5


TRUSTED = "mx.mail.example"


@pytest.mark.parametrize(
    ("results", "is_so"),
    [
        ([f"{TRUSTED}; dkim=pass header.d=ngo.example; dmarc=pass header.from=ngo.example"], True),
        ([f"{TRUSTED}; dmarc=fail; dkim=pass"], False),
        ([f"{TRUSTED}; dkim=pass header.d=ngo.example"], True),
        ([f"{TRUSTED}; dkim=none; spf=pass"], False),
        ([f"{TRUSTED}; dmarc=none; dkim=pass"], True),
        ([f"{TRUSTED} 1; none"], False),
        ([f"{TRUSTED}; dkim=fail (dmarc=pass)"], False),
        (["mx.evil.example; dmarc=pass; dkim=pass"], False),
        (["mx.evil.example; dmarc=pass", f"{TRUSTED}; dmarc=pass"], False),
        ([f"{TRUSTED}; dmarc=fail", f"{TRUSTED}; dmarc=pass"], False),
        ([], False),
    ],
)
def test_only_the_trusted_server_is_believed_and_only_its_newest_word(
    results: list[str], is_so: bool
) -> None:
    head = "".join(f"Authentication-Results: {one}\r\n" for one in results).encode()
    found = open_mail(head + b"From: li@ngo.example\r\n\r\nx", TRUSTED)
    assert found is not None
    assert is_authentic(found.results) == is_so


@given(st.binary(max_size=400))
def test_any_bytes_are_a_mail_or_none(raw: bytes) -> None:
    for content in (
        raw,
        b"From: li@ngo.example\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + raw,
    ):
        found = open_mail(content)
        assert found is None or isinstance(found.sender, str)


# --- codes ----------------------------------------------------------------------------------------


def test_codes_are_of_an_order_a_partner_and_a_key() -> None:
    code = check_code(KEY, "elm", 42)
    assert len(code) == 20
    assert is_check_code([KEY], "elm", 42, f" {code.upper()} ")
    assert is_check_code([OTHER_KEY, KEY], "elm", 42, code)
    for keys, partner, order, offered in (
        ([KEY], "elm", 43, code),
        ([KEY], "oak", 42, code),
        ([OTHER_KEY], "elm", 42, code),
        ([KEY], "elm", 42, ""),
        ([KEY], "elm", 42, code[:-1]),
    ):
        assert not is_check_code(keys, partner, order, offered)


def test_a_subject_carries_number_and_code_through_an_answer() -> None:
    mark = subject_mark(KEY, "elm", 42)
    assert codes_in_subject(f"回复: Re: 种植订单 {mark}") == {"PO-000042-Z": check_code(KEY, "elm", 42)}
    assert codes_in_subject("种植订单 PO-000042-Z") == {}


def test_only_our_own_message_ids_are_ours() -> None:
    name = message_id(KEY, "elm", "submit", 42, 0, "mail.example")
    assert mail_named([KEY], "elm", f"References: <x@y> {name}") == ("submit", 42)
    assert mail_named([OTHER_KEY], "elm", name) is None
    assert mail_named([KEY], "elm", name.replace(".42.", ".43.")) is None
    assert mail_named([KEY], "elm", "nothing") is None
