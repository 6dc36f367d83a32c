# SPDX-License-Identifier: Apache-2.0
"""Strategies in Python: the same orders as in C, what is refused, what happens on an exception, and the commands."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from core_messages import RITCH, SYNTHETIC, itch_file
from hypothesis import given, settings
from hypothesis import strategies as st

import tickwire
from tickwire import _core, cli, config, strategy
from tickwire.errors import TickwireError

EXAMPLES = Path(tickwire.__file__).parent / "examples" / "strategies"
FEED = str(Path(__file__).parents[2] / "tests" / "fixtures" / "itch" / SYNTHETIC)
HEAD = 'from tickwire.records import *\nSTATE = [("n", "i8"), ("a", "u4", 4)]\n'
TOP = "def on_top(state, event, orders):\n"


@pytest.fixture(scope="module")
def imbalance() -> strategy.Compiled:
    return strategy.load(EXAMPLES / "imbalance.py")


def run(tmp_path: Path, text: str) -> _core.Strategy:
    path = tmp_path / "mine.py"
    path.write_text(HEAD + text)
    return _core.Strategy(strategy.load(path).table({}))


# --- the records


def test_the_records_are_those_of_the_core() -> None:
    from tickwire import records

    layout = _core.strategy_layout()
    for name, dtype in (
        ("tw_level", records.LEVEL),
        ("tw_event", records.EVENT),
        ("tw_order", records.ORDER),
        ("tw_update", records.UPDATE),
        ("tw_strategy_settings", records.SETTINGS),
    ):
        assert dtype.isalignedstruct and dtype.itemsize == layout[name][""][1]
        assert dtype.fields and dtype.names
        fields = {field: (dtype.fields[field][1], dtype.fields[field][0].itemsize) for field in dtype.names}
        assert fields == {field: place for field, place in layout[name].items() if field}


def test_every_field_arrives(tmp_path: Path) -> None:
    """Each field of event and update has a number of its own, and comes back as the shares of an order."""
    event = ["time_ns", "bid_shares", "ask_shares", "position", "bid", "ask", "locate"]
    update = ["time_ns", "position", "reference", "tag", "price", "shares", "open_shares", "locate"]

    def pick(record: str, names: list[str], last: str) -> str:
        lines = ["state.n += 1", "value = 0"]
        lines += [f"if state.n == {n + 1}: value = int({record}.{name})" for n, name in enumerate(names)]
        lines += [f"if state.n > {len(names)}: {last}", f"return enter(orders, 0, {record}, BUY, 1, value)"]
        return "".join(f"    {line}\n" for line in lines)

    text = TOP + pick("event", event, "return enter(orders, 0, event, SELL, event.trading_state, 7, 3, IOC, LEG)")
    text += "def on_update(state, update, orders):\n"
    text += pick("update", update, "return enter(orders, 0, update, update.side, update.kind, 1)")
    values: dict[str, Any] = {name: 11 + n for n, name in enumerate(dict.fromkeys(event + update))}
    mine = run(tmp_path, text)
    assert [mine.event(values)[0]["shares"] for _ in event] == [values[name] for name in event]
    (last,) = mine.event({**values, "trading_state": "Q"})
    assert last == {
        "action": "E", "side": "S", "price": ord("Q"), "shares": 7, "tag": 3, "locate": values["locate"],
        "time_in_force": "3", "flags": 1,
    }  # fmt: skip
    mine = run(tmp_path, text)
    assert [mine.update(values)[0]["shares"] for _ in update] == [values[name] for name in update]
    (last,) = mine.update({**values, "side": "S", "kind": "U"})
    assert (last["side"], last["price"], last["tag"], last["time_in_force"]) == ("S", ord("U"), None, "0")


def test_the_books_are_not_the_strategys_to_write(tmp_path: Path) -> None:
    """What it is given of a level is a copy that cannot be changed: its file is refused."""
    path = tmp_path / "mine.py"
    path.write_text(HEAD + TOP + "    level = bid_level(event, 0)\n    level.shares = 0\n    return 0\n")
    with pytest.raises(TickwireError, match="on_top"):
        strategy.load(path)


def test_levels_are_read_from_the_best(tmp_path: Path) -> None:
    mine = run(
        tmp_path,
        TOP + "    count = 0\n    for n in range(bid_levels(event)):\n        level = bid_level(event, n)\n"
        "        count = enter(orders, count, event, BUY, level.price, level.shares * 1000 + level.orders)\n"
        "    for n in range(ask_levels(event)):\n        level = ask_level(event, n)\n"
        "        count = enter(orders, count, event, SELL, level.price, level.shares * 1000 + level.orders)\n"
        "    return count\n",
    )
    orders = mine.event({"bids": [(99, 5, 1), (98, 6, 2), (97, 7, 3)], "asks": [(101, 8, 4)]})
    assert [(o["side"], o["price"], o["shares"]) for o in orders] == [
        ("B", 99, 5001), ("B", 98, 6002), ("B", 97, 7003), ("S", 101, 8004),
    ]  # fmt: skip


def test_replace_and_cancel_name_the_tag(tmp_path: Path) -> None:
    mine = run(
        tmp_path,
        "TAGS = 6\n" + TOP + "    return cancel(orders, replace(orders, 0, event, 5, SELL, 123, 9), event, 4)\n",
    )
    first, second = mine.event({"locate": 3})
    assert mine.tags() == 6
    assert [first[key] for key in ("action", "tag", "side", "price", "shares", "locate")] == ["R", 5, "S", 123, 9, 3]
    assert (second["action"], second["tag"]) == ("C", 4)


# --- the twin


@pytest.mark.parametrize("name", [SYNTHETIC, RITCH])
@pytest.mark.parametrize("ratio", [1.0, 3.0, 7.77])
def test_the_twin_sends_the_same_bytes(imbalance: strategy.Compiled, name: str, ratio: float) -> None:
    data, index, _ = itch_file(name)
    built_in = _core.process({"strategy": {"ratio": ratio, "size": 200}}, data, index)["orders"]
    assert built_in
    assert (
        _core.process({"strategy": imbalance.table({"ratio": ratio, "size": 200})}, data, index)["orders"] == built_in
    )


SHARES = st.integers(0, 3000) | st.integers(0, 2**60)


@given(
    ratio=st.floats(1.0, 1e6) | st.sampled_from([1.0, 2.0, 3.0]),
    tops=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), SHARES, SHARES), max_size=20),
)
@settings(max_examples=200)
def test_the_twin_decides_alike_on_any_top(
    imbalance: strategy.Compiled, ratio: float, tops: list[tuple[int, ...]]
) -> None:
    one, two = _core.Strategy({"ratio": ratio}), _core.Strategy(imbalance.table({"ratio": ratio}))
    for n, (locate, prices, bid_shares, ask_shares) in enumerate(tops):
        bid, ask = ((0, 10), (10, 0), (10, 20))[prices]
        top = {"locate": locate, "bid": bid, "ask": ask, "bid_shares": bid_shares, "ask_shares": ask_shares}
        assert one.event(top) == two.event(top)
        if n == 15:
            one.reset()
            two.reset()


def test_join_best_keeps_one_order_at_the_best_bid() -> None:
    table = strategy.load(EXAMPLES / "join_best.py").table({"size": 100, "max_position": 150})
    mine = _core.Strategy(table)
    assert mine.name(1, "B") and not mine.name(2, "C")

    def asked(orders: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
        return [(order["action"], order["price"], order["tag"]) for order in orders]

    def update(kind: str, price: int, open_shares: int, reference: int = 1, position: int = 0) -> list[tuple[Any, ...]]:
        about = {"kind": kind, "price": price, "open_shares": open_shares, "locate": 1, "position": position}
        return asked(mine.update({**about, "reference": reference}))

    assert asked(mine.event({"locate": 1, "bid": 100, "ask": 200})) == [("E", 100, 0)]
    assert asked(mine.event({"locate": 1, "bid": 110, "ask": 200})) == []
    assert update("A", 100, 100) == []
    assert asked(mine.event({"locate": 1, "bid": 110, "ask": 200})) == [("R", 110, 0)]
    assert update("R", 110, 100, reference=0) == []
    assert asked(mine.event({"locate": 1, "bid": 110, "ask": 210})) == []
    assert asked(mine.event({"locate": 1, "bid": 120, "ask": 210})) == [("R", 120, 0)]
    assert update("U", 120, 100) == []
    assert asked(mine.event({"locate": 1, "bid": 120, "ask": 210, "trading_state": "H"})) == [("C", 0, 0)]
    assert update("C", 120, 0) == []
    assert asked(mine.event({"locate": 1, "bid": 120, "ask": 210})) == [("E", 120, 0)]
    assert update("A", 120, 100) == [] and update("E", 120, 0, position=100) == []
    assert asked(mine.event({"locate": 1, "bid": 120, "ask": 210, "position": 100})) == []
    assert not mine.failed()


# --- what cannot be compiled, or must not run


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TOP + "    return event.nothing\n", "mine.py:4: on_top: no record here has a field 'nothing'"),
        (TOP + "    return undefined(3)\n", "mine.py:4: on_top: numba cannot compile this: NameError"),
        (TOP + '    state.n = "a"\n    return 1\n', "mine.py:4: on_top: numba cannot compile this: Cannot cast"),
        (
            TOP + "    with open('x'): pass\n    return 1\n",
            "mine.py:4: on_top: numba cannot compile this: Unsupported context",
        ),
        (TOP + "    enter(orders, 0)\n    return 1\n", "mine.py:4: on_top: numba cannot compile this: Cannot bind"),
        (TOP + "    state.n += 1\n", "mine.py:3: on_top must return an integer on every way, not none"),
        (TOP + "    return 0.5\n", "mine.py:3: on_top must return an integer on every way, not float64"),
        (TOP + "    x = [1]\n    x.append(event.bid)\n    return x[0]\n", "mine.py:3: on_top: allocates memory"),
        (TOP + "    print(event.bid)\n    return 0\n", "mine.py:3: on_top: calls the interpreter"),
        ("def on_top(state, event):\n    return 0\n", "mine.py:3: on_top must take 3 arguments"),
        (TOP + "    return 0\nx = (\n", "mine.py:5: '(' was never closed"),
        (TOP + "    return 0\nraise RuntimeError('sorry')\n", "mine.py:5: RuntimeError: sorry"),
        ("", "has no on_top(state, event, orders)"),
        ("on_top = 5\n", "on_top must be a plain function"),
        ("STATE = 5\n" + TOP + "    return 0\n", "STATE is no list of fields"),
        ("del STATE\n" + TOP + "    return 0\n", "has no STATE"),
        ('STATE = [("x", "O")]\n' + TOP + "    return 0\n", "STATE must have fields of numbers"),
        ("TAGS = -1\n" + TOP + "    return 0\n", "TAGS = -1 must be an integer from 0 to 1048576"),
    ],
)
def test_a_refusal_is_one_line_with_the_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(TickwireError) as caught:
        run(tmp_path, text)
    assert said in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "body",
    [
        "    if event.bid > 5: raise ValueError('x')\n    return 1\n",
        "    assert event.bid <= 5\n    return 1\n",
        "    state.a[event.bid] = 1\n    return 1\n",
        "    orders[event.bid + 4].price = 1\n    return 1\n",
        "    return 1 + bid_level(event, event.bid).price * 0 if event.bid > 5 else 1\n",
        "    return event.bid + 3 if event.bid > 5 else 1\n",
        "    return -1 if event.bid > 5 else 1\n",
        "    return deeper(event)\ndef deeper(event):\n    if event.bid > 5: raise KeyError('x')\n    return 1\n",
    ],
)
def test_a_function_that_fails_asks_for_nothing_from_then_on(tmp_path: Path, body: str, capfd: Any) -> None:
    mine = run(tmp_path, TOP + body)
    assert len(mine.event({"bid": 3})) == 1 and not mine.failed()
    assert mine.event({"bid": 6}) == [] and mine.failed()
    assert mine.event({"bid": 3}) == [] and not mine.name(1, "X")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["init(state, settings)", "reset(state)", "on_instrument(state, locate, stock)"])
def test_the_other_functions_may_fail_too(tmp_path: Path, name: str) -> None:
    mine = run(tmp_path, TOP + f"    return 1\ndef {name}:\n    state.a[state.n + 4] = 1\n    return 1\n")
    mine.name(1, "X")
    mine.reset()
    assert mine.failed() and mine.event({"bid": 3}) == []


def test_division_by_zero_does_not_raise(tmp_path: Path) -> None:
    mine = run(tmp_path, TOP + "    state.n = 7 // event.ask_shares + 7 % event.ask_shares\n    return 1\n")
    assert len(mine.event({})) == 1 and not mine.failed()


def test_the_strategy_of_the_documentation_runs(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "strategies.md").read_text(encoding="utf-8")
    (tmp_path / "last_bid.py").write_text(text.partition("```python\n")[2].partition("```")[0])
    mine = _core.Strategy(strategy.load(tmp_path / "last_bid.py").table({"size": 7}))
    top = {"locate": 2, "ask": 200, "bid_shares": 3, "ask_shares": 2}
    assert mine.event({**top, "bid": 100}) == []
    (order,) = mine.event({**top, "bid": 110})
    assert (order["side"], order["price"], order["shares"], order["time_in_force"]) == ("B", 200, 7, "3")
    assert mine.event({**top, "bid": 110}) == [] and not mine.failed()


# --- configuration and commands


BASE = '[feed]\ngroup="127.0.0.1"\ninterface="127.0.0.1"\n[orders]\nhost="127.0.0.1"\nusername="T"\npassword="p"\n'


def test_a_replay_with_a_strategy_that_fails_says_so(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "mine.py").write_text(HEAD + TOP + "    return 99\n")
    (tmp_path / "e.toml").write_text(BASE + f'[strategy]\nfile = "{tmp_path / "mine.py"}"\n')
    for option in ([], ["--json"]):
        assert cli.main(["replay", FEED, "--config", str(tmp_path / "e.toml"), *option]) == 1
        assert "e.toml: the strategy failed and was not called again" in capsys.readouterr().err


def test_a_file_of_the_configuration_runs_in_the_engine(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "e.toml").write_text(BASE + f'[strategy]\nfile = "{EXAMPLES / "imbalance.py"}"\n')
    assert cli.main(["replay", FEED, "--config", str(tmp_path / "e.toml"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["orders"] == 1188
    settings = config.load(tmp_path / "e.toml", config.ENGINE)
    assert strategy.prepare(settings)["strategy"]["addresses"]["on_top"] > 0
    assert "addresses" not in settings["strategy"]
    assert strategy.prepare({"strategy": {"file": ""}}) == {"strategy": {"file": ""}}


def test_check_reports_orders_and_costs(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli.main(["strategy", "check", str(EXAMPLES / "imbalance.py"), "--itch", FEED, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["enters"], result["replaces"], result["cancels"]) == (1188, 0, 0)
    assert result["messages"] == 100_002 and result["functions"] == ["init", "reset", "on_top"]
    for key in ("ns_per_call", "imbalance_ns_per_call", "loop_ns_per_call"):
        assert isinstance(result[key], float)
    monkeypatch.setattr(strategy, "_MESSAGES", 5000)
    assert cli.main(["strategy", "check", str(EXAMPLES / "join_best.py")]) == 0
    out = capsys.readouterr().out
    assert "generated, seed 1: 5000 messages" in out and "ns per call of on_top" in out
    assert "warning: it watches no instrument of this feed" in out


def test_check_says_where_a_strategy_failed(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "mine.py").write_text(HEAD + TOP + "    return 9\n")
    assert cli.main(["strategy", "check", str(tmp_path / "mine.py"), "--itch", FEED]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "mine.py: failed at message " in err


def test_ctrl_c_ends_a_check_at_once(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    # A strategy with an endless loop never returns to the interpreter.
    during: list[Any] = []
    real = _core.strategy_try

    def watched(*args: Any, **keys: Any) -> Any:
        during.append(signal.getsignal(signal.SIGINT))
        return real(*args, **keys)

    monkeypatch.setattr(_core, "strategy_try", watched)
    monkeypatch.setattr(strategy, "_MESSAGES", 1000)
    before = signal.getsignal(signal.SIGINT)
    assert cli.main(["strategy", "check", str(EXAMPLES / "imbalance.py")]) == 0
    capsys.readouterr()
    assert len(during) > 1 and set(during) == {signal.SIG_DFL} and signal.getsignal(signal.SIGINT) == before


ENDLESS = "    while state.n >= 0:\n        state.n = (state.n + 1) % 1000\n    return 0\n"


@pytest.mark.parametrize(
    ("function", "text"),
    [
        ("on_top", TOP + ENDLESS),
        ("init", TOP + "    return 0\ndef init(state, settings):\n" + ENDLESS.replace("return 0", "return")),
        ("on_instrument", TOP + "    return 0\ndef on_instrument(state, locate, stock):\n" + ENDLESS),
    ],
)
def test_a_check_gives_up_on_a_function_that_does_not_return(tmp_path: Path, function: str, text: str) -> None:
    (tmp_path / "mine.py").write_text(HEAD + text)
    command = [sys.executable, "-m", "tickwire", "strategy", "check", "mine.py", "--itch", FEED, "--limit", "0.2"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (1, "") and done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"tickwire: mine.py: {function} has not returned for 0.2 s, in call ")
    assert FEED in done.stderr and "--limit" in done.stderr


def test_the_limit_is_for_one_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """A check that takes much longer than the limit, in calls that do not."""
    monkeypatch.setattr(strategy, "_MESSAGES", 2000)
    (tmp_path / "mine.py").write_text(
        HEAD + TOP + "    for n in range(20000):\n        state.n = (state.n + n) % 7\n    return 0\n"
    )
    assert cli.main(["strategy", "check", str(tmp_path / "mine.py"), "--limit", "0.1"]) == 0
    assert "2000 messages" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["soon", "0", "inf"])
def test_a_limit_is_a_number_of_seconds(text: str, capsys: Any) -> None:
    with pytest.raises(SystemExit):
        cli.main(["strategy", "check", "x.py", "--limit", text])
    assert (
        f"argument --limit: {text!r} is not a number" in (err := capsys.readouterr().err) or f"{text} is outside" in err
    )


def test_list_names_what_the_core_has(capsys: Any) -> None:
    assert cli.main(["strategy", "list"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names == list(config.ENGINE["strategy"]["name"].choices)  # type: ignore[index, union-attr]
    legs = [{"symbol": "A", "weight": 1}, {"symbol": "B", "weight": -1}]
    for name in names:
        _core.Strategy({"name": name, "symbols": ["A"], "legs": legs})


def test_without_numba_everything_else_works() -> None:
    script = (
        "import sys; sys.modules['numba'] = None\n"
        "from tickwire import cli\n"
        "assert cli.main(['strategy', 'list']) == 0\n"
        f"sys.exit(cli.main(['strategy', 'check', {str(EXAMPLES / 'imbalance.py')!r}]))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "need numba, which is not installed: pip install 'tickwire[strategy]'" in done.stderr
    done = subprocess.run(
        [sys.executable, "-c", script.replace("imbalance.py", "absent.py")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "absent.py: cannot read the strategy" in done.stderr
