# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The ``nv`` program for tests, in front of the state that tests/devices/nvue.py serves.

Environment: ``NV_URL`` the server, ``NV_PENDING`` a file with the revision that this user has pending.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any


def call(method: str, path: str, body: Any = None) -> Any:
    """A request to the server; SystemExit with its complaint."""
    request = urllib.request.Request(
        os.environ["NV_URL"] + "/nvue_v1" + path,
        data=None if body is None else json.dumps(body).encode(),
        method=method,
        headers={"Authorization": "Bearer token"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        sys.exit("Error: " + json.load(error)["detail"])


def pending() -> str:
    """The revision of this user, made when there is none."""
    file = Path(os.environ["NV_PENDING"])
    if not file.exists():
        file.write_text(next(iter(call("POST", "/revision"))), encoding="utf-8")
    return file.read_text(encoding="utf-8")


def nv(*words: str) -> None:
    """One command."""
    match words:
        case ["config", "show", "-r", revision, "-o", "json"]:
            tree = call("GET", f"/?rev={revision}")
            print(json.dumps([{"header": tree.pop("header")}, {"set": tree}]))
        case ["config", "revision", "-o", "json"]:
            print(json.dumps(call("GET", "/revision")))
        case ["unset", *path]:
            body: Any = None
            for key in reversed(path):
                body = {key: body}
            call("PATCH", f"/?rev={pending()}", body)
        case ["config", "patch", file]:
            for part in json.loads(Path(file).read_text(encoding="utf-8")):
                call("PATCH", f"/?rev={pending()}", part["set"])
            print(f"created [rev_id: {pending()}]")
        case ["config", "apply", *rest] if rest[-1:] == ["-y"]:
            revision = rest[0] if len(rest) == 2 else pending()
            call("PATCH", f"/revision/{revision}", {"state": "apply", "auto-prompt": {"ays": "ays_yes"}})
            answer: dict[str, Any] = {"state": "apply"}
            while answer["state"] in ("apply", "reloading"):
                answer = call("GET", f"/revision/{revision}")
            Path(os.environ["NV_PENDING"]).unlink(missing_ok=True)
            if answer["state"] != "applied":
                sys.exit(f"{answer['state']}: " + answer["transition"]["issue"]["00000"]["message"])
            print(f"applied [rev_id: {revision}]")
        case ["config", "save"]:
            call("PATCH", "/revision/applied", {"state": "save"})
        case ["config", "detach"]:
            Path(os.environ["NV_PENDING"]).unlink(missing_ok=True)
        case ["show", *path, "-o", "json"]:
            print(json.dumps(call("GET", "/" + "/".join(path))))
        case _:
            sys.exit(f"Error: nv {' '.join(words)}: no such command")


if __name__ == "__main__":
    nv(*sys.argv[1:])
