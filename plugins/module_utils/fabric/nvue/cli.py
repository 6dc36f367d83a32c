# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""NVUE by its command line on the switch: ``nv config patch``, ``apply``, ``save`` (user guide, "NVUE CLI")."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, Callable

from .plan import NvueError
from .switch import PENDING, Progress
from .tree import Change

# run(argv) -> (exit code, stdout, stderr)
Run = Callable[[Sequence[str]], "tuple[int, str, str]"]


class Cli:
    """A switch on which ``nv`` at its path is run by a callable of the caller."""

    def __init__(self, run: Run, nv: str) -> None:
        self._run = run
        self._nv = nv
        self._progress = Progress(PENDING)

    def config(self, revision: str) -> dict[str, Any]:
        found = self._json("config", "show", "-r", revision, "-o", "json")
        # a list of header and set, as in the YAML of a startup file, or the tree itself
        parts = found if isinstance(found, list) else [found]
        tree: dict[str, Any] = {}
        for part in parts:
            if isinstance(part, Mapping):
                tree.update(part.get("set", {} if "header" in part and len(part) == 1 else part))
                if "header" in part:
                    tree["header"] = part["header"]
        return tree

    def revisions(self) -> dict[str, str]:
        found = self._json("config", "revision", "-o", "json")
        return {name: str(one.get("state", "")) for name, one in found.items() if isinstance(one, Mapping)}

    def stage(self, change: Change) -> str:
        try:
            if change.set:
                with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
                    json.dump([{"set": change.set}], file, indent=1)
                    file.flush()
                    self._call("config", "patch", file.name)
            for path in change.unset:
                self._call("unset", *path)
        except NvueError:
            self.discard(PENDING)
            raise
        return PENDING

    def start(self, revision: str) -> None:
        words = ["config", "apply"] + ([] if revision == PENDING else [revision]) + ["-y"]
        rc, out, err = self._run([self._nv, *words])
        said = " ".join((err.strip() or out.strip()).split())
        if rc == 0:
            self._progress = Progress("applied", said)
        else:
            self._progress = Progress("invalid" if said.lower().startswith("invalid") else "apply_fail", said)

    def progress(self, revision: str) -> Progress:
        """``nv config apply`` waits for the end."""
        return self._progress

    def save(self) -> None:
        self._call("config", "save")

    def discard(self, revision: str) -> None:
        self._run([self._nv, "config", "detach"])

    def show(self, *path: str) -> Any:
        rc, out, _err = self._run([self._nv, "show", *path, "-o", "json"])
        if rc != 0 or not out.strip():
            return {}
        return self._loaded(out, "show", *path)

    def _json(self, *words: str) -> Any:
        return self._loaded(self._call(*words), *words)

    def _loaded(self, out: str, *words: str) -> Any:
        try:
            return json.loads(out) if out.strip() else {}
        except ValueError as error:
            raise NvueError(f"'nv {' '.join(words)}' printed no JSON ({error})") from error

    def _call(self, *words: str) -> str:
        rc, out, err = self._run([self._nv, *words])
        if rc != 0:
            said = " ".join((err.strip() or out.strip()).split())
            raise NvueError(f"'nv {' '.join(words)}' failed with {rc}: {said}")
        return out
