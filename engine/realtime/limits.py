"""Every limit of the socket side, each with its unit in the name. main.py builds one from the settings."""

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class Limits:
    """Defaults are those of the documentation; 0 switches a limit off only where its comment says so."""

    # --- one frame, one connection
    frame_bytes_max: int = 64 * KIB
    send_queue_bytes_max: int = 256 * KIB  # what waits for a reader; more closes it (3008)
    send_pause_bytes: int = 64 * KIB  # above this no further command of the connection is started
    outstanding_max: int = 64  # commands not yet answered; more are left unread until some are
    channels_max: int = 512
    commands_per_s: float = 100.0  # refill of the token bucket; 0: no rate limit
    commands_burst: int = 400
    connect_within_s: float = 10.0
    ping_s: int = 25
    pong_within_s: float = 9.0
    expiry_grace_s: float = 25.0  # how long a connection outlives its token, for the SDK to refresh it
    catch_up_within_s: float = (
        10.0  # a client that reads nothing for so long, with more waiting, is closed (3008)
    )
    slow_grace_s: float = (
        5.0  # how long a closed connection may still read what is queued, then its socket is freed
    )
    close_within_s: float = 5.0
    read_within_s: float = 10.0  # one read of an rpc or subscribe

    # --- all connections of the process
    find_friends_max: int = 50_000  # viewers who find energy, and the friends in their rounds; some 30 MB
    connections_max: int = 20_000
    connections_per_user_max: int = 32
    connections_per_address_max: int = 0  # 0: no limit, right behind a proxy
    upgrades_per_s: float = 500.0  # 0: no limit
    upgrades_burst: int = 2_000
    drain_s: float = 5.0  # a shutdown closes the connections in slices over this time

    # --- recovery and positions
    history_s: float = 600.0
    history_bytes_max: int = 64 * MIB  # all channels together, bookkeeping included
    channel_history_max: int = 300
    channel_history_bytes_max: int = 128 * KIB
    recovery_max: int = 300
    recovery_bytes_max: int = 128 * KIB
    sweep_s: float = 25.0
    repair_after_s: float = (
        0.25  # how long a gap may wait for the missing publication before the journal is asked
    )

    # --- the listening socket
    send_buffer_bytes: int = 128 * KIB
    tcp_user_timeout_ms: int = 10_000
    backlog: int = 2_048
