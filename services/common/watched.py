"""Files that are read again when they change: certificates, keys, policies."""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import structlog

T = TypeVar("T")

_SECONDS = 1.0
"""How often files are looked at, at most."""

_log = structlog.get_logger()
_Stamp = tuple[tuple[int, int, int], ...]


class Watched(Generic[T]):
    """What files say now; what they said last for as long as they are missing or make no sense."""

    def __init__(self, read: Callable[[], T], paths: Sequence[Path]) -> None:
        """Read files.

        Args:
            read: reads them; raises OSError or ValueError where they make no sense.
            paths: the files.

        Raises:
            OSError, ValueError: what `read` raised.
        """
        self._read = read
        self._paths = paths
        self._lock = threading.Lock()
        self._stamp = self._stamp_now()
        self._value = read()
        self._looked = time.monotonic()

    def __call__(self) -> T:
        """What they say: the same object until they change. May be called from any thread."""
        if time.monotonic() - self._looked < _SECONDS:
            return self._value
        with self._lock:
            self._looked = time.monotonic()
            try:
                stamp = self._stamp_now()
                if stamp != self._stamp:
                    self._value, self._stamp = self._read(), stamp
                    _log.info("read again", files=[str(path) for path in self._paths])
            except (OSError, ValueError) as error:
                _log.error("not read again, what was read before stays", problem=str(error))
        return self._value

    def _stamp_now(self) -> _Stamp:
        found = [path.stat() for path in self._paths]
        return tuple((each.st_ino, each.st_mtime_ns, each.st_size) for each in found)
