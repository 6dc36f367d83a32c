#!/usr/bin/python3
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes a container a host of its own, and tells what was written to it. It runs inside of the container.

host.py own             copies of the kernel's files take their place, the rest of /sys is read-only
host.py guard on|off    whether /etc, /usr, /var, /boot and the kernel's files can be written
host.py picture NAME    remember every file
host.py compare NAME    print what differs from the picture; 1 when something does
host.py boot            /proc/cmdline and what the kernel makes of it, from the first entry of grub.cfg
host.py keep NAME       write what the verifier looks at to /opt/states/NAME.json
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import uuid
from pathlib import Path

#: What a role may write of the kernel. Copies take their place: a container shares the kernel with the machine.
KERNEL = (
    "/proc/sys",
    "/proc/irq",
    "/sys/kernel/mm",
    "/sys/kernel/irq",
    "/sys/devices/system/node",
    "/sys/devices/system/cpu",
    "/sys/devices/system/machinecheck",
    "/sys/devices/virtual/workqueue",
)
COPIES = Path("/opt/kernel")
CMDLINE = COPIES / "cmdline"
STATES = Path("/opt/states")
GUARDED = ("/etc", "/usr", "/var", "/boot", "/srv", "/home", *KERNEL)
#: Written by the container's own systemd and by Ansible's connection, whoever runs there.
NOT_OURS = (
    "/proc",
    "/sys",
    "/dev",
    "/run",
    "/tmp",
    "/var/tmp",
    "/var/log",
    "/var/lib/systemd",
    str(Path.home() / ".ansible"),
    "/opt",
)
KERNEL_NAME = "vmlinuz-6.12.0-tickwire-amd64"


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def copy(source: Path, target: Path) -> None:
    """Plain files with the text and the mode of a kernel tree; what cannot be read is empty."""
    for directory, names, files in os.walk(source):
        here = target / os.path.relpath(directory, source)
        here.mkdir(parents=True, exist_ok=True)
        names[:] = [name for name in names if not os.path.islink(os.path.join(directory, name))]
        for name in files:
            file = Path(directory, name)
            if file.is_symlink():
                continue
            try:
                data = file.read_bytes() if file.stat().st_mode & 0o444 else b""
            except OSError:
                data = b""
            (here / name).write_bytes(data)
            (here / name).chmod(stat.S_IMODE(file.stat().st_mode))


def put(name: str, text: str) -> None:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def own() -> None:
    there = [name for name in KERNEL if Path(name).is_dir()]
    for name in there:
        copy(Path(name), COPIES / name[1:])
    cpu, node = COPIES / "sys/devices/system/cpu", COPIES / "sys/devices/system/node/node0"
    for file, text in {
        f"{cpu}/present": "0-1",
        f"{cpu}/online": "0-1",
        f"{cpu}/possible": "0-1",
        f"{cpu}/isolated": "",
        f"{cpu}/nohz_full": "(null)",
        f"{node}/cpulist": "0-1",
        f"{node}/meminfo": "Node 0 MemTotal:        4000000 kB",
        f"{node}/hugepages/hugepages-2048kB/nr_hugepages": "0",
        f"{node}/hugepages/hugepages-1048576kB/nr_hugepages": "0",
        f"{COPIES}/proc/irq/default_smp_affinity": "3",
        f"{COPIES}/proc/irq/24/smp_affinity_list": "0-1",
        f"{COPIES}/proc/irq/24/effective_affinity_list": "1",
        f"{COPIES}/sys/kernel/irq/24/actions": "virtio0-input.0",
        str(CMDLINE): f"BOOT_IMAGE=/boot/{KERNEL_NAME} root=/dev/vda1 ro quiet",
    }.items():
        put(file, text + "\n")
    # A boot loader: real update-grub, a kernel file, and a disk, which the file system of a container has not.
    put(f"/boot/{KERNEL_NAME}", "")
    put("/etc/default/grub", 'GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX_DEFAULT="quiet"\nGRUB_CMDLINE_LINUX=""\n')
    Path("/boot/grub").mkdir(exist_ok=True)
    shutil.move("/usr/sbin/grub-probe", "/usr/sbin/grub-probe.real")
    put(
        "/usr/sbin/grub-probe",
        "#!/bin/sh\nfor word; do case $word in --target=*) target=${word#--target=} ;; -t) next=yes ;;"
        ' *) [ -z "$next" ] || { target=$word; next=; } ;; esac; done\n'
        "case $target in device) echo /dev/vda1 ;; fs) echo ext2 ;; fs_uuid) echo 5e7b ;; partmap) echo gpt ;;"
        " hints_string | compatibility_hint) echo hd0,gpt1 ;; *) echo ;; esac\n",
    )
    Path("/usr/sbin/grub-probe").chmod(0o755)
    mount("-o", "remount,bind,ro", "/sys")
    for name in there:
        mount("--bind", str(COPIES / name[1:]), name)
    mount("--bind", str(CMDLINE), "/proc/cmdline")
    subprocess.run(["update-grub"], check=True)
    if not Path("/boot/grub/grub.cfg").read_text().count("menuentry '"):
        sys.exit("update-grub made no entry")


def guard(switch: str) -> None:
    for name in GUARDED:
        if Path(name).is_dir():
            if switch == "on":
                mount("--bind", name, name)
                mount("-o", "remount,bind,ro", name)
            else:
                # Lazily: this very program runs from /usr.
                subprocess.run(["umount", "--lazy", name], check=True)


def look() -> dict[str, list[str | int]]:
    """Mode, time of change and digest of every file, link and directory."""
    found: dict[str, list[str | int]] = {}
    for top in ("/", *KERNEL):
        for directory, names, files in os.walk(top):
            if top == "/":
                names[:] = [name for name in names if os.path.join(directory, name) not in NOT_OURS]
            for path in (directory, *(os.path.join(directory, name) for name in files)):
                status = os.lstat(path)
                digest = ""
                if stat.S_ISREG(status.st_mode):
                    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
                elif stat.S_ISLNK(status.st_mode):
                    digest = os.readlink(path)
                found[path] = [status.st_mode, status.st_mtime_ns, digest]
    return found


def differences(name: str) -> list[str]:
    before, now = json.loads((STATES / f"{name}.picture").read_text()), look()
    return sorted(path for path in before.keys() | now.keys() if before.get(path) != now.get(path))


def left(name: str) -> list[str]:
    """Files and links that have other content or another mode than in the picture, whenever they were written."""
    before, now = json.loads((STATES / f"{name}.picture").read_text()), look()
    return [
        path
        for path in differences(name)
        if not os.path.isdir(path) and before.get(path, [0, 0, ""])[::2] != now.get(path, [0, 0, ""])[::2]
    ]


def boot() -> None:
    menu = Path("/boot/grub/grub.cfg").read_text()
    words = re.search(r"^\s*linux\s+(.*)", menu, re.MULTILINE)
    if words is None:
        sys.exit("grub.cfg has no kernel")
    line = words.group(1).strip()
    # Written into the same file, on which /proc/cmdline is mounted.
    CMDLINE.write_text(f"BOOT_IMAGE={line}\n")
    tokens = dict(word.split("=", 1) for word in line.split() if "=" in word)
    cpu = Path("/sys/devices/system/cpu")
    isolated = [word for word in tokens.get("isolcpus", "").split(",") if word[:1].isdigit()]
    (cpu / "isolated").write_text(",".join(isolated) + "\n")
    (cpu / "nohz_full").write_text(tokens.get("nohz_full", "(null)") + "\n")
    # /run is empty after a boot.
    for path in Path("/run").glob("tickwire*"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    Path("/proc/sys/kernel/random/boot_id").chmod(0o644)
    Path("/proc/sys/kernel/random/boot_id").write_text(f"{uuid.uuid4()}\n")


def text(name: str) -> str:
    path = Path(name)
    return path.read_text() if path.exists() else ""


def keep(name: str) -> None:
    node = "/sys/devices/system/node/node0/hugepages"
    state = {
        "drop_in": text("/etc/default/grub.d/zz-tickwire.cfg"),
        "linux": re.findall(r"^\s*linux\s+\S+ (.*)", text("/boot/grub/grub.cfg"), re.MULTILINE),
        "cmdline": text("/proc/cmdline"),
        "pages_2m": text(f"{node}/hugepages-2048kB/nr_hugepages").strip(),
        "pages_1g": text(f"{node}/hugepages-1048576kB/nr_hugepages").strip(),
        "kept_pages": text("/etc/tmpfiles.d/tickwire-hugepages.conf"),
        "irq_24": text("/proc/irq/24/smp_affinity_list").strip(),
        "default_irq": text("/proc/irq/default_smp_affinity").strip(),
        "changed_files": differences("fresh"),
        "left_files": left("fresh"),
        "until_boot": sorted(map(str, Path("/run").glob("tickwire*.json"))),
    }
    (STATES / f"{name}.json").write_text(json.dumps(state, indent=1))


def main() -> int:
    command, arguments = sys.argv[1], sys.argv[2:]
    if command == "compare":
        found = differences(*arguments)
        print("\n".join(found))
        return 1 if found else 0
    if command == "picture":
        STATES.mkdir(exist_ok=True)
        (STATES / f"{arguments[0]}.picture").write_text(json.dumps(look()))
        return 0
    {"own": own, "guard": guard, "boot": boot, "keep": keep}[command](*arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
