"""Settings that can't be served with are refused with a sentence, before anything is opened."""

from typing import Any

import pytest

from engine.settings import Settings, SettingsError

SECRET = "s" * 40


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"log_level": "LOUD"}, "SAXAUL_LOG_LEVEL"),
        ({"token_secret": "short"}, "SAXAUL_TOKEN_SECRET"),
        ({"token_secret": ""}, "SAXAUL_TOKEN_SECRET"),
        ({"host": "0.0.0.0"}, "SAXAUL_TOKEN_SECRET"),
        ({"host": "", "token_secret": SECRET}, "SAXAUL_SERVER_KEY"),
        ({"host": "192.0.2.1", "token_key_set": "http://keys.example/k"}, "SAXAUL_SERVER_KEY"),
        (
            {
                "host": "192.0.2.1",
                "token_key_set": "http://keys.example/k",
                "server_key": SECRET,
                "operator_key": SECRET,
            },
            "SAXAUL_TOKEN_KEY_SET",
        ),
    ],
)
def test_what_cannot_be_served_with_is_named(given: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        Settings(_env_file=None, **given).check()  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"log_level": "debug"},
        {"token_key_set": "http://127.0.0.1:9/k", "token_secret": ""},
        {"host": "192.0.2.1", "token_secret": SECRET, "server_key": SECRET, "operator_key": SECRET},
    ],
)
def test_what_can_be_served_with_passes(given: dict[str, Any]) -> None:
    Settings(_env_file=None, **given).check()  # type: ignore[call-arg]
