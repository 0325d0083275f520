"""Who calls, by the keys of a file, which are compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kb_index.errors import InputError

__all__ = ["Caller", "Keys"]

logger = logging.getLogger(__name__)

MIN_KEY_CHARS = 16
_NAME = re.compile(r"[\w.@-]{1,64}", re.ASCII)
_DIGEST = re.compile("sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose dialogues, feedback and votes these are, and whether they may reload the index."""

    name: str
    is_admin: bool = False


class _Key(NamedTuple):
    digest: bytes
    caller: Caller


class Keys:
    """The keys that open a server; none of them: everybody may call."""

    def __init__(self, keys: Mapping[str, tuple[str, bool]] | None = None) -> None:
        self._keys = [_Key(_digest(key), Caller(name, admin)) for name, (key, admin) in (keys or {}).items()]

    @classmethod
    def read(cls, path: Path) -> Keys:
        """Read a file of lines `NAME KEY [admin]`; a KEY may be `sha256:` and the key's digest in hexadecimal.

        Raises: InputError.
        """
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
            if path.stat().st_mode & stat.S_IROTH:
                logger.warning("keys '%s': anybody of this machine can read them; run: chmod o-r", path)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8"
            raise InputError(f"keys '{path}': cannot be read ({reason}); name a file of lines NAME KEY") from None
        keys: dict[str, tuple[str, bool]] = {}
        for number, line in enumerate(lines, 1):
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            fault = _fault(words, keys)
            if fault:
                raise InputError(f"keys '{path}', line {number}: {fault}; expected NAME KEY, or NAME KEY admin")
            keys[words[0]] = (words[1], len(words) == 3)
        if not keys:
            raise InputError(f"keys '{path}': no key in it; expected lines NAME KEY")
        return cls(keys)

    @property
    def are_needed(self) -> bool:
        """Whether nobody may call without one."""
        return bool(self._keys)

    def caller(self, key: str | None) -> Caller | None:
        """Whose key it is; None where it is nobody's. Every key is compared, so that time tells nothing."""
        given, found = _digest(f"plain:{key}" if key and _DIGEST.fullmatch(key) else key or ""), None
        for known in self._keys:
            if hmac.compare_digest(known.digest, given):
                found = known.caller
        return found


def _digest(key: str) -> bytes:
    known = _DIGEST.fullmatch(key)
    return bytes.fromhex(known[1]) if known else hashlib.sha256(key.encode("utf-8", "replace")).digest()


def _fault(words: list[str], keys: Mapping[str, tuple[str, bool]]) -> str | None:
    """What is wrong with a line, without its key."""
    if len(words) not in (2, 3) or words[2:] not in ([], ["admin"]):
        return f"{len(words)} words"
    if not _NAME.fullmatch(words[0]):
        return "the name is no word of at most 64 letters, digits, . @ _ -"
    if words[0] in keys or words[0] == "local":
        return f"{words[0]} has a key already" if words[0] in keys else "the name local is whoever needs no key"
    if _digest(words[1]) in {_digest(key) for key, _ in keys.values()}:
        return "another name has this key"
    if len(words[1]) < MIN_KEY_CHARS:
        return f"the key has {len(words[1])} characters, expected at least {MIN_KEY_CHARS}"
    return None
