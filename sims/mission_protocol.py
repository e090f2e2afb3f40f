"""The vehicle's side of the MAVLink mission protocol: upload, download, clearing, for mission, fence and rally.

A list is stored whole or not at all: the old one stays until the last new item has arrived. MISSION_ACK with
MAV_MISSION_ACCEPTED means that the list is stored; whether it comes into force is decided later and elsewhere.
The clock here is the wall clock, because the ground station at the other end does not run faster.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pymavlink.dialects.v20 import common as mavlink

from sims.mission import ALL, CAPACITY, FENCE, MISSION, RALLY, Item, identity, take_in

Address = tuple[str, int]
_RELATIVE = {mavlink.MAV_FRAME_GLOBAL_RELATIVE_ALT_INT: mavlink.MAV_FRAME_GLOBAL_RELATIVE_ALT}


@dataclass(slots=True)
class _Transfer:
    kind: int
    partner: tuple[int, int]
    """System and component at the other end."""
    address: Address
    receiving: bool
    count: int
    heard_s: float
    asked_s: float
    next: int = 0
    integers: bool = True
    items: list[Item] | None = None


class MissionServer:
    """Holds the three lists and speaks the protocol; tells its owner through ``stored`` when a list has changed."""

    def __init__(
        self,
        send: Callable[[Any, Address | None], None],
        say: Callable[[int, str], None],
        stored: Callable[[int], None],
        timeout_s: float = 5.0,
        retry_s: float = 0.25,
    ):
        """Args:
        send: sends a message to an address.
        say: sends a STATUSTEXT: severity, text.
        stored: called with the mission type after a list was replaced.
        timeout_s: a transfer in which nothing was heard for so long is given up.
        retry_s: an item that did not come is asked for again after so long.
        """
        self.lists: dict[int, list[Item]] = {MISSION: [], FENCE: [], RALLY: []}
        self.current = 0
        self._send, self._say, self._stored = send, say, stored
        self._timeout_s, self._retry_s = timeout_s, retry_s
        self._transfer: _Transfer | None = None
        self._finished: _Transfer | None = None

    @property
    def busy(self) -> bool:
        """Whether a transfer is under way."""
        return self._transfer is not None

    def tick(self, now_s: float) -> None:
        """Ask again for what is missing, give up what died."""
        transfer = self._transfer
        if transfer is None:
            return
        if now_s - transfer.heard_s > self._timeout_s:
            self._transfer = None
            self._say(mavlink.MAV_SEVERITY_CRITICAL, "Mission sync timeout")
        elif now_s - transfer.asked_s > self._retry_s:
            if transfer.receiving:
                self._ask(transfer, now_s)
            elif transfer.next == 0:
                self._announce(transfer, now_s)

    def handle(self, message: Any, address: Address, now_s: float) -> bool:
        """Deal with a received message; whether it was one of this protocol."""
        handler = {
            "MISSION_COUNT": self._on_count,
            "MISSION_ITEM_INT": self._on_item,
            "MISSION_ITEM": self._on_item,
            "MISSION_REQUEST_LIST": self._on_request_list,
            "MISSION_REQUEST_INT": self._on_request,
            "MISSION_REQUEST": self._on_request,
            "MISSION_ACK": self._on_ack,
            "MISSION_CLEAR_ALL": self._on_clear,
        }.get(message.get_type())
        if handler is None:
            return False
        handler(message, address, now_s)
        return True

    def _ack(self, message: Any, address: Address, kind: int, result: int) -> None:
        reply = mavlink.MAVLink_mission_ack_message(message.get_srcSystem(), message.get_srcComponent(), result, kind)
        self._send(reply, address)

    def _on_count(self, message: Any, address: Address, now_s: float) -> None:
        partner = (message.get_srcSystem(), message.get_srcComponent())
        kind, running = message.mission_type, self._transfer
        if running is not None:
            if running.receiving and running.partner == partner and running.kind == kind and running.next == 0:
                running.heard_s = now_s  # our first request was lost: the count came again
                self._ask(running, now_s)
                return
            self._say(mavlink.MAV_SEVERITY_CRITICAL, "WPM: REJ. CMD: Busy")
            self._ack(message, address, kind, mavlink.MAV_MISSION_ERROR)
            return
        if kind not in CAPACITY:
            self._ack(message, address, kind, mavlink.MAV_MISSION_INVALID)
        elif message.count > CAPACITY[kind]:
            self._ack(message, address, kind, mavlink.MAV_MISSION_NO_SPACE)
        elif message.count == 0:
            self._replace(kind, [])
            self._ack(message, address, kind, mavlink.MAV_MISSION_ACCEPTED)
        else:
            self._transfer = _Transfer(kind, partner, address, True, message.count, now_s, now_s, items=[])
            self._ask(self._transfer, now_s)

    def _ask(self, transfer: _Transfer, now_s: float) -> None:
        transfer.asked_s = now_s
        request = (
            mavlink.MAVLink_mission_request_int_message
            if transfer.integers
            else mavlink.MAVLink_mission_request_message
        )
        self._send(request(*transfer.partner, transfer.next, transfer.kind), transfer.address)

    def _on_item(self, message: Any, address: Address, now_s: float) -> None:
        transfer, partner = self._transfer, (message.get_srcSystem(), message.get_srcComponent())
        if transfer is None:
            done = self._finished
            if done is not None and done.partner == partner and message.seq == done.count - 1:
                # The last acknowledgement was lost and the last item came again.
                self._ack(message, address, done.kind, mavlink.MAV_MISSION_ACCEPTED)
                return
            self._say(mavlink.MAV_SEVERITY_CRITICAL, "IGN MISSION_ITEM: No transfer")
            self._ack(message, address, message.mission_type, mavlink.MAV_MISSION_ERROR)
            return
        if not transfer.receiving or transfer.partner != partner or transfer.kind != message.mission_type:
            self._say(mavlink.MAV_SEVERITY_CRITICAL, "IGN MISSION_ITEM: Busy")
            self._ack(message, address, message.mission_type, mavlink.MAV_MISSION_ERROR)
            return
        transfer.heard_s = now_s
        if message.seq != transfer.next or transfer.items is None:
            return  # a duplicate, or one that overtook another
        transfer.integers = message.get_type() == "MISSION_ITEM_INT"
        item, result = take_in(message, transfer.kind)
        if item is None:
            self._transfer = None
            self._say(mavlink.MAV_SEVERITY_CRITICAL, "IGN MISSION_ITEM: Invalid item")
            self._ack(message, address, transfer.kind, result)
            return
        transfer.items.append(item)
        transfer.next += 1
        if transfer.next < transfer.count:
            self._ask(transfer, now_s)
            return
        self._transfer, self._finished = None, transfer
        self._replace(transfer.kind, transfer.items)
        self._ack(message, address, transfer.kind, mavlink.MAV_MISSION_ACCEPTED)

    def _replace(self, kind: int, items: list[Item]) -> None:
        if items and identity(items) == identity(self.lists[kind]):
            return  # as PX4: the same list again changes nothing, and is not judged again either
        self.lists[kind] = items
        if kind == MISSION:
            self.current = 0
        self._stored(kind)

    def _on_request_list(self, message: Any, address: Address, now_s: float) -> None:
        partner = (message.get_srcSystem(), message.get_srcComponent())
        kind, running = message.mission_type, self._transfer
        if running is not None and (running.receiving or (running.next < running.count and running.partner != partner)):
            self._say(mavlink.MAV_SEVERITY_INFO, "Mission download request ignored, already active")
            return
        if kind not in CAPACITY:
            self._ack(message, address, kind, mavlink.MAV_MISSION_INVALID)
            return
        self._transfer = _Transfer(kind, partner, address, False, len(self.lists[kind]), now_s, now_s)
        self._announce(self._transfer, now_s)

    def _announce(self, transfer: _Transfer, now_s: float) -> None:
        transfer.asked_s = now_s
        count = mavlink.MAVLink_mission_count_message(*transfer.partner, transfer.count, transfer.kind)
        self._send(count, transfer.address)
        if transfer.count == 0:
            self._transfer = None  # nothing will be asked for

    def _on_request(self, message: Any, address: Address, now_s: float) -> None:
        transfer, partner = self._transfer, (message.get_srcSystem(), message.get_srcComponent())
        if transfer is None or transfer.kind != message.mission_type:
            return
        if transfer.receiving or transfer.partner != partner:
            self._say(mavlink.MAV_SEVERITY_CRITICAL, "WPM: REJ. CMD: Busy")
            return
        transfer.heard_s = now_s
        if message.seq >= transfer.count or message.seq not in (transfer.next, transfer.next - 1):
            self._transfer = None
            self._ack(message, address, transfer.kind, mavlink.MAV_MISSION_ERROR)
            self._say(mavlink.MAV_SEVERITY_CRITICAL, "WPM: REJ. CMD: Req. WP was unexpected")
            return
        transfer.next = message.seq + 1
        item = self.lists[transfer.kind][message.seq]
        current = int(transfer.kind == MISSION and message.seq == self.current)
        integers = message.get_type() == "MISSION_REQUEST_INT"
        self._send(_as_message(item, transfer.partner, message.seq, current, transfer.kind, integers), address)

    def _on_ack(self, message: Any, _address: Address, _now_s: float) -> None:
        transfer = self._transfer
        if transfer is None or transfer.partner != (message.get_srcSystem(), message.get_srcComponent()):
            return
        if not transfer.receiving or message.type == mavlink.MAV_MISSION_OPERATION_CANCELLED:
            self._transfer = None

    def _on_clear(self, message: Any, address: Address, _now_s: float) -> None:
        if self._transfer is not None:
            self._say(mavlink.MAV_SEVERITY_CRITICAL, "WPM: IGN CLEAR CMD: Busy")
            return
        kind = message.mission_type
        if kind != ALL and kind not in CAPACITY:
            self._ack(message, address, kind, mavlink.MAV_MISSION_INVALID)
            return
        for one in CAPACITY if kind == ALL else (kind,):
            self._replace(one, [])
        self._ack(message, address, kind, mavlink.MAV_MISSION_ACCEPTED)


def _as_message(item: Item, partner: tuple[int, int], seq: int, current: int, kind: int, integers: bool) -> Any:
    head = (*partner, seq)
    tail = (item.command, current, item.autocontinue, item.param1, item.param2, item.param3, item.param4)
    if integers:
        return mavlink.MAVLink_mission_item_int_message(*head, item.frame, *tail, item.x, item.y, item.z, kind)
    x, y = (item.x * 1e-7, item.y * 1e-7) if item.has_place else (float(item.x), float(item.y))
    frame = {mavlink.MAV_FRAME_GLOBAL_INT: mavlink.MAV_FRAME_GLOBAL, **_RELATIVE}.get(item.frame, item.frame)
    return mavlink.MAVLink_mission_item_message(*head, frame, *tail, x, y, item.z, kind)
