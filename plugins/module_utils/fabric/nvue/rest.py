# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""NVUE over its REST interface (user guide, "NVUE API"): a revision is made, patched, applied and polled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Callable
from urllib.parse import quote, urlencode

from .plan import NvueError
from .switch import APPLIED, ConnectionLost, Progress, issues
from .tree import Change, put

# send(method, path and query, body) -> (status, body); ConnectionLost when no answer comes
Send = Callable[[str, str, "str | None"], "tuple[int, str]"]
ROOT = "/nvue_v1"
YES = {"ays": "ays_yes", "ignore_fail": "ignore_fail_no"}


class Rest:
    """A switch behind a ``send`` of the caller."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def config(self, revision: str) -> dict[str, Any]:
        return self._mapping("GET", f"/?{urlencode({'rev': revision, 'filled': 'false'})}")

    def revisions(self) -> dict[str, str]:
        found = self._mapping("GET", "/revision")
        return {name: str(one.get("state", "")) for name, one in found.items() if isinstance(one, Mapping)}

    def stage(self, change: Change) -> str:
        made = self._mapping("POST", "/revision")
        revision = next(iter(made), "")
        if not revision:
            raise NvueError("POST /nvue_v1/revision made no revision; restart nvued ('systemctl restart nvued')")
        gone: dict[str, Any] = {}
        for path in change.unset:
            put(gone, path, None)
        # a body sets or unsets, not both; setting, which is what may be refused, comes first and leaves nothing behind
        for body in (change.set, gone):
            if body:
                self._call("PATCH", f"/?{urlencode({'rev': revision})}", body)
        return revision

    def start(self, revision: str) -> None:
        self._call("PATCH", _of(revision), {"state": "apply", "auto-prompt": YES})

    def progress(self, revision: str) -> Progress:
        answer = self._mapping("GET", _of(revision))
        return Progress(str(answer.get("state", "")), issues(answer))

    def save(self) -> None:
        self._call("PATCH", _of(APPLIED), {"state": "save", "auto-prompt": YES})

    def discard(self, revision: str) -> None:
        """The interface has nothing documented for it; a revision that is not applied does nothing."""

    def show(self, *path: str) -> Any:
        status, text = self._send("GET", ROOT + "".join("/" + quote(key, safe="") for key in path), None)
        return {} if status == 404 else self._read("GET", "/" + "/".join(path), status, text)

    def _mapping(self, method: str, path: str) -> dict[str, Any]:
        found = self._call(method, path, None)
        if not isinstance(found, dict):
            raise NvueError(f"{method} {ROOT}{path} answered {str(found)[:80]!r} and no mapping; is this NVUE?")
        return found

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        status, text = self._send(method, ROOT + path, None if body is None else json.dumps(body))
        return self._read(method, path, status, text)

    def _read(self, method: str, path: str, status: int, text: str) -> Any:
        try:
            answer = json.loads(text) if text.strip() else {}
        except ValueError as error:
            if status < 300:
                # cut off in the middle
                raise ConnectionLost(f"{method} {ROOT}{path} answered no whole JSON ({error})") from error
            answer = {}
        if status < 300:
            return answer
        if status in (401, 403):
            raise NvueError(
                f"{method} {ROOT}{path} answered {status}; check user, password or token, and the user's role"
            )
        said = _complaint(answer) if isinstance(answer, Mapping) else ""
        raise NvueError(f"{method} {ROOT}{path} answered {status}: {said or text.strip()[:200] or 'nothing more'}")


def _of(revision: str) -> str:
    return "/revision/" + quote(revision, safe="")


def _complaint(answer: Mapping[str, Any]) -> str:
    words = (answer.get("detail"), answer.get("message"), issues(answer), answer.get("title"))
    return next((str(one) for one in words if one), "")
