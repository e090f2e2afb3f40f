"""One vehicle's end of a MAVLink 2 link over UDP on loopback."""

from __future__ import annotations

import socket
from typing import Any

from pymavlink.dialects.v20 import common as mavlink

Address = tuple[str, int]
_HOST = "127.0.0.1"
_LARGEST_DATAGRAM = 65535


class UdpLink:
    """Sends from one loopback port; streams to one configured peer, answers go to whoever asked.

    ``dropped`` is a fault hook: while it is set nothing goes out and what comes in is thrown away.
    """

    def __init__(self, port: int, peer_port: int, system_id: int, component_id: int = 1):
        """Args:
        port: where the vehicle listens and sends from; 0 for any free one.
        peer_port: where the streams go, whether anyone listens or not.

        Raises:
            OSError: the port is taken.
        """
        self.dropped = False
        self.peer: Address = (_HOST, peer_port)
        self._codec = mavlink.MAVLink(None, srcSystem=system_id, srcComponent=component_id)
        self._codec.robust_parsing = True
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self.socket.setblocking(False)
            self.socket.bind((_HOST, port))
        except OSError as error:
            self.socket.close()
            raise OSError(
                error.errno, f"UDP port {port} on {_HOST} is taken: is another vehicle running? ({error.strerror})"
            ) from error

    @property
    def port(self) -> int:
        """The local port."""
        return self.socket.getsockname()[1]

    def send(self, message: Any, address: Address | None = None) -> None:
        """Send a message to an address, by default to the peer. What cannot be delivered is lost, as on a radio."""
        data = message.pack(self._codec)
        # As MAVLink._send does, which would write to a file.
        self._codec.seq = (self._codec.seq + 1) % 256
        if self.dropped:
            return
        try:
            self.socket.sendto(data, address or self.peer)
        except (BlockingIOError, ConnectionRefusedError):
            return

    def receive(self) -> list[tuple[Any, Address]]:
        """Everything that has arrived: messages and who sent them."""
        received: list[tuple[Any, Address]] = []
        while True:
            try:
                data, address = self.socket.recvfrom(_LARGEST_DATAGRAM)
            except BlockingIOError:
                return received
            except ConnectionRefusedError:  # the peer's port was closed when we last sent
                continue
            if not self.dropped:
                received.extend((message, address) for message in self._codec.parse_buffer(data) or ())

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()
