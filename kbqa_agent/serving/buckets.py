"""How much one caller may send: a bucket of tokens that fills steadily, for each key or address."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network

__all__ = ["Buckets", "whose"]

MAX_CALLERS = 10_000
"""So many callers are told apart; who has not called for longest is forgotten, with a bucket that is mostly full."""


class Buckets:
    """Token buckets by caller: `rate` tokens a second, at most `burst`; not for several threads.

    >>> buckets = Buckets(rate=1, burst=2, clock=lambda: 0.0)
    >>> [buckets.wait("li") for _ in range(3)], buckets.wait("wang")
    ([0.0, 0.0, 1.0], 0.0)
    """

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, float(burst), clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, caller: str) -> float:
        """Take a token: 0.0; or, where there is none, the seconds until there is one."""
        if not self._rate:
            return 0.0
        now = self._clock()
        left, last = self._left.pop(caller, (self._burst, now))
        left = min(self._burst, left + (now - last) * self._rate)
        taken = left >= 1
        self._left[caller] = (left - 1 if taken else left, now)
        if len(self._left) > MAX_CALLERS:
            self._left.popitem(last=False)
        return 0.0 if taken else (1 - left) / self._rate


def whose(address: str) -> str:
    """The address of a caller, or the network that one caller has whole: the first 64 bits of an address of IPv6.

    >>> whose("192.0.2.1"), whose("::ffff:192.0.2.1"), whose("2001:db8::1:2"), whose("::1")
    ('192.0.2.1', '192.0.2.1', '2001:db8::/64', '::1')
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address) or parsed.is_loopback:
        return address
    return str(parsed.ipv4_mapped or ip_network((int(parsed), 64), strict=False))
