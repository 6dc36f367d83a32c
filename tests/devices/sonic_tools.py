# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A SONiC switch as far as its configuration goes: the programs ``config`` and ``sonic-cfggen`` over a real Redis.

The databases have SONiC's numbers. A patch is taken or refused by the rules of the generic configuration updater:
constraints of the YANG models, no empty tables, and the tables that may not change while the switch runs. Faults are
set in ``faults.json``: ``refuse`` (a part of a path that the switch refuses), ``drop_after`` (rows after which the
program dies), ``save`` (the file cannot be written), ``deaf`` (a table whose rows are taken and not written).
"""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any

import redis

from tests.devices.sonic_yang import violations

APPL_DB, COUNTERS_DB, CONFIG_DB, STATE_DB = 0, 2, 4, 6
Config = dict[str, dict[str, dict[str, str]]]
# fields of BUFFER_PROFILE and PFC_WD that the updater lets change, and how
PROFILE_FIELDS = ("dynamic_th", "xoff")
WATCHDOG_FIELDS = ("restoration_time", "detection_time", "action", "global/poll_interval", "pfc_stat_history", "")


class Refused(Exception):
    """The program ends with 1 (or 137 for a death) and says this."""

    def __init__(self, said: str, rc: int = 1) -> None:
        super().__init__(said)
        self.rc = rc


class SonicTools:
    """The programs of one switch, whose files are below ``root`` and whose Redis listens on a Unix socket there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.etc = root / "etc/sonic"
        self.redis: Any = redis.Redis(unix_socket_path=str(root / "redis.sock"), db=CONFIG_DB, decode_responses=True)
        self.facts = json.loads((root / "facts.json").read_text())
        self.faults: dict[str, Any] = json.loads((root / "faults.json").read_text())

    def run(self, argv: list[str]) -> tuple[int, str, str]:
        """Return code, standard output, standard error."""
        with (self.root / "log").open("a") as log:
            log.write(" ".join(argv) + "\n")
        try:
            if argv[0] == "sonic-cfggen":
                return 0, self._cfggen(argv[1:]), ""
            return 0, self._config(argv[1], argv[2:]), ""
        except Refused as refused:
            return refused.rc, "", f"Usage: {argv[0]} [OPTIONS]\n\nError: {refused}\n" if refused.rc == 1 else ""

    def running(self) -> Config:
        """CONFIG_DB as sonic-cfggen prints it."""
        found: Config = {}
        for key in sorted(self.redis.keys("*")):
            table, _bar, name = key.partition("|")
            row = self.redis.hgetall(key)
            found.setdefault(table, {})[name] = {} if row == {"NULL": "NULL"} else row
        return found

    def load(self, config: Config) -> None:
        """Put a whole configuration in the place of the running one."""
        self.redis.flushdb()
        for table, rows in config.items():
            for name, row in rows.items():
                self.redis.hset(f"{table}|{name}", mapping=row or {"NULL": "NULL"})

    def _cfggen(self, arguments: list[str]) -> str:
        if arguments[0] == "-y":
            return self.facts["asic_type"] + "\n"
        if arguments[0] == "-j":
            return json.dumps(self._read(arguments[1]))
        return json.dumps(self.running())

    def _path(self, name: str) -> Path:
        return self.root / name[1:] if name.startswith("/etc/sonic/") else Path(name)

    def _read(self, name: str) -> Any:
        path = self._path(name)
        if not path.exists():
            raise Refused(f"{name} does not exist")
        return json.loads(path.read_text())

    def _config(self, command: str, arguments: list[str]) -> str:
        flags = [one for one in arguments if one.startswith("-")]
        names = [one for one in arguments if not one.startswith("-")]
        if command == "checkpoint":
            (self.etc / f"checkpoints/{names[0]}.cp.json").write_text(json.dumps(self.running()))
        elif command == "save":
            if self.faults.get("save"):
                raise Refused("[Errno 28] No space left on device: '/etc/sonic/config_db.json'")
            (self.etc / "config_db.json").write_text(json.dumps(self.running(), indent=4))
        elif command == "reload":
            self._reload(names[0])
        elif command == "apply-patch":
            self._apply(json.loads(Path(names[0]).read_text()), "--dry-run" in flags)
        elif command == "rollback":
            former = self._read(f"/etc/sonic/checkpoints/{names[0]}.cp.json")
            self._apply(difference(self.running(), former), dry_run=False, faulty=False)
        else:
            raise Refused(f"No such command '{command}'.")
        return "done\n"

    def _reload(self, name: str) -> None:
        with (self.etc / "reload.lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise Refused("Failed to acquire lock on /etc/sonic/reload.lock") from None
            config = self._read(name)
            broken = violations(config)
            if broken:
                raise Refused(f"Failed to validate {name}. Error: {broken[0]}")
            self.load(config)
            with (self.root / "reloads").open("a") as file:
                file.write(name + "\n")

    def _apply(self, operations: list[dict[str, Any]], dry_run: bool, faulty: bool = True) -> None:
        before = self.running()
        after = changed(before, operations)
        for operation in operations:
            if faulty and self.faults.get("refuse", "\0") in operation["path"]:
                raise Refused(f"{operation['path']}: SAI_STATUS_NOT_SUPPORTED")
            self._may_change(operation)
        empty = [table for table, rows in after.items() if not rows]
        if empty:
            raise Refused(f"given patch is not valid because it will result in empty tables: {', '.join(empty)}")
        broken = violations(after)
        if broken:
            raise Refused(f"Given patch will produce invalid config. Error: {broken[0]}")
        if not dry_run:
            self._write(before, after, self.faults if faulty else {})

    def _may_change(self, operation: dict[str, Any]) -> None:
        table, *rest = operation["path"][1:].split("/")
        if operation["op"] == "remove" and operation["path"] in ("/PFC_WD/GLOBAL", "/PFC_WD/GLOBAL/POLL_INTERVAL"):
            raise Refused(
                f"Given patch operation is invalid. Operation: remove is illegal on field: {operation['path']}"
            )
        legal = True
        if table == "BUFFER_POOL":
            legal = False
        elif table == "BUFFER_PROFILE" and len(rest) > 1:
            legal = bool(self.facts["gcu_asic"]) and operation["op"] == "replace" and rest[-1] in PROFILE_FIELDS
        elif table == "PFC_WD":
            place = "/".join(part for part in rest if not any(char.isdigit() for char in part)).lower()
            value = operation.get("value")
            fields = [f"{place}/{key}" if place else key for key in value] if isinstance(value, dict) else [place]
            legal = bool(self.facts["gcu_asic"]) and all(one in WATCHDOG_FIELDS for one in fields)
        if not legal:
            raise Refused(f"Modification of {table} table is illegal- validating function returned False")

    def _write(self, before: Config, after: Config, faults: dict[str, Any]) -> None:
        rows = 0
        for table in sorted({*before, *after}):
            for name in sorted({*before.get(table, {}), *after.get(table, {})}):
                old, new = before.get(table, {}).get(name), after.get(table, {}).get(name)
                if old == new or table == faults.get("deaf"):
                    continue
                if rows == faults.get("drop_after", -1):
                    raise Refused("", rc=137)
                rows += 1
                self.redis.delete(f"{table}|{name}")
                if new is not None:
                    self.redis.hset(f"{table}|{name}", mapping=new or {"NULL": "NULL"})


def changed(config: Config, operations: list[dict[str, Any]]) -> Config:
    """RFC 6902 for the operations add, replace and remove on objects."""
    found = json.loads(json.dumps(config))
    for operation in operations:
        parts = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"][1:].split("/")]
        place = found
        for part in parts[:-1]:
            if part not in place:
                raise Refused(f"can't {operation['op']} {operation['path']}: {part} does not exist")
            place = place[part]
        if operation["op"] == "remove" or operation["op"] == "replace":
            if parts[-1] not in place:
                raise Refused(f"can't {operation['op']} a non-existent object '{operation['path']}'")
        if operation["op"] == "remove":
            del place[parts[-1]]
        else:
            place[parts[-1]] = operation["value"]
    return found


def difference(before: Config, after: Config) -> list[dict[str, Any]]:
    """Operations, by whole rows, from one configuration to the other."""
    found: list[dict[str, Any]] = [{"op": "remove", "path": f"/{table}"} for table in before if table not in after]
    for table, rows in after.items():
        if table not in before:
            found.append({"op": "add", "path": f"/{table}", "value": rows})
            continue
        for name in sorted({*before[table], *rows}):
            path = f"/{table}/{name.replace('~', '~0').replace('/', '~1')}"
            old, new = before[table].get(name), rows.get(name)
            if new is None:
                found.append({"op": "remove", "path": path})
            elif old is None:
                found.append({"op": "add", "path": path, "value": new})
            else:
                for field in sorted({*old, *new}):
                    if field not in new:
                        found.append({"op": "remove", "path": f"{path}/{field}"})
                    elif old.get(field) != new[field]:
                        found.append({"op": "add" if field not in old else "replace", "path": f"{path}/{field}"})
                        found[-1]["value"] = new[field]
    return found
