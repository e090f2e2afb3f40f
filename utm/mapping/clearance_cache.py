"""Where computed windows are kept: the last ones in memory, more of them on disk, each under a hash of its content."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import threading
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: A file is this many bytes of SHA-256 over its key and the rest, and the rest, as numpy's savez writes it.
_DIGEST_BYTES = hashlib.sha256().digest_size


def cache_directory() -> Path:
    """``$UTM_CACHE``, or ``~/.cache/skyroad``."""
    stated = os.environ.get("UTM_CACHE")
    return Path(stated) if stated else Path.home() / ".cache" / "skyroad"


class DamagedEntry(Exception):
    """A file of the cache does not hold what was written; whoever asked computes it again."""


class ClearanceCache:
    """Least recently used goes first, in memory and on disk. Safe for threads, and for processes that share a folder.

    Args:
        directory: where the files lie, made when first needed; ``None`` keeps windows in memory only.
            `cache_directory` names the usual place.
        max_bytes: in memory.
        max_disk_bytes: on disk.
    """

    def __init__(
        self, directory: str | Path | None = None, max_bytes: int = 256_000_000, max_disk_bytes: int = 2_000_000_000
    ):
        self.directory = None if directory is None else Path(directory) / "clearance"
        self.max_bytes, self.max_disk_bytes = max_bytes, max_disk_bytes
        self._held: OrderedDict[str, tuple[Any, int]] = OrderedDict()
        self._lock = threading.Lock()

    def held(self, key: str) -> Any | None:
        """What is in memory under a key."""
        with self._lock:
            if key not in self._held:
                return None
            self._held.move_to_end(key)
            return self._held[key][0]

    def hold(self, key: str, value: Any, nbytes: int) -> None:
        """Keep something in memory; what alone is larger than the cache is not kept."""
        if nbytes > self.max_bytes:
            return
        with self._lock:
            self._held[key] = (value, nbytes)
            self._held.move_to_end(key)
            while sum(size for _, size in self._held.values()) > self.max_bytes:
                self._held.popitem(last=False)

    def read(self, key: str) -> dict[str, NDArray] | None:
        """The arrays on disk under a key; None where there are none.

        Raises:
            DamagedEntry: there is a file, but not as it was written.
        """
        if self.directory is None:
            return None
        file = self._file(key)
        try:
            content = file.read_bytes()
            os.utime(file)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DamagedEntry(f"{file}: {error.strerror}") from error
        # Before anything of it is understood: numpy's reader fails in many ways, and not always
        if content[:_DIGEST_BYTES] != _digest(key, content[_DIGEST_BYTES:]):
            raise DamagedEntry(f"{file}: the content does not match its digest")
        with np.load(io.BytesIO(content[_DIGEST_BYTES:]), allow_pickle=False) as entry:
            return {name: entry[name] for name in entry.files}

    def write(self, key: str, arrays: Mapping[str, NDArray]) -> None:
        """Keep arrays on disk, whole or not at all. A folder that cannot be written to is warned of, no more: what was
        computed is good without it."""
        if self.directory is None:
            return
        file = self._file(key)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            handle, partial = tempfile.mkstemp(prefix=".partial-", dir=file.parent)
            try:
                packed = io.BytesIO()
                np.savez_compressed(packed, **arrays)
                with os.fdopen(handle, "wb") as stream:
                    stream.write(_digest(key, packed.getvalue()))
                    stream.write(packed.getvalue())
                os.replace(partial, file)
            except BaseException:
                Path(partial).unlink(missing_ok=True)
                raise
            self._prune()
        except OSError as error:
            warnings.warn(
                f"the clearance cache {self.directory} cannot be written ({error.strerror}); windows are computed anew "
                "each time. Set UTM_CACHE to a folder with room.",
                RuntimeWarning,
                stacklevel=2,
            )

    def _file(self, key: str) -> Path:
        return self.directory / key[:2] / f"{key}.window"

    def _prune(self) -> None:
        entries = []
        for file in self.directory.glob("*/*.window"):
            try:
                stat = file.stat()
            except FileNotFoundError:  # another process prunes too
                continue
            entries.append((stat.st_mtime_ns, stat.st_size, file))
        excess = sum(size for _, size, _ in entries) - self.max_disk_bytes
        for _, size, file in sorted(entries):
            if excess <= 0:
                break
            file.unlink(missing_ok=True)
            excess -= size


def _digest(key: str, content: bytes) -> bytes:
    return hashlib.sha256(key.encode() + content).digest()
