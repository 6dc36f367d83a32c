"""The command line in BLS entries: grubby per entry, rescue entries, files for later kernels, and failures."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.tickwire.fabric.plugins.module_utils.host.boot import bls, bls_files, grubenv, loader, record
from ansible_collections.tickwire.fabric.plugins.module_utils.host.cmdline import differences, parse_cmdline
from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError
from tests.unit.host.boot_tree import BLS_HOSTS, FIXTURES, MACHINE, BlsHost, grubby_options

PAGES = "hugepagesz=1G hugepages=8 hugepagesz=2M hugepages=512"
WANTED = parse_cmdline(f"isolcpus=managed_irq,domain,1 nohz_full=1 {PAGES} processor.max_cstate=1 nosoftlockup")
RESCUE = f"boot/loader/entries/{MACHINE}-0-rescue.conf"


@pytest.fixture(params=BLS_HOSTS)
def every_host(request: pytest.FixtureRequest, tmp_path: Path) -> BlsHost:
    return BlsHost(tmp_path / "root", request.param)


@pytest.fixture(params=["rocky9", "kernelopts"])
def bls_host(request: pytest.FixtureRequest, tmp_path: Path) -> BlsHost:
    return BlsHost(tmp_path / "root", request.param)


def managed(host: BlsHost) -> list[str]:
    return [name for name in host.names() if "rescue" not in name]


def test_the_double_of_grubby_does_what_the_real_one_did() -> None:
    steps = (FIXTURES / "grubby/8.40-69.txt").read_text().strip().split("\n\n")
    assert len(steps) == 9
    for step in steps:
        lines = [line.partition(": ")[::2] for line in step.splitlines()]
        found = dict(lines)
        given = dict(value.removeprefix("--").partition("=")[::2] for name, value in lines if name == "argument")
        environment = {"kernelopts": "root=/dev/mapper/vg-root ro quiet"} if found["env"] == "env" else {}
        made = grubby_options(found["options"], environment, given.get("remove-args", ""), given.get("args", ""))
        if "nosoftlockup nosoftlockup" not in step:  # the real one leaves every second of a row of equal words
            assert made == found["result"], step


def test_every_entry_but_the_rescue_one_carries_the_tokens(every_host: BlsHost) -> None:
    rescue, before = every_host.read(RESCUE), {name: every_host.options(name) for name in managed(every_host)}
    result = loader.apply_cmdline(every_host.system, WANTED, check=False)
    assert result.changed and result.reboot_required
    assert [entry.ours for entry in result.entries].count(False) == 1
    for name, options in before.items():
        # Variables stay variables, what others set stays as it is, and the pages keep their order.
        assert every_host.options(name) == f"{options} " + " ".join(str(token) for token in WANTED)
    assert every_host.read(RESCUE) == rescue
    assert "kernelopts" not in every_host.environment() or "isolcpus" not in every_host.environment()["kernelopts"]
    assert PAGES in every_host.read("etc/kernel/cmdline")
    assert "BOOT_IMAGE" not in every_host.read("etc/kernel/cmdline")
    assert f'GRUB_CMDLINE_LINUX="rhgb quiet isolcpus=managed_irq,domain,1 nohz_full=1 {PAGES} ' in every_host.read(
        "etc/default/grub"
    )
    every_host.boot()
    assert not loader.apply_cmdline(every_host.system, WANTED, check=False).reboot_required


def test_second_run_changes_nothing_and_check_mode_writes_nothing(bls_host: BlsHost) -> None:
    before = bls_host.tree()
    foretold = loader.apply_cmdline(bls_host.system, WANTED, check=True)
    assert foretold.changed and foretold.reboot_required
    assert bls_host.tree() == before and bls_host.ran == []
    loader.apply_cmdline(bls_host.system, WANTED, check=False)
    before, ran = bls_host.tree(), len(bls_host.ran)
    assert not loader.apply_cmdline(bls_host.system, WANTED, check=False).changed
    assert bls_host.tree() == before and len(bls_host.ran) == ran


def test_change_and_removal_leave_nothing_behind(bls_host: BlsHost) -> None:
    entries = {name: bls_host.options(name) for name in bls_host.names()}
    default_grub = bls_host.read("etc/default/grub")
    loader.apply_cmdline(bls_host.system, WANTED, check=False)
    fewer = parse_cmdline("isolcpus=managed_irq,domain,1 hugepagesz=2M hugepages=16")
    loader.apply_cmdline(bls_host.system, fewer, check=False)
    for name in managed(bls_host):
        assert bls_host.options(name).endswith(" isolcpus=managed_irq,domain,1 hugepagesz=2M hugepages=16")
        assert "nohz_full" not in bls_host.options(name)
    loader.apply_cmdline(bls_host.system, [], check=False)
    assert {name: bls_host.options(name) for name in bls_host.names()} == entries
    assert bls_host.read("etc/default/grub") == default_grub
    assert not (bls_host.root / "etc/kernel/cmdline").exists()
    assert not (bls_host.root / record.RECORD).exists()


def test_what_others_set_is_not_ours_to_take_away(tmp_path: Path) -> None:
    host = BlsHost(tmp_path / "root")
    wanted = parse_cmdline("quiet skew_tick=1")
    loader.apply_cmdline(host.system, wanted, check=False)
    loader.apply_cmdline(host.system, [], check=False)
    assert all("quiet" in host.options(name).split() for name in managed(host))


def test_other_peoples_consoles_stay(tmp_path: Path) -> None:
    host = BlsHost(tmp_path / "root")
    for name in managed(host):
        path = host.root / f"boot/loader/entries/{name}.conf"
        path.write_text(path.read_text().replace(" quiet", " quiet console=tty0"))
    loader.apply_cmdline(host.system, parse_cmdline("console=ttyS0,115200"), check=False)
    consoles = [word for word in host.options(managed(host)[0]).split() if word.startswith("console=")]
    assert consoles == ["console=tty0", "console=ttyS0,115200"]
    loader.apply_cmdline(host.system, [], check=False)
    assert [word for word in host.options(managed(host)[0]).split() if word.startswith("console=")] == ["console=tty0"]


def test_a_contradicting_token_of_somebody_else_is_refused(tmp_path: Path) -> None:
    host = BlsHost(tmp_path / "root")
    path = host.root / f"boot/loader/entries/{managed(host)[0]}.conf"
    path.write_text(path.read_text().replace(" quiet", " quiet isolcpus=2"))
    before = host.tree()
    with pytest.raises(HostError, match=r"it has 'isolcpus=2'.*grubby --remove-args"):
        loader.apply_cmdline(host.system, WANTED, check=False)
    assert host.tree() == before


def test_a_variable_of_the_environment_block_is_read(tmp_path: Path) -> None:
    host = BlsHost(tmp_path / "root", "kernelopts")
    host.set_environment({**host.environment(), "kernelopts": "root=/dev/sda ro isolcpus=2"})
    with pytest.raises(HostError, match="it has 'isolcpus=2'"):
        loader.apply_cmdline(host.system, WANTED, check=False)


@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_failing_grubby_puts_everything_back(tmp_path: Path, call: int) -> None:
    host = BlsHost(tmp_path / "root")
    real, calls = host.run_grubby, []

    def failing(arguments: list[str]) -> str:
        calls.append(arguments)
        if len(calls) == call:
            raise HostError("grubby", "exit 1", "it failed: disk full")
        return real(arguments)

    host.run_grubby = failing
    before = {name: text for name, (dummy, text, other) in host.tree().items()}
    with pytest.raises(HostError, match="disk full"):
        loader.apply_cmdline(host.system, WANTED, check=False)
    assert {name: text for name, (dummy, text, other) in host.tree().items() if name[:3] != "var"} == before


def test_a_grubby_that_writes_something_else_is_noticed(tmp_path: Path) -> None:
    host = BlsHost(tmp_path / "root")
    host.run_grubby = lambda arguments: "" if "--info=ALL" not in arguments else BlsHost.run_grubby(host, arguments)
    with pytest.raises(HostError, match="does not carry the wanted tokens"):
        loader.apply_cmdline(host.system, WANTED, check=False)
    assert not (host.root / "etc/kernel/cmdline").exists() and not (host.root / record.RECORD).exists()


def test_wherever_a_run_is_cut_off_the_next_one_finishes_it(tmp_path: Path) -> None:
    """The host dies at each program that is run: a copy of its disk at that moment is taken on."""
    host = BlsHost(tmp_path / "root")
    loader.apply_cmdline(host.system, parse_cmdline("nohz_full=1 skew_tick=1"), check=False)
    real, copies = host.run, []

    def copying(argv: list[str]) -> tuple[int, str, str]:
        copies.append(shutil.copytree(host.root, tmp_path / f"copy{len(copies)}"))
        return real(argv)

    host.run = copying
    loader.apply_cmdline(host.system, WANTED, check=False)
    wanted = {name: host.options(name) for name in managed(host)}
    assert len(copies) >= 3
    for copy in copies:
        other = BlsHost.__new__(BlsHost)
        other.root, other.ran, other.fails = copy, [], {}
        loader.apply_cmdline(other.system, WANTED, check=False)
        for name in managed(other):
            assert parse_cmdline(other.options(name)) == parse_cmdline(wanted[name])
        loader.apply_cmdline(other.system, [], check=False)
        assert all("skew_tick" not in other.options(name) for name in managed(other))


@pytest.mark.parametrize("text", ["a=b&c", "a=*", 'dyndbg="file x +p"', "a=b|c"])
def test_what_grubby_would_mangle_is_refused(tmp_path: Path, text: str) -> None:
    host = BlsHost(tmp_path / "root")
    with pytest.raises(HostError, match="grubby, which keeps the boot entries"):
        loader.apply_cmdline(host.system, parse_cmdline(text), check=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('GRUB_CMDLINE_LINUX="rhgb quiet"\n', 'GRUB_CMDLINE_LINUX="rhgb quiet nohz_full=1"\n'),
        ("GRUB_CMDLINE_LINUX='a'\nX=1\n", 'GRUB_CMDLINE_LINUX="a nohz_full=1"\nX=1\n'),
        ("GRUB_CMDLINE_LINUX=\n", 'GRUB_CMDLINE_LINUX="nohz_full=1"\n'),
        ('GRUB_CMDLINE_LINUX_DEFAULT="x"\n', 'GRUB_CMDLINE_LINUX_DEFAULT="x"\nGRUB_CMDLINE_LINUX="nohz_full=1"\n'),
    ],
)
def test_default_grub_is_changed_in_its_one_line(tmp_path: Path, text: str, expected: str) -> None:
    host = BlsHost(tmp_path / "root")
    host.write("etc/default/grub", text)
    assert bls_files.new_default_grub(host.system, parse_cmdline("nohz_full=1"), []) == expected


@pytest.mark.parametrize(
    "text", ['GRUB_CMDLINE_LINUX="$(x)"', 'GRUB_CMDLINE_LINUX="a" # b', 'GRUB_CMDLINE_LINUX="a\n b"']
)
def test_a_default_grub_that_is_more_than_a_value_is_refused(tmp_path: Path, text: str) -> None:
    host = BlsHost(tmp_path / "root")
    host.write("etc/default/grub", text + "\n")
    with pytest.raises(HostError, match="not one line with a plain value"):
        loader.apply_cmdline(host.system, WANTED, check=False)


def test_hosts_of_other_kinds_are_refused(tmp_path: Path) -> None:
    host = BlsHost(tmp_path / "root")
    host.write("run/ostree-booted", "")
    with pytest.raises(HostError, match="rpm-ostree"):
        loader.check_supported(host.root)
    (host.root / "run/ostree-booted").unlink()
    (host.root / "usr/sbin/grubby").unlink()
    with pytest.raises(HostError, match="Install grubby"):
        loader.check_supported(host.root)
    shutil.rmtree(host.root / "boot/loader")
    with pytest.raises(HostError, match="Install grub2-common"):
        loader.check_supported(host.root)


def test_the_block_is_of_grubs_size() -> None:
    text = grubenv.empty_grubenv()
    assert len(text) == 1024 and grubenv.parse_grubenv(text) == {}


KEYS = st.sampled_from(["isolcpus", "nohz_full", "hugepagesz", "hugepages", "console", "quiet", "skew_tick", "a.b"])
TOKENS = st.lists(st.tuples(KEYS, st.sampled_from(["1", "2-7", "8", "1G"])), max_size=6).map(
    lambda pairs: parse_cmdline(" ".join(f"{key}={value}" for key, value in pairs))
)


@settings(max_examples=150)
@given(foreign=TOKENS, first=TOKENS, second=TOKENS)
def test_tokens_come_and_go_and_others_stay(foreign: list, first: list, second: list) -> None:
    """Whatever is set one after the other, the wanted tokens are there and the rest is as it was."""

    def change(line: list, before: list, wanted: list) -> tuple[list, list]:
        entry = bls.MenuEntry("t", bls.BLS, "/vmlinuz-1", tuple(line), "t")
        add = bls.to_set([entry], wanted, before)
        return bls_files.edited(line, add, bls.without(before, add)), add

    try:
        line, mine = change(foreign, [], first)
        assert differences(line, first) == []
        line, mine = change(line, mine, second)
    except HostError as error:
        assert "is wanted" in str(error)
        return
    assert differences(line, second) == []
    rest = change(line, mine, [])[0]
    kept = {token.same for token in foreign}
    assert {token.same for token in rest} <= kept
    assert [token for token in foreign if token.name != "console"] == [
        token for token in rest if token.name != "console"
    ]
