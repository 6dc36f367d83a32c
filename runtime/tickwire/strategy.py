# SPDX-License-Identifier: Apache-2.0
"""Strategies in Python: compiling a file into functions the C core calls, and `tickwire strategy check | list`.

A strategy file has plain functions over the records of `tickwire.records`; see docs/strategies.md. Each becomes machine
code through numba.cfunc. What cannot run on the hot path is refused here, by what the machine code would call: the
interpreter, or memory allocation. An exception at run time makes the core drop the orders of that call and never call
the strategy again (core/strategy_user.c). numba is needed here only, and imported only when a file is compiled.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import inspect
import json
import os
import re
import signal
import sys
import textwrap
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Any

from . import config
from .arguments import seconds
from .errors import TickwireError

BUILT_IN = {
    "imbalance": "takes when one side of the top outweighs the other by `ratio`",
    "market_maker": "quotes both sides of `symbols` around the mid, shifted against its inventory",
    "spread": "takes all `legs` when their spread is `edge_bps` off its moving mean",
}

_FUNCTIONS = ("init", "reset", "on_instrument", "on_top", "on_update")
_TAGS_LIMIT = 1 << 20
_STATE_LIMIT = 1 << 30
_MESSAGES, _SEED, _INSTRUMENTS = 100_000, 1, 100
_ROUNDS = 9
_LIMIT_S = 5.0  # for one call, which should take a millionth of that
_INTERPRETER = re.compile(r"numba_gil_ensure|Py[A-Z_]\w*")
_ALLOCATION = re.compile(r"NRT_(?:MemInfo_\w*alloc|Allocate|Reallocate)\w*")

# Machine code must live as long as anything that may call it: for good.
_compiled: list[Any] = []


@dataclass(frozen=True)
class Compiled:
    """A strategy file as machine code: `addresses` is what the core takes as strategy.addresses."""

    path: str
    addresses: dict[str, int]

    def table(self, strategy: Mapping[str, Any]) -> dict[str, Any]:
        """The [strategy] table `strategy` with this file to run."""
        return {**strategy, "addresses": self.addresses}


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C ends the process at once meanwhile: machine code returns to the interpreter when it is done, or never."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def ended_after(limit_s: float, path: str, feed: str) -> Iterator[None]:
    """End this process with a line when one call of a strategy's function takes longer: nothing else can end it."""
    from . import _core

    over = threading.Event()

    def watch() -> None:
        before, since = _core.strategy_call(), time.monotonic()
        while not over.wait(min(0.1, limit_s / 4)):
            call, now = _core.strategy_call(), time.monotonic()
            if call != before or not call[1]:
                before, since = call, now
            elif now - since > limit_s:
                print(
                    f"tickwire: {path}: {call[1]} has not returned for {limit_s:g} s, in call {call[0]} of its "
                    f"functions over {feed}: look for a loop without an end, or give it more time with --limit",
                    file=sys.stderr,
                    flush=True,
                )
                os._exit(1)

    watcher = threading.Thread(target=watch, name="tickwire-limit", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def prepare(settings: Mapping[str, Any]) -> dict[str, Any]:
    """An engine configuration as the core takes it: the file that strategy.file names is compiled. TickwireError."""
    strategy = settings.get("strategy", {})
    if not strategy.get("file"):
        return dict(settings)
    return {**settings, "strategy": load(strategy["file"]).table(strategy)}


# --- reading a file


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise TickwireError(
            f"{path}: cannot read the strategy: {error.strerror}; name a Python file, see docs/strategies.md"
        ) from None
    except UnicodeDecodeError as error:
        raise TickwireError(
            f"{path}: not UTF-8 text (byte {error.start}); name a Python file, see docs/strategies.md"
        ) from None


def _namespace(path: Path, source: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": path.stem, "__file__": str(path)}
    try:
        exec(compile(source, str(path), "exec"), names)
    except SyntaxError as error:
        raise TickwireError(f"{path}:{error.lineno}: {error.msg}") from None
    except Exception as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        raise TickwireError(f"{path}:{lines[-1] if lines else 1}: {type(error).__name__}: {error}") from None
    return names


def _functions(path: Path, names: Mapping[str, Any]) -> dict[str, FunctionType]:
    found = {name: names[name] for name in _FUNCTIONS if name in names}
    for name, function in found.items():
        if not isinstance(function, FunctionType):
            raise TickwireError(f"{path}: {name} must be a plain function, without a decorator")
    if "on_top" not in found:
        raise TickwireError(f"{path}: has no on_top(state, event, orders): every strategy needs it")
    return found


def _state(path: Path, names: Mapping[str, Any]) -> Any:
    import numpy as np

    try:
        state = names["STATE"] if isinstance(names["STATE"], np.dtype) else np.dtype(names["STATE"], align=True)
    except KeyError:
        raise TickwireError(f'{path}: has no STATE: the fields of its state, such as [("count", "i8")]') from None
    except (TypeError, ValueError) as error:
        raise TickwireError(f"{path}: STATE is no list of fields numpy.dtype takes: {error}") from None
    if not state.fields or state.hasobject or not 1 <= state.itemsize <= _STATE_LIMIT:
        raise TickwireError(f"{path}: STATE must have fields of numbers, together at most {_STATE_LIMIT} bytes")
    return state


def _tags(path: Path, names: Mapping[str, Any]) -> int:
    tags = names.get("TAGS", 0)
    if not isinstance(tags, int) or isinstance(tags, bool) or not 0 <= tags <= _TAGS_LIMIT:
        raise TickwireError(f"{path}: TAGS = {tags!r} must be an integer from 0 to {_TAGS_LIMIT}")
    return tags


# --- compiling


def _field_line(function: FunctionType, name: str) -> int:
    """The line of the function where it reads or sets a field of that name."""
    try:
        lines, first = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, SyntaxError):
        return function.__code__.co_firstlineno
    found = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == name]
    return first + min(found, default=1) - 1


def _refusal(path: Path, function: FunctionType, error: Exception) -> TickwireError:
    """What numba says over many lines, in one, with the line of the file."""
    if isinstance(error, KeyError):  # how numba tells of a field that a record does not have
        name = str(error.args[0])
        line = _field_line(function, name)
        return TickwireError(f"{path}:{line}: {function.__name__}: no record here has a field {name!r}")
    text = re.sub(r"Record\(.*?\], \d+, (?:True|False)\)", "a record", str(error))
    said = [line.strip() for line in text.splitlines() if line.strip()]
    problem = next((line for line in said if not line.startswith("Failed in nopython")), type(error).__name__)
    problem = problem.removesuffix(". Raised from None").replace("\u001b", "")
    loc = getattr(error, "loc", None)
    mentioned = re.search(rf'{re.escape(path.name)}"?,? (?:line |\()(\d+)', text)
    if loc is not None and Path(str(loc.filename)).name == path.name:
        line = loc.line
    else:
        line = int(mentioned[1]) if mentioned else function.__code__.co_firstlineno
    return TickwireError(f"{path}:{line}: {function.__name__}: numba cannot compile this: {problem[:240]}")


def _check_code(path: Path, function: FunctionType, code: str) -> None:
    """Refuse machine code that leaves the hot path; `code` is the optimized LLVM module."""
    called = set(re.findall(r'\bcall\b[^@\n]*@"?([\w.$]+)', code))
    where = f"{path}:{function.__code__.co_firstlineno}: {function.__name__}"
    for name in sorted(called):
        if _ALLOCATION.fullmatch(name):
            raise TickwireError(
                f"{where}: allocates memory (lists, arrays, text or a formatted error): keep everything in STATE"
            )
    for name in sorted(called):
        if _INTERPRETER.fullmatch(name):
            raise TickwireError(f"{where}: calls the interpreter ({name}; print does): leave that out")


def _wrappers() -> dict[str, Callable[[Any], Callable[..., int]]]:
    """Per function: what makes of the user's function one that takes pointers, and has no way to raise."""
    import numba
    import numpy as np

    from . import records

    carray, failed, size = numba.carray, np.uint32(records.FAILED), records.MAX_ORDERS

    def with_settings(user: Any) -> Callable[..., int]:
        def call(state, settings):
            try:
                user(carray(state, 1)[0], carray(settings, 1)[0])
            except Exception:
                return failed
            return np.uint32(0)

        return call

    def with_state(user: Any) -> Callable[..., int]:
        def call(state):
            try:
                user(carray(state, 1)[0])
            except Exception:
                return failed
            return np.uint32(0)

        return call

    def with_instrument(user: Any) -> Callable[..., int]:
        def call(state, locate, stock):
            try:
                return np.uint32(user(carray(state, 1)[0], locate, stock) != 0)
            except Exception:
                return failed

        return call

    def with_orders(user: Any) -> Callable[..., int]:
        def call(state, record, orders):
            try:
                return np.uint32(user(carray(state, 1)[0], carray(record, 1)[0], carray(orders, size)))
            except Exception:
                return failed

        return call

    return {
        "init": with_settings,
        "reset": with_state,
        "on_instrument": with_instrument,
        "on_top": with_orders,
        "on_update": with_orders,
    }


class _Compiler:
    """numba's side: types of the records, and one function after the other."""

    def __init__(self, path: Path, state: Any) -> None:
        import numba
        from numba.core import types

        from . import records

        self.path, self.numba, self.types = path, numba, types
        record = {name: numba.from_dtype(getattr(records, name)) for name in ("EVENT", "UPDATE", "ORDER", "SETTINGS")}
        own = numba.from_dtype(state)
        orders = types.Array(record["ORDER"], 1, "C")
        # What the user's function takes. In C each record is a pointer to one, the orders are a pointer to the first.
        self.arguments = {
            "init": (own, record["SETTINGS"]),
            "reset": (own,),
            "on_instrument": (own, types.uint16, types.int64),
            "on_top": (own, record["EVENT"], orders),
            "on_update": (own, record["UPDATE"], orders),
        }
        self.wrappers = _wrappers()
        # Division by zero gives 0, as it must not raise; an index out of range does raise, as it must not write.
        self.options: dict[str, Any] = {"error_model": "numpy", "boundscheck": True}

    def helper(self, function: FunctionType) -> Any:
        return self.numba.njit(**self.options)(function)

    def compile(self, name: str, function: FunctionType) -> int:
        """The address of the compiled function. TickwireError when it cannot be compiled or must not run."""
        arguments, where = self.arguments[name], f"{self.path}:{function.__code__.co_firstlineno}"
        if function.__code__.co_argcount != len(arguments):
            raise TickwireError(f"{where}: {name} must take {len(arguments)} arguments")
        try:
            user = self.numba.njit(arguments, **self.options)(function)
        except Exception as error:  # numba raises all kinds: its own errors, and those of its parts
            raise _refusal(self.path, function, error) from None
        returned = user.nopython_signatures[0].return_type
        if name.startswith("on_") and not isinstance(returned, self.types.Integer | self.types.Boolean):
            raise TickwireError(f"{where}: {name} must return an integer on every way, not {returned}")
        signature = self.types.uint32(*(self._in_c(argument) for argument in arguments))
        code: Any = self.numba.cfunc(signature, **self.options)(self.wrappers[name](user))
        _check_code(self.path, function, code.inspect_llvm())
        _compiled.append(code)
        return int(code.address)

    def _in_c(self, argument: Any) -> Any:
        if isinstance(argument, self.types.Array):
            return self.types.CPointer(argument.dtype)
        return self.types.CPointer(argument) if isinstance(argument, self.types.Record) else argument


def load(path: str | Path) -> Compiled:
    """Compile a strategy file. TickwireError, in one line, names file, line and what to change."""
    path = Path(path)
    source = _read(path)  # before numba: a file that is not there is no reason to install it
    try:
        import numba
    except ImportError:
        raise TickwireError(
            f"{path}: strategies in Python need numba, which is not installed: pip install 'tickwire[strategy]'"
        ) from None
    del numba
    names = _namespace(path, source)
    functions, state, tags = _functions(path, names), _state(path, names), _tags(path, names)
    compiler = _Compiler(path, state)
    for name, value in names.items():
        if isinstance(value, FunctionType) and value.__globals__ is names and name not in _FUNCTIONS:
            names[name] = compiler.helper(value)
    addresses = {"footprint": state.itemsize, "tags": tags}
    for name, function in functions.items():
        addresses[name] = compiler.compile(name, function)
    return Compiled(str(path), addresses)


# --- the commands


def _feed(path: str | None) -> tuple[str, bytes, bytes]:
    """(name, data, index) of the file, or of a generated stream."""
    from . import _core, generate, itchfile

    if path is not None:
        file = itchfile.load(path)
        return path, file.data, file.index
    data = b"".join(
        len(message).to_bytes(2, "big") + message for message in generate.generate(_MESSAGES, _SEED, _INSTRUMENTS)
    )
    return f"generated, seed {_SEED}", data, _core.itch_frame_index(data)[0]


def _cost(strategy: Mapping[str, Any], data: bytes, index: bytes, sizes: Mapping[str, int]) -> dict[str, float]:
    """ns per call of on_top: of `strategy`, of the built-in imbalance, and of the loop around both, already taken off.

    Both run over the file in turn, and the quickest of some rounds counts: what disturbs a round only adds to it.
    """
    from . import _core

    def once(table: Mapping[str, Any]) -> tuple[float, float]:
        counts = _core.strategy_try(table, data, index, measured=True, **sizes)
        calls = max(counts["calls"], 1)
        return counts["elapsed_ns"] / calls, counts["overhead_ns"] / calls

    own, yardstick = [], []
    for _round in range(_ROUNDS):
        own.append(once(strategy))
        yardstick.append(once({"size": strategy["size"], "ratio": strategy["ratio"], "symbols": strategy["symbols"]}))
    loop = min(overhead for _elapsed, overhead in own + yardstick)
    return {
        "ns_per_call": min(elapsed for elapsed, _overhead in own) - loop,
        "imbalance_ns_per_call": min(elapsed for elapsed, _overhead in yardstick) - loop,
        "loop_ns_per_call": loop,
    }


def check(path: str, itch: str | None, settings: Mapping[str, Any], limit_s: float = _LIMIT_S) -> dict[str, Any]:
    """Compile the file and run it over a recorded day; what `tickwire strategy check` prints. TickwireError.

    A function that does not return within `limit_s` ends the process.
    """
    from . import _core

    compiled = load(path)
    table = compiled.table(settings["strategy"])
    name, data, index = _feed(itch)
    sizes = {  # no more orders than messages; the memory is taken once a round
        "max_orders": min(settings["engine"]["max_orders"], len(index) // 8),
        "max_instruments": settings["engine"]["max_instruments"],
    }
    try:
        with interruptible(), ended_after(limit_s, path, name):
            counts = _core.strategy_try(table, data, index, **sizes)
            engine = _core.process({**settings, "strategy": table}, data, index)
    except (ValueError, MemoryError) as error:
        raise TickwireError(f"{path}: {error}") from None
    if counts["failed_at"]:
        raise TickwireError(
            f"{path}: failed at message {counts['failed_at']} of {name}: an exception, or more than "
            "8 orders from one call; the engine would not call it again"
        )
    with interruptible(), ended_after(limit_s, path, name):
        cost = _cost(table, data, index, sizes)
    del counts["failed_at"], counts["elapsed_ns"], counts["overhead_ns"]
    return {
        "file": path,
        "feed": name,
        "functions": [function for function in _FUNCTIONS if function in compiled.addresses],
        "state_bytes": compiled.addresses["footprint"],
        "tags": compiled.addresses["tags"],
        **counts,
        "risk": {key: value for key, value in engine.items() if key.startswith("risk_")},
        **cost,
    }


def _check(args: argparse.Namespace) -> int:
    settings = config.load(args.config, config.ENGINE) if args.config else config.engine_defaults()
    result = check(args.file, args.itch, settings, args.limit)
    if args.json:
        print(json.dumps(result, indent=2))
        return 0
    risk = ", ".join(f"{key.removeprefix('risk_')} {value}" for key, value in result["risk"].items() if value)
    for title, text in (
        ("functions", ", ".join(result["functions"])),
        ("state", f"{result['state_bytes']} bytes, {result['tags']} tags"),
        ("feed", f"{result['feed']}: {result['messages']} messages, {result['calls']} calls of on_top"),
        ("orders", f"{result['enters']} entered, {result['replaces']} replaced, {result['cancels']} canceled"),
        ("answers", f"{result['updates']} updates; {result['refused']} refused, {result['executed']} executed"),
        ("risk refuses", risk or "none"),
        ("cost", f"{result['ns_per_call']:.1f} ns per call of on_top"),
        ("yardstick", f"{result['imbalance_ns_per_call']:.1f} ns for the built-in imbalance strategy in C"),
        ("clock and loop", f"{result['loop_ns_per_call']:.1f} ns per call, taken off both"),
    ):
        print(f"{title:<16}{text}")
    if not result["calls"]:
        print("warning: it watches no instrument of this feed: see strategy.symbols, on_instrument and --itch")
    if result["endless"]:
        print(f"warning: after {result['endless']} events it answered every answer with orders, without end")
    return 0


def _list(args: argparse.Namespace) -> int:
    del args
    for name, text in BUILT_IN.items():
        print(f"{name:<16}{text}")
    return 0


def add_parser(commands: Any) -> None:
    """`strategy` among the commands of the command line."""
    text = "Strategies: check one in Python, list those built in."
    kinds = commands.add_parser("strategy", help=text, description=text).add_subparsers(
        dest="kind", required=True, metavar="KIND"
    )
    text = "Compile a strategy file, run it over a feed, and say what it asked for and what a call costs."
    sub = kinds.add_parser("check", help=text, description=text)
    sub.set_defaults(action=_check)
    sub.add_argument("file", metavar="FILE", help="Python file, see docs/strategies.md")
    sub.add_argument("--itch", metavar="FILE", help="ITCH 5.0 file, .gz by suffix (default: a generated stream)")
    sub.add_argument("--config", metavar="CONFIG", help="engine configuration (default: the defaults)")
    sub.add_argument("--json", action="store_true")
    text = "seconds one call may take before the check gives up; default %(default)g"
    sub.add_argument("--limit", type=seconds(0.01, 86400), default=_LIMIT_S, metavar="S", help=text)
    text = "Name the built-in strategies."
    kinds.add_parser("list", help=text, description=text).set_defaults(action=_list)
