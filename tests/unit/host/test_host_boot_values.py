"""What a boot writes: precedence in sysctl.d and tmpfiles.d, against systemd's own programs where they can be asked."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tickwire.fabric.plugins.module_utils.host import boot_values
from ansible_collections.tickwire.fabric.plugins.module_utils.host.boot_values import (
    at_boot,
    read_files,
    render_sysctl,
    render_tmpfiles,
)
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System
from tests.unit.host.host_tree import Host

INTERVAL = "proc/sys/vm/stat_interval"
THP = "sys/kernel/mm/transparent_hugepage/enabled"
OURS = {"etc/sysctl.d/99-tickwire-noise.conf": "vm/stat_interval = 10\n"}


def system(host: Host) -> System:
    return System(host.root, host.run_nothing)


def boot_gives(system: System, path: str, ours: dict[str, str]) -> tuple[str, str] | None:
    return at_boot(system, [path], ours).get(path)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, ("10", "etc/sysctl.d/99-tickwire-noise.conf")),
        ({"etc/sysctl.d/50-x.conf": "vm.stat_interval=1\n"}, ("10", "etc/sysctl.d/99-tickwire-noise.conf")),
        ({"etc/sysctl.d/zz-x.conf": "vm.stat_interval=1\n"}, ("1", "etc/sysctl.d/zz-x.conf")),
        ({"usr/lib/sysctl.d/zz-x.conf": "-vm.stat_interval =\t1 \n"}, ("1", "usr/lib/sysctl.d/zz-x.conf")),
        ({"run/sysctl.d/zz-x.conf": "vm/stat_interval=1\n"}, ("1", "run/sysctl.d/zz-x.conf")),
        ({"etc/sysctl.d/zz-x.conf": "# vm.stat_interval=1\n;vm.stat_interval=2\n"}, ("10", next(iter(OURS)))),
        # A named value stands above a pattern, wherever the two are.
        ({"etc/sysctl.d/zz-x.conf": "vm.stat_*=1\n"}, ("10", next(iter(OURS)))),
        # The same name in an earlier directory hides the later one.
        (
            {"etc/sysctl.d/zz-x.conf": "vm.swappiness=1\n", "usr/lib/sysctl.d/zz-x.conf": "vm.stat_interval=1\n"},
            ("10", next(iter(OURS))),
        ),
    ],
)
def test_the_last_sysctl_wins(host: Host, files: dict[str, str], expected: tuple[str, str]) -> None:
    for name, text in files.items():
        host.write(name, text)
    assert boot_gives(system(host), INTERVAL, OURS) == expected


def test_a_link_to_dev_null_masks_a_file(host: Host) -> None:
    host.write("usr/lib/sysctl.d/zz-x.conf", "vm.stat_interval=1\n")
    assert boot_gives(system(host), INTERVAL, OURS) == ("1", "usr/lib/sysctl.d/zz-x.conf")
    (host.root / "etc/sysctl.d").mkdir(parents=True)
    (host.root / "etc/sysctl.d/zz-x.conf").symlink_to("/dev/null")
    assert boot_gives(system(host), INTERVAL, OURS) == ("10", next(iter(OURS)))


def test_our_text_that_is_empty_stands_for_no_file(host: Host) -> None:
    assert boot_gives(system(host), INTERVAL, {next(iter(OURS)): ""}) is None


@pytest.mark.parametrize(
    ("name", "line", "expected"),
    [
        ("etc/tmpfiles.d/50-x.conf", f"w! /{THP} - - - - madvise\n", "never"),
        ("usr/lib/tmpfiles.d/00-a.conf", f"w /{THP} - - - - madvise\n", "madvise"),
        # systemd takes every path of a w line for a pattern: another text for the same path is written as well, later.
        ("etc/tmpfiles.d/50-x.conf", "w /sys/kernel/mm/transparent_hugepage/enable? - - - - madvise\n", "madvise"),
        ("etc/tmpfiles.d/50-x.conf", f"r! /{THP} - - - - madvise\n#w /{THP} - - - - madvise\n", "never"),
    ],
)
def test_the_first_line_of_tmpfiles_for_a_path_counts(host: Host, name: str, line: str, expected: str) -> None:
    host.write(name, line)
    found = boot_gives(system(host), THP, {"etc/tmpfiles.d/00-tickwire-memory.conf": f"w! /{THP} - - - - never\n"})
    assert found is not None and found[0] == expected


def test_files_are_read_in_the_order_in_which_systemd_reads_them(host: Host) -> None:
    """systemd-tmpfiles prints the files with their names as comments before it does anything."""
    program = shutil.which("systemd-tmpfiles")
    assert program, "next: make bootstrap"
    for name in ("etc/tmpfiles.d/50-b.conf", "run/tmpfiles.d/10-c.conf", "usr/lib/tmpfiles.d/50-b.conf"):
        host.write(name, "# nothing\n")
    host.write("usr/lib/tmpfiles.d/00-a.conf", "# nothing\n")
    host.write("usr/local/lib/tmpfiles.d/zz-d.conf", "# nothing\n")
    done = subprocess.run(
        [program, "--cat-config", f"--root={host.root}"], capture_output=True, text=True, check=True, timeout=20
    )
    printed = [line[2:] for line in done.stdout.splitlines() if line.startswith("# /")]
    ours = [f"/{name}" for name in read_files(system(host), "tmpfiles.d")]
    assert [name.removeprefix(str(host.root)) for name in printed] == ours


@given(
    values=st.dictionaries(
        st.sampled_from(["vm/stat_interval", "kernel/watchdog_cpumask", "net/ipv4/conf/eth0.1/forwarding"]),
        st.sampled_from(["0", "1", "0-3,7", "4096\t87380"]),
        min_size=1,
    )
)
def test_what_is_rendered_is_what_a_boot_writes(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, str]
) -> None:
    host = System(tmp_path_factory.getbasetemp(), lambda argv: (1, "", ""))
    sysctls = {f"proc/sys/{name}": value for name, value in values.items()}
    text = render_sysctl(sysctls)
    for path, value in sysctls.items():
        assert boot_gives(host, path, {"etc/sysctl.d/99-tickwire-x.conf": text}) == (
            value,
            "etc/sysctl.d/99-tickwire-x.conf",
        )
    files = {f"sys/{name}": value for name, value in values.items()}
    text = render_tmpfiles(files)
    for path, value in files.items():
        assert boot_gives(host, path, {"etc/tmpfiles.d/00-tickwire-x.conf": text}) == (
            value,
            "etc/tmpfiles.d/00-tickwire-x.conf",
        )


def test_the_files_are_read_once_for_any_number_of_cpus(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor" for cpu in range(300)]
    host.write(
        "etc/tmpfiles.d/50-x.conf", "w /sys/devices/system/cpu/cpu29*/cpufreq/scaling_governor - - - - powersave\n"
    )
    read: list[str] = []
    monkeypatch.setattr(boot_values, "read_files", lambda *one: read.append(one[1]) or read_files(*one))
    mine = "etc/tmpfiles.d/00-tickwire-noise.conf"
    found = at_boot(system(host), paths, {mine: render_tmpfiles(dict.fromkeys(paths, "performance"))})
    assert read == ["tmpfiles.d"]
    strangers = [path for path in paths if found[path] != ("performance", mine)]
    assert strangers == [paths[29], *paths[290:300]]
