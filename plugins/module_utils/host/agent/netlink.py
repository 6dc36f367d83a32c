# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Events of the kernel: rtnetlink for interfaces, ethtool's generic netlink for their rings, channels and so on, and
uevents for RDMA devices, which may come long after their interface (drivers/infiniband/core/device.c sends them when
the device can be used).

Layouts: include/uapi/linux/{netlink,rtnetlink,if_link,genetlink,ethtool_netlink}.h of the kernel, in host byte order.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_NETLINK_KOBJECT_UEVENT = 15
_NETLINK_GENERIC = 16
_SOL_NETLINK = 270
_NETLINK_ADD_MEMBERSHIP = 1
_RTMGRP_LINK = 1
_UEVENTS_OF_THE_KERNEL = 1  # what udev makes of them is in group 2

_NLMSG_ERROR = 2
_RTM_NEWLINK = 16
_RTM_DELLINK = 17
_IFLA_IFNAME = 3
_AF_UNSPEC = 0

_NLM_F_REQUEST = 1
_GENL_ID_CTRL = 16
_CTRL_CMD_GETFAMILY = 3
_CTRL_ATTR_FAMILY_ID = 1
_CTRL_ATTR_FAMILY_NAME = 2
_CTRL_ATTR_MCAST_GROUPS = 7
_CTRL_ATTR_MCAST_GRP_NAME = 1
_CTRL_ATTR_MCAST_GRP_ID = 2
# Every notification of ethtool has its header as the first attribute, with the index and the name of the device.
_ETHTOOL_A_HEADER = 1
_ETHTOOL_A_HEADER_DEV_INDEX = 1
_ETHTOOL_A_HEADER_DEV_NAME = 2

_HEADER = struct.Struct("=IHHII")
_LINK = struct.Struct("=BxHiII")
_GENERIC = struct.Struct("=BBH")
_ATTRIBUTE = struct.Struct("=HH")
_TYPE = 0x3FFF  # without the flags for nested and for network byte order
_BUFFER_BYTES = 1 << 20


@dataclass(frozen=True)
class Event:
    """Something happened to an interface. ``kind``: ``link``, ``gone``, ``settings``; ``rdma`` when an RDMA device came
    or got another name, which is the name then; or ``lost`` when the kernel had to drop events (no name then). The last
    two have index 0."""

    kind: str
    index: int = 0
    name: str = ""


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and body of each message of a datagram; what is cut off ends it."""
    while len(data) >= _HEADER.size:
        length, kind, *_rest = _HEADER.unpack_from(data)
        if length < _HEADER.size or length > len(data):
            return
        yield kind, data[_HEADER.size : length]
        data = data[_aligned(length) :]


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and value of each attribute; what is cut off ends it."""
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        if length < _ATTRIBUTE.size or length > len(data):
            return
        yield kind & _TYPE, data[_ATTRIBUTE.size : length]
        data = data[_aligned(length) :]


def _aligned(length: int) -> int:
    return (length + 3) & ~3


def _text(value: bytes) -> str:
    return value.split(b"\0")[0].decode("utf-8", errors="replace")


def parse_links(data: bytes) -> list[Event]:
    """Events of a datagram of rtnetlink. Those of another family (a bridge's view of its port) are none."""
    found = []
    for kind, body in messages(data):
        if kind not in (_RTM_NEWLINK, _RTM_DELLINK) or len(body) < _LINK.size:
            continue
        family, _hardware, index, _flags, _change = _LINK.unpack_from(body)
        if family == _AF_UNSPEC:
            name = dict(attributes(body[_LINK.size :])).get(_IFLA_IFNAME, b"")
            found.append(Event("link" if kind == _RTM_NEWLINK else "gone", index, _text(name)))
    return found


def parse_ethtool(data: bytes, family: int) -> list[Event]:
    """Events of a datagram of ethtool's monitor group; ``family`` is its number on this host."""
    found = []
    for kind, body in messages(data):
        if kind != family or len(body) < _GENERIC.size:
            continue
        header = dict(attributes(dict(attributes(body[_GENERIC.size :])).get(_ETHTOOL_A_HEADER, b"")))
        index = header.get(_ETHTOOL_A_HEADER_DEV_INDEX, b"")
        if len(index) == 4:
            name = _text(header.get(_ETHTOOL_A_HEADER_DEV_NAME, b""))
            found.append(Event("settings", int(struct.unpack("=I", index)[0]), name))
    return found


def parse_uevent(data: bytes) -> list[Event]:
    """An RDMA device that came, or was renamed, as udev does; other uevents are none.

    Layout: ``ACTION@DEVPATH`` and then ``KEY=VALUE`` texts with a zero byte after each (lib/kobject_uevent.c).
    """
    said = dict(_text(field).partition("=")[::2] for field in data.split(b"\0")[1:])
    if said.get("SUBSYSTEM") != "infiniband" or said.get("ACTION") not in ("add", "move"):
        return []
    return [Event("rdma", 0, said.get("DEVPATH", "").rpartition("/")[2])]


def family_request(name: str) -> bytes:
    """The question for a generic netlink family."""
    value = name.encode("ascii") + b"\0"
    attribute = _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), _CTRL_ATTR_FAMILY_NAME) + value
    attribute += bytes(_aligned(len(attribute)) - len(attribute))
    body = _GENERIC.pack(_CTRL_CMD_GETFAMILY, 1, 0) + attribute
    return _HEADER.pack(_HEADER.size + len(body), _GENL_ID_CTRL, _NLM_F_REQUEST, 1, 0) + body


def parse_family(data: bytes) -> tuple[int, dict[str, int]]:
    """Number of the family and of its groups by name; OSError with the kernel's reason when there is none."""
    for kind, body in messages(data):
        if kind == _NLMSG_ERROR and len(body) >= 4:
            code = -struct.unpack_from("=i", body)[0]
            raise OSError(code, os.strerror(code))
        if kind == _GENL_ID_CTRL:
            found = dict(attributes(body[_GENERIC.size :]))
            groups = [dict(attributes(one)) for _place, one in attributes(found.get(_CTRL_ATTR_MCAST_GROUPS, b""))]
            numbers = {
                _text(group[_CTRL_ATTR_MCAST_GRP_NAME]): int(struct.unpack("=I", group[_CTRL_ATTR_MCAST_GRP_ID])[0])
                for group in groups
            }
            return int(struct.unpack("=H", found[_CTRL_ATTR_FAMILY_ID])[0]), numbers
    raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))


class Listener:
    """All sources of events. ``missing`` says why one is not there, and what that means: Linux has ethtool's from 5.6
    on, and a container may have neither its nor uevents."""

    def __init__(self) -> None:
        self.sockets: list[socket.socket] = []
        self.missing: list[str] = []
        self._parse: dict[socket.socket, Callable[[bytes], list[Event]]] = {}
        links = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        links.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        links.bind((0, _RTMGRP_LINK))
        self._add(links, parse_links)
        settings = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_GENERIC)
        try:
            settings.bind((0, 0))
            settings.settimeout(5)
            settings.send(family_request("ethtool"))
            family, groups = parse_family(settings.recv(_BUFFER_BYTES))
            settings.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, groups["monitor"])
            self._add(settings, lambda data: parse_ethtool(data, family))
        except (OSError, KeyError) as error:
            settings.close()
            self.missing.append(
                f"no events of ethtool ({error}); rings and channels are looked at when the link changes"
            )
        try:
            uevents = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_KOBJECT_UEVENT)
            uevents.bind((0, _UEVENTS_OF_THE_KERNEL))
            self._add(uevents, parse_uevent)
        except OSError as error:
            self.missing.append(f"no uevents ({error}); an RDMA device that comes later is seen when the link changes")

    def _add(self, source: socket.socket, parse: Callable[[bytes], list[Event]]) -> None:
        source.setblocking(False)
        self.sockets.append(source)
        self._parse[source] = parse

    def receive(self, ready: socket.socket) -> list[Event]:
        """The events that wait in one of the sockets; ``lost`` where the kernel had no room for all of them."""
        found: list[Event] = []
        while True:
            try:
                data = ready.recv(_BUFFER_BYTES)
            except BlockingIOError:
                return found
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                found.append(Event("lost"))
                continue
            found += self._parse[ready](data)

    def close(self) -> None:
        """Give the sockets back."""
        for one in self.sockets:
            one.close()
