"""The test switches as a process of their own, until a TERM signal comes.

    python -m tests.devices FILE

FILE gets, as JSON, where each of them is and which process to end.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.devices import nvue, nxapi
from tests.devices.eapi import EosSwitch
from tests.devices.server import serving
from tests.devices.sonic_switch import SonicSwitch, factory_config


def started(stack: contextlib.ExitStack) -> dict[str, dict[str, Any]]:
    """Every test switch, started; where each is."""
    directory = stack.enter_context(tempfile.TemporaryDirectory())
    sonic = stack.enter_context(SonicSwitch(Path(directory) / "sonic", config=factory_config(ports=3)))
    cumulus = nvue.serving(nvue.Nvue(config={"system": {"hostname": "spine1"}}))
    return {
        "eos": {"port": stack.enter_context(serving(EosSwitch())), "user": "admin", "password": "admin"},
        "nxos": {
            "port": stack.enter_context(nxapi.Nexus(version="10.4(3)").serving()),
            "user": nxapi.USER,
            "password": nxapi.PASSWORD,
        },
        "cumulus": {"url": stack.enter_context(cumulus), "user": nvue.USER, "password": nvue.PASSWORD},
        "sonic": {"programs": str(sonic.programs), "saved": str(sonic.root / "etc/sonic/config_db.json")},
    }


def main(path: Path) -> None:
    """Serve until the end is asked for. The file appears when everything answers, and is whole when it appears."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    with contextlib.ExitStack() as stack:
        found = {**started(stack), "pid": os.getpid()}
        made = path.with_suffix(".new")
        made.write_text(json.dumps(found), encoding="utf-8")
        made.rename(path)
        stack.callback(path.unlink)
        signal.pause()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
