"""Arrays of tiles that were read lately, bounded in bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

from numpy.typing import NDArray


class TileCache:
    """Least recently used arrays, read-only. Safe with threads: two may read one array, none waits for a disk.

    Args:
        limit: bytes.
    """

    def __init__(self, limit: int):
        self._limit, self._used = limit, 0
        self._arrays: OrderedDict[Hashable, NDArray] = OrderedDict()
        self._lock = threading.Lock()

    def peek(self, key: Hashable) -> NDArray | None:
        """The array, if it is there."""
        with self._lock:
            array = self._arrays.get(key)
            if array is not None:
                self._arrays.move_to_end(key)
            return array

    def get(self, key: Hashable, read: Callable[[], NDArray]) -> NDArray:
        """The array, read if need be. One that is larger than the whole cache is handed out and not kept."""
        array = self.peek(key)
        if array is not None:
            return array
        array = read()
        array.setflags(write=False)
        with self._lock:
            if key not in self._arrays and array.nbytes <= self._limit:
                self._arrays[key] = array
                self._used += array.nbytes
                while self._used > self._limit:
                    _, dropped = self._arrays.popitem(last=False)
                    self._used -= dropped.nbytes
        return array

    @property
    def used(self) -> int:
        """Bytes held."""
        return self._used
