# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Maintenance windows, and whether a host may be disturbed now (rebooted, or one of its NICs bounced).

A window is ``[days] HH:MM-HH:MM zone``: ``22:00-06:00 UTC``, ``Sat,Sun 00:00-24:00 UTC``,
``Mon-Fri 21:30-05:00 -05:00``.
The zone is UTC or an offset from it, never a name: the days on which clocks change must not depend on the time zone
data of a host. Days and times are those of the zone. A window that ends on the next day belongs to the day on which it
begins. The beginning is in the window, the end is not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from .errors import HostError
from .part import Wanted
from .system import System
from .workload import find_trading

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY_MINUTES = 24 * 60
_NEXT_STEP = "write it as '22:00-06:00 UTC' or 'Sat,Sun 00:00-24:00 +01:00'"
_FORM = re.compile(r"(?:([A-Za-z,-]+)\s+)?(\d\d):(\d\d)-(\d\d):(\d\d)\s+(UTC|Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True)
class Window:
    """Minutes since midnight of the zone, which is ``offset_minutes`` east of UTC; ``days`` are 0 (Monday) to 6."""

    days: frozenset[int]
    begin_minute: int
    end_minute: int
    offset_minutes: int

    def contains(self, now: datetime) -> bool:
        """Whether the window is open at that time, which has to know its zone."""
        local = now.astimezone(timezone.utc) + timedelta(minutes=self.offset_minutes)
        minute, day = local.hour * 60 + local.minute, local.weekday()
        if self.begin_minute < self.end_minute:
            return day in self.days and self.begin_minute <= minute < self.end_minute
        return (day in self.days and minute >= self.begin_minute) or (
            (day - 1) % 7 in self.days and minute < self.end_minute
        )


@dataclass(frozen=True)
class Judgement:
    """Whether the host may be disturbed now, why, and who trades on it."""

    allowed: bool
    reason: str
    trading: Sequence[str]


def _refused(text: object, rule: str) -> HostError:
    return HostError("maintenance_window", text, rule, _NEXT_STEP)


def _day(name: str, text: str) -> int:
    if name.capitalize() not in DAYS:
        raise _refused(text, f"'{name}' is no day, which is one of {' '.join(DAYS)}")
    return DAYS.index(name.capitalize())


def _days(names: str, text: str) -> frozenset[int]:
    found: set[int] = set()
    for part in names.split(","):
        first, dash, last = part.partition("-")
        begin = _day(first, text)
        end = _day(last, text) if dash else begin
        found.update((begin + step) % 7 for step in range((end - begin) % 7 + 1))
    return frozenset(found)


def _minute(hours: str, minutes: str, text: str) -> int:
    minute = int(hours) * 60 + int(minutes)
    if int(minutes) > 59 or minute > _DAY_MINUTES:
        raise _refused(text, f"'{hours}:{minutes}' is no time of a day")
    return minute


def parse_window(text: str) -> Window:
    """One window; HostError when it is none."""
    found = _FORM.fullmatch(text.strip())
    if not found:
        raise _refused(text, "this is no window of a beginning, an end and a zone that is UTC or an offset from it")
    names, begin_hour, begin_minute, end_hour, end_minute, zone = found.groups()
    begin, end = _minute(begin_hour, begin_minute, text), _minute(end_hour, end_minute, text)
    if begin == end or begin == _DAY_MINUTES:
        raise _refused(text, "it has to begin before 24:00 and to end at another time; 00:00-24:00 is a whole day")
    offset = 0
    if zone not in ("UTC", "Z"):
        hours, minutes = int(zone[1:3]), int(zone[4:6])
        if hours > 14 or minutes > 59:
            raise _refused(text, f"'{zone}' is no offset from UTC")
        offset = (hours * 60 + minutes) * (-1 if zone[0] == "-" else 1)
    return Window(_days(names, text) if names else frozenset(range(7)), begin, end, offset)


def window_open(value: object, now: datetime) -> bool:
    """Whether that value of ``maintenance_window`` says that it is time now.

    True and ``true``: always; empty, False and ``false``: never; else one window or a list of them. HostError when it
    is neither.
    """
    if value is None or isinstance(value, bool):
        return bool(value)
    if isinstance(value, str):
        word = value.strip().lower()
        if word in ("true", "yes"):
            return True
        if word in ("", "false", "no"):
            return False
        return parse_window(value).contains(now)
    if not isinstance(value, (list, tuple)):
        raise _refused(value, "this is neither true nor a window nor a list of windows")
    # All are read, so that a wrong one is told whatever time it is.
    are_open = [window_open(one, now) for one in value]
    return any(are_open)


def may_disturb_now(system: System, allowed: bool, wanted: Wanted) -> bool:
    """Whether what is allowed may be done at this moment: judge() is asked, where it is allowed at all.

    HostError as judge(), and OSError when systemd does not answer.
    """
    return allowed and judge(system, wanted, datetime.now(timezone.utc)).allowed


def judge(system: System, wanted: Wanted, now: datetime, attempts: bool = True) -> Judgement:
    """Whether the host may be disturbed: nobody trades on it, or a maintenance window is open, or it is not protected.

    ``attempts``: a unit that systemd is about to start again, and that has no process now, trades.
    HostError when a window is written wrongly.
    """
    window = window_open(wanted.get("maintenance_window"), now)
    protection = wanted.get("workload_protection")
    if protection is not None and str(protection).lower() in ("false", "no", "0"):
        return Judgement(True, "workload protection is off", ())
    trading = find_trading(system, wanted, attempts)
    if not trading:
        return Judgement(True, "nothing trades on this host", ())
    if window:
        return Judgement(True, f"a maintenance window is open ({'; '.join(trading)})", trading)
    return Judgement(False, f"{'; '.join(trading)}, and no maintenance window is open", trading)
