"""Runs the simulated NGO: `python -m partners.simulator --port 8100 --database ngo.db --key whsec_…`."""

from __future__ import annotations

import argparse

import uvicorn

from partners.signing import secret_bytes
from partners.simulator.app import Config, build_app
from partners.simulator.plan import Pace


def main() -> None:
    """Read the command line and serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m partners.simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8100, help="port to listen on")
    parser.add_argument("--database", default="ngo.db", help="the NGO's own SQLite file")
    parser.add_argument("--key", required=True, help="the key that both sides share (whsec_…)")
    parser.add_argument("--callback", help="where signed messages go; without it the NGO can only be asked")
    parser.add_argument("--speed", type=float, default=1.0, help="an order takes 8 s at speed 1, 4 s at 2")
    parser.add_argument(
        "--not-idempotent", action="store_true", help="a repeated order request makes another order"
    )
    parser.add_argument(
        "--signed", action="store_true", help="take only requests that are signed with the key"
    )
    asked = parser.parse_args()
    secret_bytes(asked.key)
    config = Config(
        asked.database,
        asked.key,
        asked.callback,
        Pace().times(1 / asked.speed),
        not asked.not_idempotent,
        asked.signed,
    )
    uvicorn.run(
        build_app(config),
        host=asked.host,
        port=asked.port,
        log_level="warning",
        lifespan="on",
        timeout_graceful_shutdown=1,  # a request that was told to hang must not hold up the end
    )


if __name__ == "__main__":
    main()
