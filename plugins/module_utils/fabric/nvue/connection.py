# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The modules' way to a switch: their common arguments, and from them the REST or the CLI side of NVUE."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from typing import Any, Callable
from urllib.error import HTTPError, URLError

from .cli import Cli, Run
from .plan import NvueError
from .rest import Rest
from .revision import Revisions
from .switch import ConnectionLost, Switch

ARGUMENTS: dict[str, dict[str, Any]] = {
    "method": {"type": "str", "choices": ["cli", "rest"], "default": "cli"},
    "url": {"type": "str"},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "token": {"type": "str", "no_log": True},
    "validate_certs": {"type": "bool", "default": True},
    "ca_path": {"type": "path"},
    "timeout_s": {"type": "int", "default": 300},
}
REQUIRED_IF = [("method", "rest", ["url"])]
REQUEST_TIMEOUT_S = 30
POLL_S = 1.0
OpenUrl = Callable[..., Any]


def revisions(params: Mapping[str, Any], open_url: OpenUrl, run: Run, nv: str) -> Revisions:
    """The switch that the arguments name; ``open_url``, ``run`` and the path of ``nv`` are the module's own."""
    if params["timeout_s"] < 1:
        raise NvueError(f"timeout_s {params['timeout_s']} is below 1 second")
    switch: Switch = Rest(_send(params, open_url)) if params["method"] == "rest" else Cli(run, nv)
    return Revisions(switch, params["timeout_s"], min(POLL_S, params["timeout_s"] / 2))


def _send(params: Mapping[str, Any], open_url: OpenUrl) -> Callable[[str, str, str | None], tuple[int, str]]:
    url = params["url"].rstrip("/")
    options: dict[str, Any] = {
        "validate_certs": params["validate_certs"],
        "ca_path": params["ca_path"],
        "timeout": REQUEST_TIMEOUT_S,
        "follow_redirects": "none",
        "use_netrc": False,
    }
    headers = {"Accept": "application/json"}
    if params["token"]:
        headers["Authorization"] = f"Bearer {params['token']}"
    elif params["username"]:
        options.update(url_username=params["username"], url_password=params["password"] or "", force_basic_auth=True)

    def send(method: str, path: str, body: str | None) -> tuple[int, str]:
        sent = {**headers, "Content-Type": "application/json"} if body is not None else headers
        try:
            answer = open_url(url + path, data=body, method=method, headers=sent, **options)
            return answer.getcode(), answer.read().decode("utf-8")
        except HTTPError as error:
            return error.code, error.read().decode("utf-8", errors="replace")
        except URLError as error:
            if isinstance(error.reason, ssl.SSLCertVerificationError):
                raise NvueError(f"{url}: {error.reason}; give ca_path, or validate_certs false") from error
            raise ConnectionLost(f"{method} {url}{path}: {error.reason}") from error
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionLost(f"{method} {url}{path}: {error}") from error

    return send
