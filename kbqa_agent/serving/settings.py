"""How a server runs, in one frozen value whose ranges are checked when it is made."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path

from kb_index.errors import InputError

__all__ = ["ServeSettings", "is_loopback"]

_ORIGIN = re.compile(r"https?://(?:[\w.-]+|\[[0-9a-f:]+\])(?::\d{1,5})?", re.ASCII)
PUBLIC_RATE, PUBLIC_BURST = 20.0, 100
"""Requests a second, and at once, of a caller where others than this machine's own user can call."""
LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]", "::1")


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """Where a server listens, who may call, and how much it takes on; times are in seconds, sizes in bytes."""

    host: str = "127.0.0.1"
    port: int = 8000
    api_key_file: Path | None = None
    """A file of lines `NAME KEY [admin]`; without one nobody needs a key."""
    no_auth: bool = False
    """Let everybody call on another address than this machine's own."""
    allowed_hosts: tuple[str, ...] = ()
    """Names, without port, that a request may call this server by, beside those of this machine.

    (): any name on an address that others can reach, else those of this machine alone.
    """
    cors_origins: tuple[str, ...] = ()
    """Other sites whose pages may call, such as `https://example.org`."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses of reverse proxies whose X-Forwarded-For tells who calls."""
    rate: float | None = None
    """Requests a second for each key or address; 0: any number; None: any number from this machine alone, else 20."""
    burst: int = PUBLIC_BURST
    body_bytes: int = 65_536
    message_count: int = 100
    """The most messages of an OpenAI-compatible request."""
    waiting_questions: int = 128
    """So many questions may be under way; more are told to come again."""
    waiting_generations: int = 16
    """So many questions may be with the generator, or wait for it."""
    waiting_lookups: int = 256
    """So many look-ups and pieces of feedback may be under way."""
    processes: int | None = None
    """So many processes rank beside the server's own, where it knows how to open the index; None: one a processor."""
    request_seconds: float = 30.0
    drain_seconds: float = 30.0
    """How long what runs may take to end when the server stops."""
    gather_seconds: float = 0.002
    """How long the first of several questions waits for others to be ranked with."""
    dialogues_per_user: int = 100
    answers_kept: int = 10_000
    """So many answers can be rated after they were given, the oldest forgotten first."""
    feedback_per_day: int = 2000
    """So many pieces of feedback of one user are taken in a day, where others than this machine's own user can call."""
    store: Path | None = None
    """The SQLite file of dialogues and votes; None: they end with the server."""
    log_questions: bool = False

    def __post_init__(self) -> None:
        for name in (
            "burst", "body_bytes", "message_count", "waiting_questions", "waiting_generations", "waiting_lookups",
            "dialogues_per_user", "answers_kept", "feedback_per_day",
        ):  # fmt: skip
            if getattr(self, name) < 1:
                raise InputError(f"{name}={getattr(self, name)}: expected at least 1")
        for name in ("request_seconds", "drain_seconds"):
            if getattr(self, name) <= 0:
                raise InputError(f"{name}={getattr(self, name)}: expected seconds, more than 0")
        if self.gather_seconds < 0:
            raise InputError(f"gather_seconds={self.gather_seconds}: expected seconds, 0 or more")
        if self.processes is not None and self.processes < 0:
            raise InputError(f"processes={self.processes}: expected 0 or more, or None for one a processor")
        if not 0 <= self.port <= 65_535:
            raise InputError(f"port={self.port}: expected 0 to 65535; 0 takes any that is free")
        if self.rate is not None and self.rate < 0:
            raise InputError(f"rate={self.rate}: expected requests a second, or 0 for any number")
        self._check_who_may_call()

    def _check_who_may_call(self) -> None:
        if not (self.is_local or self.api_key_file or self.no_auth):
            raise InputError(
                f"host {self.host!r}: others can reach it, and nobody would need a key; "
                "name a file of keys with --api-key-file, or say --no-auth"
            )
        if "*" in self.cors_origins:
            raise InputError("cors_origins '*': any site could call; name the sites, such as https://example.org")
        for origin in self.cors_origins:
            if not _ORIGIN.fullmatch(origin):
                raise InputError(f"cors_origins {origin!r}: expected scheme and name alone, as https://example.org")
        for proxy in self.trusted_proxies:
            if not _is_network(proxy):
                raise InputError(f"trusted_proxies {proxy!r}: expected an address, such as 127.0.0.1")

    @property
    def n_processes(self) -> int:
        """How many processes rank beside the server's own; one alone would gain nothing."""
        from kbqa_agent.parallel import n_processors

        wanted = n_processors() if self.processes is None else self.processes
        return wanted if wanted > 1 or self.processes else 0

    @property
    def is_local(self) -> bool:
        """Whether only programs of this machine can call."""
        return is_loopback(self.host)

    @property
    def is_shared(self) -> bool:
        """Whether there may be several users."""
        return not self.is_local or self.api_key_file is not None

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names that a request may call this server by; () for any.

        A page of another site whose name comes to point here must not pass for one of this machine.
        """
        if not (self.allowed_hosts or self.is_local):
            return ()
        return tuple(name.casefold() for name in (*LOCAL_NAMES, self.host, *self.allowed_hosts))

    @property
    def requests_per_second(self) -> float:
        """What one caller may send; 0 for any number."""
        if self.rate is not None:
            return self.rate
        return PUBLIC_RATE if self.is_shared else 0.0


def _is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether an address, or name, is this machine's own.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
