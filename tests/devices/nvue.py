# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Cumulus Linux switch for tests: NVUE's revisions behind its REST interface on loopback.

What it takes is judged by NVIDIA's object models. Whether a revision is refused, breaks, takes its time, loses a leaf,
or the connection drops, is what a test sets on :class:`Nvue`.
"""

from __future__ import annotations

import base64
import copy
import http.server
import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.devices.nvue_schema import problems

USER, PASSWORD = "automation", "secret"
ROOT = "/nvue_v1"
# Spectrum-4: marking thresholds come in 64 cells of 192 bytes
MARKS_UNIT = 64 * 192


def patched(tree: dict[str, Any], body: Mapping[str, Any]) -> None:
    """A patch of NVUE: null unsets, a mapping goes deeper, anything else is set."""
    for key, value in body.items():
        if value is None:
            tree.pop(key, None)
        elif isinstance(value, Mapping):
            inner = tree.get(key)
            if not isinstance(inner, dict):
                inner = tree[key] = {}
            patched(inner, value)
        else:
            tree[key] = value


class Refused(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class Nvue:
    """State of one switch. ``requests`` are those it got, as (method, path)."""

    def __init__(self, version: str = "5.15", config: Mapping[str, Any] | None = None) -> None:
        self.version = version
        start = {
            "system": {"hostname": "leaf1"},
            "interface": {"eth0": {"type": "eth"}},
            **copy.deepcopy(dict(config or {})),
        }
        self.revisions: dict[str, dict[str, Any]] = {"1": {"config": start, "state": "applied_and_saved", "issue": {}}}
        self.applied = "1"
        self.startup = copy.deepcopy(start)
        self.requests: list[tuple[str, str]] = []
        # how often a revision is seen on its way before it is applied
        self.polls = 1
        # state in which every following revision ends instead of applied, and how many of them
        self.ends: list[str] = []
        # path of a leaf that gets lost while a revision is applied
        self.loses: tuple[str, ...] = ()
        # (method, part of the path) -> how often the connection is cut, before or after the work is done
        self.cut_before: dict[tuple[str, str], int] = {}
        self.cut_after: dict[tuple[str, str], int] = {}
        self.operational: dict[str, Any] = {}
        self._lock = threading.Lock()

    @property
    def config(self) -> dict[str, Any]:
        """What is applied."""
        found: dict[str, Any] = self.revisions[self.applied]["config"]
        return found

    @property
    def writes(self) -> list[tuple[str, str]]:
        return [one for one in self.requests if one[0] != "GET"]

    def pending(self, body: Mapping[str, Any]) -> str:
        """Another administrator's revision with changes."""
        name = self.create()
        patched(self.revisions[name]["config"], body)
        return name

    def create(self) -> str:
        name = str(len(self.revisions) + 1)
        self.revisions[name] = {"config": copy.deepcopy(self.config), "state": "pending", "issue": {}}
        return name

    def answer(self, method: str, target: str, body: Any) -> Any:
        """The answer to a request; Refused for one that NVUE would refuse."""
        url = urlsplit(target)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        path = [unquote(part) for part in url.path.removeprefix(ROOT).split("/") if part]
        with self._lock:
            if path[:1] == ["revision"]:
                return self._revision(method, path[1:], body)
            if method == "GET":
                return self._get(path, query)
            if method == "PATCH" and not path:
                return self._patch(query["rev"], body)
            raise Refused(405, f"{method} {url.path}")

    def _get(self, path: list[str], query: Mapping[str, str]) -> Any:
        if "rev" in query:
            name = self.applied if query["rev"] == "applied" else query["rev"]
            tree = self.startup if query["rev"] == "startup" else self._known(name)["config"]
            header = {"model": "SN5600", "nvue-api-version": "nvue_v1", "rev-id": 1.0}
            return {"header": {**header, "version": f"Cumulus Linux {self.version}.0"}, **tree}
        if "/".join(path) in self.operational:
            return self.operational["/".join(path)]
        return self._operational(path)

    def _operational(self, path: list[str]) -> Any:
        """What the hardware runs, from what is applied."""
        port = self.config["interface"].get(path[1] if len(path) > 1 else "")
        if path[:1] != ["interface"] or port is None:
            raise Refused(404, "/".join(path))
        qos, about = port.get("qos", {}), "/".join(path[2:])
        profiles = {kind: self.config["qos"].get(kind, {}).get(one.get("profile"), {}) for kind, one in qos.items()}
        if about == "link":
            return {**port.get("link", {}), "oper-status": "up"}
        if about == "qos/pfc":
            return {**profiles.get("pfc", {}), "port-buffer": "25000 B"}
        if about == "qos/congestion-control":
            marks = profiles.get("congestion-control", {}).get("traffic-class", {})
            return {"traffic-class": {key: {**one, **_rounded(one)} for key, one in marks.items()}}
        if about == "qos/pfc-watchdog":
            return {"state": "enabled"} if "pfc-watchdog" in qos else {"state": "disabled"}
        raise Refused(404, "/".join(path))

    def _known(self, name: str) -> dict[str, Any]:
        if name not in self.revisions:
            raise Refused(404, f"unknown revision {name}")
        return self.revisions[name]

    def _patch(self, name: str, body: Any) -> Any:
        revision = self._known(name)
        if not isinstance(body, dict) or revision["state"] != "pending":
            raise Refused(400, f"revision {name} takes no patch")
        tree = copy.deepcopy(revision["config"])
        patched(tree, body)
        found = problems(tree, self.version)
        if found:
            raise Refused(400, found[0])
        revision["config"] = tree
        return {}

    def _revision(self, method: str, path: list[str], body: Any) -> Any:
        if not path:
            if method == "POST":
                name = self.create()
                return {name: self._told(self.revisions[name])}
            named = {"applied": self.applied}
            listed = {name: self._told(one) for name, one in self.revisions.items()}
            return {**listed, **{name: self._told(self.revisions[one]) for name, one in named.items()}}
        name = self.applied if path[0] == "applied" else path[0]
        if name == "startup" and method == "PATCH":
            self.revisions[name] = {"config": copy.deepcopy(self.startup), "state": "pending", "issue": {}}
        revision = self._known(name)
        if method == "PATCH" and body.get("state") == "save" and path[0] == "applied":
            self.startup = copy.deepcopy(self.config)
        elif method == "PATCH" and body.get("state") == "apply" and body["auto-prompt"]["ays"] == "ays_yes":
            revision.update(state="apply", left=self.polls)
        elif method == "PATCH":
            raise Refused(400, f"{body} is no way for a revision to go")
        elif revision["state"] in ("apply", "reloading"):
            self._step(name, revision)
        return self._told(revision)

    def _step(self, name: str, revision: dict[str, Any]) -> None:
        if revision["left"]:
            revision.update(state="reloading", left=revision["left"] - 1)
            return
        end = self.ends.pop(0) if self.ends else "applied"
        revision["state"] = end
        if end == "applied":
            self.applied = name
            if self.loses:
                body: Any = None
                for key in reversed(self.loses):
                    body = {key: body}
                patched(revision["config"], body)
                self.loses = ()
        else:
            message = "Unable to reload-or-restart services (switchd)"
            revision["issue"] = {"00000": {"code": "systemctl", "message": message, "severity": "error"}}

    @staticmethod
    def _told(revision: Mapping[str, Any]) -> dict[str, Any]:
        return {"state": revision["state"], "transition": {"issue": revision["issue"], "progress": ""}}


def _rounded(marks: Mapping[str, Any]) -> dict[str, str]:
    """Thresholds as the interface tells them."""
    return {
        key: f"{-(-marks[key] // MARKS_UNIT) * MARKS_UNIT / 1024:.2f} KB" for key in ("min-threshold", "max-threshold")
    }


@contextmanager
def serving(nvue: Nvue, certificate: Path | None = None) -> Iterator[str]:
    """The REST interface of a switch on loopback; its URL. TLS with a PEM file of certificate and key."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            method = self.command
            nvue.requests.append((method, self.path))
            text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if _cut(nvue.cut_before, method, self.path):
                self.close_connection = True
                return
            wanted = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            try:
                if self.headers.get("Authorization") not in (wanted, "Bearer token"):
                    raise Refused(401, "no user")
                answer, status = nvue.answer(method, self.path, json.loads(text) if text else None), 200
            except Refused as error:
                answer, status = {"detail": error.detail, "status": error.status}, error.status
            if _cut(nvue.cut_after, method, self.path):
                self.close_connection = True
                return
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_DELETE = handle_any

        def log_message(self, *arguments: Any) -> None:
            """Keep quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def _cut(cuts: dict[tuple[str, str], int], method: str, path: str) -> bool:
    for (one, part), left in cuts.items():
        if left and one == method and part in path:
            cuts[one, part] = left - 1
            return True
    return False
