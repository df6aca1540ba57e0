"""Tokens: signed by the app, checked everywhere in the same way."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from engine.api import tokens
from engine.api.tokens import KeySet, TokenVerifier, parse_key_set, sign_demo_token
from engine.core.errors import Rejected

SECRET = "a secret of at least thirty-two bytes!"
NOW = time.time()
LATER = NOW + 86_400


def hmac(claims: dict[str, Any], secret: str = SECRET, algorithm: str = "HS256", **headers: Any) -> str:
    return jwt.encode(claims, secret, algorithm=algorithm, headers=headers or None)


def good(**claims: Any) -> dict[str, Any]:
    return {"sub": "17", "aud": "saxaul", "exp": LATER} | claims


async def code_of(verifier: TokenVerifier, token: str) -> str:
    with pytest.raises(Rejected) as caught:
        await verifier.verify(token)
    assert caught.value.fields == {}
    return caught.value.code


async def test_a_good_token_names_user_and_end() -> None:
    verifier = TokenVerifier(secret=SECRET)
    bearer = await verifier.verify(hmac(good()))
    assert bearer.user == 17
    assert bearer.expires_at_s == pytest.approx(LATER, abs=1)
    endless = good()
    del endless["exp"]
    assert (await verifier.verify(hmac(endless))).expires_at_s is None
    assert (await verifier.verify(hmac(good(aud=["other", "saxaul"])))).user == 17
    assert (await verifier.verify(sign_demo_token(SECRET, 5))).user == 5


async def test_expired_is_told_apart_from_forged() -> None:
    verifier = TokenVerifier(secret=SECRET)
    assert await code_of(verifier, hmac(good(exp=NOW - 1))) == "token_expired"
    assert (
        await code_of(verifier, hmac(good(exp=NOW - 1), "another secret of thirty-two bytes!!!"))
        == "token_invalid"
    )
    shifted = TokenVerifier(secret=SECRET, clock=lambda: LATER + 1)
    assert await code_of(shifted, hmac(good())) == "token_expired"


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": 17},
        {"sub": ""},
        {"sub": "017"},
        {"sub": "-1"},
        {"sub": "17 "},
        {"sub": "٣"},
        {"sub": "9007199254740992"},
        {"sub": "alice"},
        {"sub": None},
        {"aud": "other"},
        {"aud": None},
        {"aud": []},
        {"exp": "soon"},
        {"exp": True},
        {"exp": -5},
        {"exp": 1e300},
        {"nbf": LATER},
        {"nbf": "later"},
    ],
)
async def test_claims_that_are_not_ours(claims: dict[str, Any]) -> None:
    body = {name: value for name, value in good(**claims).items() if value is not None}
    part = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()  # noqa: E731
    algorithm = jwt.get_algorithm_by_name("HS256")
    signed = f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(body)}"
    signature = algorithm.sign(signed.encode(), algorithm.prepare_key(SECRET))
    token = f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
    assert await code_of(TokenVerifier(secret=SECRET), token) == "token_invalid"


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "a.b.c",
        "..",
        "é.é.é",
        "x" * 9000,
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxNyIsImF1ZCI6InNheGF1bCJ9.",
    ],
)
async def test_what_is_no_token(token: str) -> None:
    assert await code_of(TokenVerifier(secret=SECRET), token) == "token_invalid"


async def test_a_changed_byte_and_an_unsigned_token_are_forged() -> None:
    verifier = TokenVerifier(secret=SECRET)
    token = hmac(good())
    head, body, signature = token.split(".")
    other = hmac(good(sub="18")).split(".")[1]
    assert await code_of(verifier, f"{head}.{other}.{signature}") == "token_invalid"
    assert await code_of(verifier, f"{head}.{body}.") == "token_invalid"
    assert await code_of(verifier, jwt.encode(good(), None, algorithm="none")) == "token_invalid"


def test_a_verifier_needs_one_good_key() -> None:
    for wrong in ({}, {"secret": "short"}, {"secret": SECRET, "keys": KeySet("https://keys")}):
        with pytest.raises(ValueError, match="secret"):
            TokenVerifier(**wrong)  # type: ignore[arg-type]


# --- key sets -------------------------------------------------------------------------------------


class Issuer:
    """An app with an RSA and an EC key, whose public halves are in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.ec = ec.generate_private_key(ec.SECP256R1())
        self.write(self.rsa_row())

    def rsa_row(self, kid: str = "r1") -> dict[str, Any]:
        """The RSA key as a JWK."""
        return json.loads(RSAAlgorithm.to_jwk(self.rsa.public_key())) | {
            "kid": kid,
            "use": "sig",
            "alg": "RS256",
        }

    def ec_row(self) -> dict[str, Any]:
        """The EC key as a JWK."""
        return json.loads(ECAlgorithm.to_jwk(self.ec.public_key())) | {"kid": "e1"}

    def write(self, *rows: dict[str, Any]) -> None:
        """Publish a key set."""
        self.path.write_text(json.dumps({"keys": list(rows)}))


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("keys") / "jwks.json")


async def test_tokens_signed_with_a_key_of_the_set(issuer: Issuer) -> None:
    issuer.write(issuer.rsa_row(), issuer.ec_row())
    verifier = TokenVerifier(keys=KeySet(issuer.path))
    by_rsa = jwt.encode(good(), issuer.rsa, algorithm="RS256", headers={"kid": "r1"})
    by_ec = jwt.encode(good(), issuer.ec, algorithm="ES256", headers={"kid": "e1"})
    assert (await verifier.verify(by_rsa)).user == 17
    assert (await verifier.verify(by_ec)).user == 17
    wrong_key = jwt.encode(good(), issuer.ec, algorithm="ES256", headers={"kid": "r1"})
    assert await code_of(verifier, wrong_key) == "token_invalid"
    assert await code_of(verifier, jwt.encode(good(), issuer.rsa, algorithm="RS256")) == "token_invalid"


async def test_the_public_key_is_no_hmac_secret(issuer: Issuer) -> None:
    issuer.write(issuer.rsa_row())
    verifier = TokenVerifier(keys=KeySet(issuer.path))
    assert await code_of(verifier, hmac(good(), issuer.rsa_row()["n"], kid="r1")) == "token_invalid"
    assert await code_of(verifier, hmac(good(), kid="r1")) == "token_invalid"


async def test_a_new_key_is_found_when_it_is_first_used(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer.write(issuer.rsa_row())
    verifier = TokenVerifier(keys=KeySet(issuer.path))
    by_ec = jwt.encode(good(), issuer.ec, algorithm="ES256", headers={"kid": "e1"})
    assert await code_of(verifier, by_ec) == "token_invalid"
    issuer.write(issuer.ec_row())
    assert await code_of(verifier, by_ec) == "token_invalid", "asked again too soon"
    monkeypatch.setattr(tokens, "KEY_SET_RETRY_S", 0.0)
    assert (await verifier.verify(by_ec)).user == 17


async def test_a_key_set_that_is_away_judges_nobody_and_old_keys_serve_on(
    issuer: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "KEY_SET_RETRY_S", 0.0)
    token = jwt.encode(good(), issuer.rsa, algorithm="RS256", headers={"kid": "r1"})
    path = tmp_path / "jwks.json"
    verifier = TokenVerifier(keys=KeySet(path))
    assert await code_of(verifier, token) == "unavailable"
    path.write_text(json.dumps({"keys": [issuer.rsa_row()]}))
    assert (await verifier.verify(token)).user == 17
    path.write_text("<html>")
    monkeypatch.setattr(tokens, "KEY_SET_FRESH_S", 0.0)
    assert (await verifier.verify(token)).user == 17
    nobody = TokenVerifier(keys=KeySet("https://127.0.0.1:1/jwks"))
    assert await code_of(nobody, token) == "unavailable"


def test_key_sets_without_a_usable_key(issuer: Issuer) -> None:
    secret = {"kty": "oct", "k": base64.urlsafe_b64encode(SECRET.encode()).decode(), "kid": "s"}
    for body in (
        b"",
        b"[]",
        b'{"keys":5}',
        json.dumps({"keys": [secret]}).encode(),
        b'{"keys":[{"kty":"XX"}]}',
    ):
        with pytest.raises(ValueError, match=r"(?i)key"):
            parse_key_set(body)
    mixed = json.dumps({"keys": [secret, {"kty": "XX"}, issuer.rsa_row() | {"use": "enc"}, issuer.ec_row()]})
    assert list(parse_key_set(mixed.encode())) == ["e1"]
