"""The airspace's log as a chain: each entry names the digest of the one before and is signed by the airspace's key.

Pure but for the key's file. What is hashed is the text that is stored: nothing is written anew when it is verified.
Digests are SHA-256 (FIPS 180-4), signatures Ed25519 (RFC 8032) over the 32 bytes of the digest.

What a chain can show: an entry that was edited, dropped or moved, by anybody without the key. That the *end* was cut
off, or that the holder of the key wrote the whole log anew, shows only beside something kept elsewhere: any receipt is
such an anchor, for it carries the signed head of its time.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydantic_core
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from utm.errors import StoreError

#: What holds itself is found as what is nested too deeply; keeping account of what one is inside costs a fifth more.
_encode = json.JSONEncoder(
    ensure_ascii=True, allow_nan=False, check_circular=False, sort_keys=True, separators=(",", ":")
).encode


@dataclass(frozen=True, slots=True)
class Head:
    """A position in the log with its proof: what a receipt carries, and what the log's end is held against."""

    seq: int
    digest: str
    """Hex SHA-256 of the entry ``seq``."""
    signature: str = ""
    """Hex Ed25519 signature over the digest; empty only before the first entry."""


#: Where an empty log stands.
GENESIS = Head(0, "0" * 64)


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be written, before it has a place in the chain."""

    at_s: float
    """Unix seconds."""
    kind: str
    subject: str
    """Id of the plan, intent or zone that it is about."""
    body: Mapping[str, Any]
    text: str = ""
    """The body as canonical JSON, by :func:`written`; where it is left out, :func:`seal` makes it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the log, as it is stored."""

    seq: int
    """1, 2, 3 ... without gaps."""
    at_s: float
    kind: str
    subject: str
    text: str
    """The body as canonical JSON: the very characters that are hashed."""
    previous: str
    """Digest of the entry before."""
    digest: str
    signature: str
    _read: Mapping[str, Any] | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def body(self) -> Mapping[str, Any]:
        """The body, read from its text once; not to be changed. Raises StoreError where the text is damaged."""
        if self._read is None:
            try:
                read = parsed(self.text)
            except (TypeError, ValueError, RecursionError) as error:
                raise StoreError(
                    f"entry {self.seq} of the log cannot be read: {error}; run: utm audit verify"
                ) from error
            if not isinstance(read, dict):
                raise StoreError(f"entry {self.seq} of the log is no JSON object; run: utm audit verify")
            object.__setattr__(self, "_read", read)
        return self._read

    @property
    def head(self) -> Head:
        """The head of the log when this entry was its last."""
        return Head(self.seq, self.digest, self.signature)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is not as it was written."""

    seq: int
    """Where in the log."""
    sentence: str


def canonical(value: Any) -> bytes:
    """A JSON value as its one text: keys sorted by code point, no spaces, ASCII, floats by ``repr``.

    ``repr`` of a float is the shortest text that reads back to the same bits. Tuples are arrays. Raises ValueError for
    what JSON has no word for: NaN, infinities, keys that are not text, any other type.
    """
    try:
        text = _encode(value)
        _refuse_keys(value)  # only now: here it is known to end
        return text.encode("ascii")
    except TypeError as error:
        raise ValueError(f"this is not JSON: {error}") from error
    except RecursionError as error:
        raise ValueError("this is nested too deeply for JSON") from error


def parsed(text: str) -> Any:
    """What a text of :func:`canonical` says. Raises TypeError, ValueError or RecursionError where it is no JSON."""
    try:
        return pydantic_core.from_json(text)  # a third of the time of Python's own, which whoever follows a log spends
    except ValueError:
        return json.loads(text)  # reads half a surrogate pair, too, and says better what is wrong


#: Made once: written out where it is used, it is made anew for each number of a body, half of this walk's time.
_NESTED = (dict, list, tuple)


def _refuse_keys(value: Any) -> None:
    # json writes 1, True and None as keys by turning them into text: two bodies would have one digest
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise ValueError(f"a key of a JSON object is text, not {key!r}")
            if isinstance(inner, _NESTED):
                _refuse_keys(inner)
    elif isinstance(value, _NESTED):
        for inner in value:
            if isinstance(inner, _NESTED):
                _refuse_keys(inner)


def _digest(seq: Any, at_s: Any, kind: Any, subject: Any, text: str, previous: Any) -> str:
    """Hex SHA-256 of ``canonical([seq, at_s, kind, subject, body, previous])``; the body's text goes in as it is."""
    before, after = canonical([seq, at_s, kind, subject])[:-1], canonical([previous])[1:]
    return hashlib.sha256(b"%s,%s,%s" % (before, text.encode("utf-8", "surrogatepass"), after)).hexdigest()


class SigningKey:
    """The airspace's Ed25519 key. Its private half never leaves this object but into its file."""

    __slots__ = ("_key", "public")

    def __init__(self, key: Ed25519PrivateKey):
        self._key = key
        #: The public half, 64 hex digits: what receipts and the log are verified with.
        self.public = key.public_key().public_bytes_raw().hex()

    @classmethod
    def generate(cls) -> SigningKey:
        """A new key from the system's randomness."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, path: str | Path) -> SigningKey:
        """Read a key's file (PEM, PKCS 8, no passphrase). Raises StoreError where there is none that can be used."""
        try:
            key = serialization.load_pem_private_key(Path(path).read_bytes(), password=None)
        except OSError as error:
            raise StoreError(f"the airspace's signing key {path} cannot be read: {error.strerror}") from error
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise StoreError(f"{path} is not a signing key without a passphrase; restore it from its copy") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise StoreError(f"{path} is a key of another kind; an airspace signs with Ed25519")
        return cls(key)

    def save(self, path: str | Path) -> None:
        """Write the key's file, readable by its owner alone. Raises StoreError rather than replace a file."""
        text = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        try:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())  # a log whose key was lost with the power can never be written to again
        except OSError as error:
            raise StoreError(f"the signing key cannot be written to {path}: {error.strerror}") from error

    def sign(self, digest: str) -> str:
        """The signature over a hex digest, in hex."""
        return self._key.sign(bytes.fromhex(digest)).hex()


@functools.lru_cache(maxsize=16)
def _public_key(public: str) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))


def verify(public: str, digest: str, signature: str) -> bool:
    """Whether the holder of ``public``'s private half signed this digest. All are hex.

    Raises ValueError when ``public`` is no Ed25519 key; a digest or signature that is no hex is just not signed.
    """
    key = _public_key(public)
    try:
        raw = bytes.fromhex(signature)
        key.verify(raw, bytes.fromhex(digest))
    except (InvalidSignature, TypeError, ValueError):
        return False
    return raw.hex() == signature  # capitals and spaces are hex too, but not what was written


def written(draft: Draft) -> Draft:
    """The same with its text: most of what an entry costs, done before its place in the chain is known. The body is not
    to be changed any more. Raises ValueError when it is not JSON."""
    if not isinstance(draft.body, dict):
        raise ValueError(f"the body of an entry is a JSON object, not {type(draft.body).__name__}")
    return Draft(draft.at_s, draft.kind, draft.subject, draft.body, canonical(draft.body).decode("ascii"))


def seal(previous: Head, draft: Draft, key: SigningKey) -> Entry:
    """The draft as the entry after ``previous``. Raises ValueError when the draft is not JSON, or has no time."""
    text = draft.text or written(draft).text
    for word in (draft.kind, draft.subject):
        # PostgreSQL keeps no NUL in a text, and half a surrogate pair has no UTF-8
        if not isinstance(word, str) or "\0" in word or any("\ud800" <= sign <= "\udfff" for sign in word):
            raise ValueError(f"kind and subject of an entry are text without NUL and lone surrogates, not {word!r}")
    seq, at_s = previous.seq + 1, float(draft.at_s) + 0.0  # SQLite keeps no sign of -0.0, and the sum has none
    digest = _digest(seq, at_s, draft.kind, draft.subject, text, previous.digest)
    return Entry(seq, at_s, draft.kind, draft.subject, text, previous.digest, digest, key.sign(digest))


def faults(
    entries: Iterable[Entry], public: str, *, head: Head | None = None, receipts: Iterable[Head] = ()
) -> list[Fault]:
    """Everything in a whole log, from its first entry on, that is not as the holder of the key wrote it.

    Args:
        entries: in the order in which they are stored; may be a stream of any length.
        public: the airspace's public key, from where the verifier trusts it, not from the log.
        head: the head that the database keeps apart from the log. Whoever can cut the log can set it back, too.
        receipts: heads that others hold; what they speak of must still be there, the same to the byte.

    Returns:
        Faults in the order of the log; none when all is well. Raises ValueError when ``public`` is no key.
    """
    found: list[Fault] = []
    anchors: dict[int, list[tuple[str, Head]]] = {}
    for name, anchor in (("the head", head), *(("a receipt", receipt) for receipt in receipts)):
        if anchor is None or anchor == GENESIS:
            continue
        if verify(public, anchor.digest, anchor.signature):
            anchors.setdefault(anchor.seq, []).append((name, anchor))
        else:
            found.append(
                Fault(anchor.seq, f"{name} that names entry {anchor.seq} is not signed with the airspace's key")
            )

    last = GENESIS
    for entry in entries:
        found.extend(Fault(entry.seq, sentence) for sentence in _wrong_in(entry, last, public))
        found.extend(
            Fault(entry.seq, f"entry {entry.seq} is not the one that {name} names: the log was written anew")
            for name, anchor in anchors.pop(entry.seq, ())
            if anchor.digest != entry.digest
        )
        if entry.seq > last.seq:
            last = entry.head
    found.extend(
        Fault(seq, f"the log ends at entry {last.seq}, but {name} names entry {seq}: its end was cut off")
        for seq, names in anchors.items()
        for name, _ in names
        if seq > last.seq
    )
    return sorted(found, key=lambda fault: fault.seq)


def _wrong_in(entry: Entry, last: Head, public: str) -> Iterator[str]:
    """Sentences on one entry; ``last`` is the farthest that the log got before it."""
    seq = entry.seq
    if seq <= last.seq:
        yield f"entry {seq} stands after entry {last.seq}: the log was reordered, or an entry repeated"
    elif seq > last.seq + 1:
        lost = f"entry {seq - 1} is" if seq == last.seq + 2 else f"entries {last.seq + 1} to {seq - 1} are"
        yield f"{lost} missing before entry {seq}"
    elif entry.previous != last.digest:
        yield f"entry {seq} does not follow on the entry before it as that stands: one of them was edited or replaced"
    try:
        digest = _digest(seq, entry.at_s, entry.kind, entry.subject, entry.text, entry.previous)
    except (AttributeError, ValueError):  # a field of another type than was ever written
        digest = None
    if digest != entry.digest:
        yield f"entry {seq} is not what its digest says: it was edited"
    if not verify(public, entry.digest, entry.signature):
        yield f"entry {seq} is not signed with the airspace's key"
