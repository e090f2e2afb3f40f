"""The chain of the log: whatever is done to it without the key is found, and named."""

from __future__ import annotations

import dataclasses
import json
import math
import stat
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utm.airspace.ledger import GENESIS, Draft, Entry, Fault, Head, SigningKey, canonical, faults, parsed, seal, verify
from utm.errors import StoreError

KEY = SigningKey.generate()
STRANGER = SigningKey.generate()


def chain(count: int, key: SigningKey = KEY, start: Head = GENESIS) -> list[Entry]:
    entries: list[Entry] = []
    for number in range(count):
        draft = Draft(1000.5 + number, "decision", f"plan-{number}", {"n": number, "t_s": [0.1, 2.5e9], "名": "空"})
        entries.append(seal(entries[-1].head if entries else start, draft, key))
    return entries


LOG = chain(6)


def found(entries: list[Entry], **anchors: object) -> list[Fault]:
    return faults(entries, KEY.public, **anchors)


# --- the text that is hashed ---------------------------------------------------------------------------------

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(values)
def test_canonical_text_reads_back_the_same_and_is_the_only_one(value):
    text = canonical(value)
    read = json.loads(text)
    assert repr(parsed(text.decode("ascii"))) == repr(read)  # to the bit
    assert read == value
    assert canonical(read) == text
    assert text.isascii()


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), st.integers(), min_size=2))
def test_the_order_of_keys_does_not_matter(value):
    assert canonical(dict(reversed(value.items()))) == canonical(value)


def test_canonical_text_as_agreed():
    assert canonical({"b": [1, 2.0, 0.1, -0.0, 1e22], "a": {"ä": None, "x": True}}) == (
        b'{"a":{"x":true,"\\u00e4":null},"b":[1,2.0,0.1,-0.0,1e+22]}'
    )
    assert canonical((1, (2,))) == canonical([1, [2]])
    assert canonical(np.float64(0.1)) == b"0.1"  # it is a float


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        {"a": [-math.inf]},
        {1: "a"},
        {"a": [{None: 1}]},
        {"a": {True: 1}},
        {"a": {1, 2}},
        b"bytes",
        np.int64(1),
        np.zeros(2),
        {"a": object()},
        Path("/"),
    ],
    ids=repr,
)
def test_what_json_has_no_word_for_is_refused(value):
    with pytest.raises(ValueError):
        canonical(value)


def test_a_value_within_itself_or_nested_without_end_is_refused():
    within: list = []
    within.append(within)
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    for value in (within, deep):
        with pytest.raises(ValueError, match=r"nested|Circular"):
            canonical(value)


# --- sealing -------------------------------------------------------------------------------------------------


def test_an_entry_is_what_the_contract_says():
    import hashlib

    previous = GENESIS
    for number, entry in enumerate(LOG):
        assert entry.seq == number + 1
        assert entry.previous == previous.digest
        whole = [entry.seq, entry.at_s, entry.kind, entry.subject, entry.body, entry.previous]
        assert entry.digest == hashlib.sha256(canonical(whole)).hexdigest()
        assert verify(KEY.public, entry.digest, entry.signature)
        assert not verify(STRANGER.public, entry.digest, entry.signature)
        previous = entry.head


def test_a_whole_number_of_seconds_hashes_as_the_float_that_the_database_gives_back():
    one, other = (seal(GENESIS, Draft(at_s, "k", "s", {}), KEY) for at_s in (5, 5.0))
    assert one.digest == other.digest
    assert found([one]) == []


@pytest.mark.parametrize(
    "draft",
    [
        Draft(math.nan, "k", "s", {}),
        Draft(0.0, "k", "s", {"a": math.inf}),
        Draft(0.0, "k", "nul\0", {}),
        Draft(0.0, "half \ud800", "s", {}),
        Draft(0.0, "k", "s", ["no", "object"]),  # type: ignore[arg-type]
        Draft(0.0, "k", 5, {}),  # type: ignore[arg-type]
    ],
    ids=["no time", "infinity", "NUL", "surrogate", "array", "number as subject"],
)
def test_a_draft_that_cannot_be_kept_is_refused(draft):
    with pytest.raises(ValueError):
        seal(GENESIS, draft, KEY)


def test_a_damaged_body_says_so():
    for text in ("{", "[]", "", None):
        with pytest.raises(StoreError, match="audit verify"):
            _ = dataclasses.replace(LOG[0], text=text).body


# --- tampering -----------------------------------------------------------------------------------------------


def test_an_honest_log_has_no_faults():
    assert found([]) == []
    assert found(LOG) == []
    assert found(LOG, head=LOG[-1].head, receipts=[entry.head for entry in LOG]) == []
    assert found([], head=GENESIS) == []
    assert faults(iter(LOG), KEY.public, head=LOG[-1].head) == []


FIELDS = {
    "seq": [0, 99, -1],
    "at_s": [1.0, math.nan, None, "then"],
    "kind": ["state", "", None],
    "subject": ["plan-77", "plan-1 ", None, 5],
    "text": ["{}", "", None, b"{}"],
    "previous": ["1" * 64, "", None],
    "digest": ["0" * 64, "not hex", None],
    "signature": ["", "00" * 64, "not hex", None],
}


@pytest.mark.parametrize("place", range(len(LOG)))
@pytest.mark.parametrize(("name", "value"), [(name, value) for name, several in FIELDS.items() for value in several])
def test_an_edited_field_is_found_at_its_entry(place, name, value):
    edited = [*LOG]
    edited[place] = dataclasses.replace(LOG[place], **{name: value})
    wrong = found(edited, head=LOG[-1].head)
    # A changed number is missed at its old place, and out of line at its new one
    assert {fault.seq for fault in wrong} & {place + 1, place + 2, edited[place].seq}
    assert all(fault.sentence for fault in wrong)


@pytest.mark.parametrize("name", ["previous", "digest", "signature"])
def test_hex_in_capitals_or_with_spaces_is_an_edit(name):
    for changed in (str.upper, lambda text: f"{text[:2]} {text[2:]}"):
        edited = [*LOG[:-1], dataclasses.replace(LOG[-1], **{name: changed(getattr(LOG[-1], name))})]
        assert {fault.seq for fault in found(edited)} == {6}


def test_a_text_that_means_the_same_is_still_an_edit():
    spaced = dataclasses.replace(LOG[2], text=LOG[2].text.replace(",", ", ", 1))
    assert spaced.body == LOG[2].body
    assert [fault.seq for fault in found([*LOG[:2], spaced, *LOG[3:]])] == [3]


@pytest.mark.parametrize("place", range(len(LOG) - 1))
def test_a_dropped_entry_is_missed(place):
    (fault,) = found([*LOG[:place], *LOG[place + 1 :]])
    assert "missing" in fault.sentence
    assert str(place + 1) in fault.sentence


@pytest.mark.parametrize("place", range(len(LOG) - 1))
def test_entries_that_changed_places_are_found(place):
    moved = [*LOG]
    moved[place], moved[place + 1] = moved[place + 1], moved[place]
    assert any("reordered" in fault.sentence for fault in found(moved))


def test_a_repeated_entry_is_found():
    assert [fault.seq for fault in found([*LOG[:3], LOG[2], *LOG[3:]])] == [3]


@pytest.mark.parametrize("kept", range(len(LOG)))
@pytest.mark.parametrize("anchor", ["head", "receipt"])
def test_an_end_cut_off_is_found_beside_an_anchor(kept, anchor):
    assert found(LOG[:kept]) == []  # alone it is a log like any other: nothing in it can say what came after
    anchors = {"head": LOG[-1].head} if anchor == "head" else {"receipts": [LOG[0].head, LOG[-1].head]}
    wrong = found(LOG[:kept], **anchors)
    assert any(fault.seq == 6 and "cut off" in fault.sentence for fault in wrong)


def test_an_end_cut_off_is_found_when_the_head_was_set_back_too():
    assert found(LOG[:4], head=LOG[3].head) == []
    assert found(LOG[:4], head=LOG[3].head, receipts=[LOG[4].head])


@pytest.mark.parametrize("place", range(len(LOG)))
def test_a_log_chained_anew_by_somebody_without_the_key_is_found(place):
    """From one entry on all is written anew, with right digests, signed with another key or with old signatures."""
    start = LOG[place - 1].head if place else GENESIS
    forged = [*LOG[:place], *chain(len(LOG) - place, STRANGER, start)]
    assert {fault.seq for fault in found(forged)} == set(range(place + 1, 7))
    kept = [dataclasses.replace(fake, signature=real.signature) for fake, real in zip(forged, LOG, strict=True)]
    changed = {fake.seq for fake, real in zip(forged, LOG, strict=True) if fake.digest != real.digest}
    assert {fault.seq for fault in found(kept)} == changed


def test_a_log_written_anew_with_the_key_is_found_by_an_old_receipt():
    other = [seal(GENESIS, Draft(0.0, "decision", "other", {}), KEY)]
    assert found(other) == []
    (fault,) = found(other, receipts=[LOG[0].head])
    assert "written anew" in fault.sentence


def test_an_anchor_that_the_airspace_never_signed_accuses_nobody():
    forged = Head(9, "ab" * 32, STRANGER.sign("ab" * 32))
    (fault,) = found(LOG, receipts=[forged])
    assert "not signed" in fault.sentence
    (fault,) = found(LOG, head=dataclasses.replace(LOG[-1].head, digest=LOG[0].digest))
    assert "not signed" in fault.sentence


def test_a_public_key_that_is_none_is_refused():
    for public in ("", "zz", "00"):
        with pytest.raises(ValueError):
            faults(LOG, public)


@settings(max_examples=200)
@given(st.data())
def test_whatever_is_done_to_the_stored_log_is_found(data):
    """Any sequence of entries but a beginning of the log itself has a fault; a beginning has one by the head."""
    entries = data.draw(st.lists(st.sampled_from(LOG), max_size=8))
    if entries and data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(entries) - 1))
        name = data.draw(st.sampled_from(["text", "kind", "subject", "previous", "digest", "signature"]))
        old = getattr(entries[place], name)
        at = data.draw(st.integers(0, len(old) - 1))
        new = data.draw(st.characters(min_codepoint=32, max_codepoint=126))
        entries[place] = dataclasses.replace(entries[place], **{name: old[:at] + new + old[at + 1 :]})
    honest = entries == LOG[: len(entries)]
    assert bool(found(entries)) != honest
    assert bool(found(entries, head=LOG[-1].head)) == (entries != LOG)


# --- the key's file ------------------------------------------------------------------------------------------


def test_a_key_is_kept_for_its_owner_alone_and_read_back(tmp_path):
    KEY.save(tmp_path / "key")
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    read = SigningKey.load(tmp_path / "key")
    assert read.public == KEY.public
    assert read.sign("ab" * 32) == KEY.sign("ab" * 32)  # Ed25519 is deterministic
    assert "PRIVATE" not in repr(read)


def test_a_key_replaces_no_file(tmp_path):
    KEY.save(tmp_path / "key")
    with pytest.raises(StoreError, match="exists"):
        STRANGER.save(tmp_path / "key")
    assert SigningKey.load(tmp_path / "key").public == KEY.public


def test_a_key_that_cannot_be_used_says_why(tmp_path):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey

    with pytest.raises(StoreError, match="No such file"):
        SigningKey.load(tmp_path / "gone")
    (tmp_path / "garbage").write_bytes(b"no key")
    with pytest.raises(StoreError, match="not a signing key"):
        SigningKey.load(tmp_path / "garbage")
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    other = Ed448PrivateKey.generate()
    (tmp_path / "other").write_bytes(other.private_bytes(pem, form, serialization.NoEncryption()))
    with pytest.raises(StoreError, match="another kind"):
        SigningKey.load(tmp_path / "other")
    (tmp_path / "locked").write_bytes(other.private_bytes(pem, form, serialization.BestAvailableEncryption(b"secret")))
    with pytest.raises(StoreError, match="passphrase"):
        SigningKey.load(tmp_path / "locked")
