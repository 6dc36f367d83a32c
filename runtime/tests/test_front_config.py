# SPDX-License-Identifier: Apache-2.0
"""Configuration: every error names the file, the line, the key and the rule."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire import _core, cli, config
from tickwire.config import ENGINE, EXCHANGE, ConfigError
from tickwire.engine import journal_path
from tickwire.tomllines import locate

ENGINE_TOML = """\
[engine]
cpu = 1
housekeeping_cpus = [0]

[feed]
group = "239.192.110.1"
interface = "10.110.0.11"

[orders]
host = "10.110.0.1"
username = "TRADE1"
password = "tickwire"

[risk]
max_size = 1000
"""

EXCHANGE_TOML = """\
[exchange]
itch_file = "feed.itch.gz"
[feed]
group = "239.192.110.1"
interface = "10.110.0.1"
[orders]
address = "10.110.0.1"
[[orders.accounts]]
username = "TRADE1"
password = "tickwire"
[[orders.accounts]]
username = "TRADE2"
password = "tickwire"
"""


def refused(text, schema=ENGINE):
    with pytest.raises(ConfigError) as caught:
        config.parse(text, schema, "x.toml")
    return str(caught.value)


def test_defaults_fill_what_is_left_out():
    parsed = config.parse(ENGINE_TOML, ENGINE, "x.toml")
    assert parsed["engine"]["cpu"] == 1
    assert parsed["engine"]["max_orders"] == 1048576
    assert (parsed["strategy"]["name"], parsed["strategy"]["ratio"], parsed["strategy"]["size"]) == (
        "imbalance",
        3.0,
        100,
    )
    assert parsed["strategy"]["symbols"] == parsed["strategy"]["legs"] == parsed["risk"]["restricted"] == []
    assert parsed["engine"]["warm_send"] is True and parsed["feed"]["group_b"] == ""
    assert config.parse(EXCHANGE_TOML, EXCHANGE, "x.toml")["orders"]["accounts"][1]["username"] == "TRADE2"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("cpu = 1\n", "cpu = -2\n", "x.toml:2: engine.cpu: -2 is outside -1..1023"),
        ("cpu = 1\n", "cpu = 1024\n", "x.toml:2: engine.cpu: 1024 is outside -1..1023"),
        ("cpu = 1\n", "cpu = true\n", "x.toml:2: engine.cpu: must be an integer, not True"),
        ("cpu = 1\n", 'cpu = "1"\n', "x.toml:2: engine.cpu: must be an integer, not '1'"),
        ("cpu = 1\n", "priority = 50\n", "x.toml:2: engine.priority: 50 needs engine.cpu"),
        ("cpu = 1\n", "cpu = 1\npriority = 100\n", "x.toml:3: engine.priority: 100 is outside 0..99"),
        (
            "cpu = 1\n",
            'timestamps = "nic"\n',
            "x.toml:2: engine.timestamps: 'nic' is not one of: auto, hardware, software",
        ),
        ("[0]", "[0, 9999]", "x.toml:3: engine.housekeeping_cpus: 9999 is outside 0..4095"),
        ("[0]", "[0, 1]", "x.toml:3: engine.housekeeping_cpus: contains engine.cpu 1"),
        ("239.192.110.1", "239.192.110", "x.toml:6: feed.group: '239.192.110' is not an IPv4 address"),
        ("TRADE1", "TRADER1", "x.toml:11: orders.username: 'TRADER1' has 7 characters, which is outside 1..6"),
        ('"TRADE1"', '"TRÄDE"', "x.toml:11: orders.username: 'TRÄDE' must be printable ASCII"),
        (
            "max_size = 1000",
            "max_size = 50",
            "x.toml:15: risk.max_size: 50 is below strategy.size 100: no order would pass",
        ),
        ("max_size = 1000", "max_sise = 50", "x.toml:15: risk.max_sise: unknown key; did you mean 'max_size'?"),
        ("[risk]", "[rusk]", "x.toml:14: rusk: unknown key; did you mean 'risk'?"),
        (
            "max_size = 1000",
            'name = "spread"',
            "x.toml:15: risk.name: unknown key; known here: max_size, max_notional_usd",
        ),
        ('host = "10.110.0.1"\n', "", "x.toml:9: orders.host: is required: a string"),
        ("[engine]\ncpu = 1\nhousekeeping_cpus = [0]", "engine = 3", "x.toml:1: engine: must be a table, not 3"),
        ("max_size = 1000", "max_size = ", "x.toml:15: not valid TOML: invalid value (column 12)"),
        ("max_size = 1000\n", 'x = """\n\n', "x.toml:15: not valid TOML: unterminated string (end of document)"),
        ("[risk]", "[strategy]\nratio = nan\n[risk]", "x.toml:15: strategy.ratio: nan is outside 1..1000000"),
        ("[risk]", '[strategy]\nname = "x"\n[risk]', "x.toml:15: strategy.name: 'x' is not one of: imbalance"),
        ("cpu = 1", "warm_send = 1", "x.toml:2: engine.warm_send: must be true or false, not 1"),
        ("cpu = 1\n", "journal_records = 3\n", "x.toml:2: engine.journal_records: 3 is outside 1024..67108864"),
        ("[orders]\n", '[orders]\nversion = "4.1"\n', "x.toml:10: orders.version: '4.1' is not one of: 5.0, 4.2"),
        ("[orders]", 'request_host = "name"\n[orders]', "x.toml:9: feed.request_host: 'name' is not an IPv4 address"),
        (
            "[orders]",
            'interface_b = "1.1.1.1"\n[orders]',
            "feed.group_b: is empty, yet other keys of the B line are set",
        ),
        (
            "[orders]",
            'group_b = "239.192.110.1"\nport_b = 26400\n[orders]',
            "x.toml:9: feed.group_b: 239.192.110.1:26400 is the A line's address too",
        ),
        ("max_size = 1000", 'restricted = "X"', "x.toml:15: risk.restricted: must be a list of strings, not 'X'"),
        ("max_size = 1000", 'restricted = ["x"]', "x.toml:15: risk.restricted: 'x' must be a symbol as on the feed"),
        ("max_size = 1000", 'restricted = ["X", "X"]', "x.toml:15: risk.restricted: 'X' is there twice"),
        (
            "[risk]",
            "[strategy]\nsymbols = [" + ", ".join(f'"S{n}"' for n in range(65)) + "]\n[risk]",
            "x.toml:15: strategy.symbols: has 65 entries, at most 64 are possible",
        ),
        ("[risk]", '[strategy]\nname = "spread"\n[risk]', "strategy.legs: the spread strategy needs 2 to 4 legs"),
        (
            "[risk]",
            '[[strategy.legs]]\nsymbol = "A"\nweight = 0\n[risk]',
            "x.toml:16: strategy.legs[0].weight: 0 buys and sells nothing",
        ),
        (
            "[risk]",
            '[[strategy.legs]]\nsymbol = "A"\nweight = 1\n' * 2 + "[risk]",
            "x.toml:18: strategy.legs[1].symbol: 'A' is there twice",
        ),
        (
            "[risk]",
            '[[strategy.legs]]\nsymbol = "A"\nweight = 1\n' * 5 + "[risk]",
            "x.toml:14: strategy.legs: has 5 entries, at most 4 are possible",
        ),
        # What the chosen transport would pass over.
        ("[orders]\n", '[orders]\ninterface = "10.110.0.11"\n', "x.toml:10: orders.interface: has no effect"),
        ("[feed]\n", '[feed]\ngateway = "10.110.0.1"\n', "x.toml:6: feed.gateway: has no effect"),
        (
            "[feed]\n",
            '[feed]\ntransport = "verbs"\nsource = "10.110.0.1"\n',
            "x.toml:7: feed.source: has no effect",
        ),
        (
            "[feed]\n",
            '[feed]\ntransport = "verbs"\ngroup_b = "239.192.110.1"\n',
            "x.toml:7: feed.group_b: is line A's group: over RDMA a group has no ports",
        ),
        ("[feed]\n", "[feed]\nxdp_queues = [1]\n", "x.toml:6: feed.xdp_queues: has no effect"),
        ("[feed]\n", "[feed]\nbusy_poll_budget = 8\n", "x.toml:6: feed.busy_poll_budget: has no effect"),
    ],
)
def test_error_names_line_key_and_rule(old, new, message):
    assert old in ENGINE_TOML
    said = refused(ENGINE_TOML.replace(old, new, 1))
    assert message in said
    assert said.startswith("x.toml:") and "\n" not in said


def core_refuses(engine: dict) -> str:
    """What the core says to an engine's configuration that the schema lets pass; "" for nothing."""
    parsed = config.parse(ENGINE_TOML, ENGINE, "x.toml")
    try:
        _core.settings_check({**parsed, "engine": {**parsed["engine"], **engine}})
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("key", "most"), [("block", 399), ("journal_dir", 443)])
def test_paths_are_as_long_as_the_core_has_room_for(key, most):
    longest, line = "/" + "d" * (most - 1), f'name = "{"n" * 31}"\n{key} = '
    parsed = config.parse(ENGINE_TOML.replace("cpu = 1\n", f'{line}"{longest}"\n'), ENGINE, "x.toml")
    parsed["orders"]["username"] = "TRADER"  # with the longest name of a journal
    path, name = journal_path(parsed)
    assert core_refuses({"block": parsed["engine"]["block"], "journal": path, "journal_name": name}) == ""
    beyond = {"block": longest + "d"} if key == "block" else {"journal": path + "x"}
    assert "ASCII text of at most" in core_refuses(beyond)
    for value, rule in ((longest + "d", f"which is outside {1 if key == 'block' else 0}..{most}"), ("/dä", "ASCII")):
        said = refused(ENGINE_TOML.replace("cpu = 1\n", f'{line}"{value}"\n'))
        assert said.startswith(f"x.toml:3: engine.{key}: ") and rule in said


def test_the_journal_stands_in_its_directory_whatever_it_is_called():
    engine = {"name": "a/b c", "journal_dir": "/var/my state", "block": "/run/x"}
    path, name = journal_path({"engine": engine, "orders": {"username": "T 1"}}, 0.0)
    assert (path, name) == ("/var/my state/a_b_c-T_1-19700101.journal", "T 1 19700101")


def test_errors_inside_arrays_of_tables_name_the_item():
    said = refused(EXCHANGE_TOML.replace('"TRADE2"', '""'), EXCHANGE)
    assert said == "x.toml:12: orders.accounts[1].username: '' has 0 characters, which is outside 1..6"
    said = refused(EXCHANGE_TOML.replace('"TRADE2"', '"trade1"'), EXCHANGE)
    assert said == "x.toml:12: orders.accounts[1].username: 'trade1' is there twice"
    said = refused(EXCHANGE_TOML[: EXCHANGE_TOML.index("[[")], EXCHANGE)
    assert said.startswith("x.toml:6: orders.accounts: needs at least 1 entry")


def test_check_tells_the_kind_of_a_file(tmp_path):
    for kind, text in (("engine", ENGINE_TOML), ("exchange", EXCHANGE_TOML)):
        (tmp_path / "x.toml").write_text(text)
        assert config.check(tmp_path / "x.toml") == kind
        (tmp_path / "x.toml").write_text(text.replace("[feed]", "[feed]\nprot = 1"))
        with pytest.raises(ConfigError, match=r"x.toml:\d+: feed.prot: unknown key; did you mean 'port'\?$"):
            config.check(tmp_path / "x.toml")
    (tmp_path / "x.toml").write_text('[feed]\ngroup = "239.192.110.1"\n')
    with pytest.raises(ConfigError, match=r"none of its keys tells whether it is for an engine or an exchange; see "):
        config.check(tmp_path / "x.toml")


@pytest.mark.parametrize(
    ("text", "schema", "said"),
    [
        (
            EXCHANGE_TOML,
            ENGINE,
            "x.toml: has [exchange], so it is the configuration of an exchange, for `tickwire exchange`",
        ),
        (ENGINE_TOML, EXCHANGE, "x.toml: has [engine], so it is the configuration of an engine, for `tickwire run`"),
        (
            EXCHANGE_TOML.partition("[feed]")[2],
            ENGINE,
            "x.toml: has orders.address, so it is the configuration of an exch",
        ),
    ],
)
def test_a_file_of_the_other_kind_is_named_with_its_command(text, schema, said):
    text = text if text.startswith("[") else f"[feed]{text}"
    assert refused(text, schema).startswith(said)


def test_the_command_says_which_one_takes_the_file(tmp_path, capsys):
    for text, command, other in ((EXCHANGE_TOML, "run", "exchange"), (ENGINE_TOML, "exchange", "run")):
        (tmp_path / "x.toml").write_text(text)
        assert cli.main([command, str(tmp_path / "x.toml")]) == 1
        err = capsys.readouterr().err
        assert err.count("\n") == 1 and f"for `tickwire {other}`; `tickwire {command}` needs that of an e" in err


def test_unreadable_files(tmp_path):
    with pytest.raises(
        ConfigError, match=r"absent.toml: cannot read the configuration: No such file .*; name a TOML file"
    ):
        config.load(tmp_path / "absent.toml", ENGINE)
    with pytest.raises(ConfigError, match=r"cannot read the configuration: Is a directory; name a TOML file, such as"):
        config.load(tmp_path, ENGINE)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"binary.toml: byte 0 is not UTF-8 text; a configuration is a TOML file"):
        config.load(tmp_path / "binary.toml", ENGINE)


def test_a_file_that_must_not_be_read_says_so(tmp_path, monkeypatch):
    def refuse(*args, **keys):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(config.Path, "read_text", refuse)
    with pytest.raises(ConfigError, match="Permission denied; run as a user who may read it"):
        config.load(tmp_path / "x.toml", ENGINE)


def test_lines_are_found_behind_multi_line_values():
    text = 'a = [\n  1, # ]\n  "]",\n]\nb = """\nc = 1\n"""\nd = 2\n[t]\n"e f" = 3\n[[x.y]]\nz = 1\n[[x.y]]\nz = 2\n'
    tomllib.loads(text)
    assert locate(text) == {
        ("a",): 1,
        ("b",): 5,
        ("d",): 8,
        ("t",): 9,
        ("t", "e f"): 10,
        ("x", "y"): 11,
        ("x", "y", "[0]"): 11,
        ("x", "y", "[0]", "z"): 12,
        ("x", "y", "[1]"): 13,
        ("x", "y", "[1]", "z"): 14,
    }


@given(st.text(alphabet="ab=[]{}\"'#.\n, 1\\", max_size=60))
def test_any_valid_toml_can_be_located_and_is_checked_or_refused(text):
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        assert refused(text).startswith("x.toml:")
        return
    assert all(1 <= line <= text.count("\n") + 1 for line in locate(text).values())
    refused(text)  # whatever it says, the required keys are not in it


@pytest.mark.parametrize("mtu", [0, 256, 512, 1024, 2048, 4096])
def test_path_mtus_of_roce(mtu):
    for section, text, schema in (("verbs", ENGINE_TOML, ENGINE), ("rdma", EXCHANGE_TOML, EXCHANGE)):
        parsed = config.parse(f"{text}[{section}]\nmtu = {mtu}\n", schema, "x.toml")
        assert parsed[section]["mtu"] == mtu


@pytest.mark.parametrize("mtu", [1, 1500, 4095, 9000])
def test_what_is_no_path_mtu_is_refused(mtu):
    said = refused(f"{ENGINE_TOML}[verbs]\nmtu = {mtu}\n")
    assert f"verbs.mtu: {mtu} is no path MTU of RoCE: 256, 512, 1024, 2048, 4096, or 0: any" in said


@pytest.mark.parametrize(
    ("feed", "orders", "chosen"),
    [
        ("", "", ("socket", 26401)),
        ('transport = "xdp"', "", ("socket", 26401)),
        ('transport = "verbs"', "", ("verbs", 26404)),  # the hybrid
        ('transport = "verbs"', 'transport = "auto"\nport = 26500', ("verbs", 26500)),
        ('transport = "verbs"', 'transport = "socket"', ("socket", 26401)),
        ("", 'transport = "verbs"', ("verbs", 26404)),
    ],
)
def test_orders_go_the_way_of_an_rdma_feed(feed, orders, chosen):
    text = ENGINE_TOML.replace("[feed]\n", f"[feed]\n{feed}\n").replace("[orders]\n", f"[orders]\n{orders}\n")
    parsed = config.parse(text, ENGINE, "x.toml")["orders"]
    assert (parsed["transport"], parsed["port"]) == chosen
