"""Hosts as file trees with their boot loader: GRUB's generated menu, and BLS entries with grubby.

The doubles of update-grub, grub-editenv and grubby do what the real ones were seen to do; that of grubby is held
against recorded output of the real script (test_host_bls.py).
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from ansible_collections.tickwire.fabric.plugins.module_utils.host.boot import grubenv
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System
from tests.unit.host.host_tree import Host

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures/host"
#: Title, kernel and what the recovery entry has, as written down from each distribution's documentation.
DISTRIBUTIONS = {
    "debian12": ("Debian GNU/Linux", "6.1.0-28-amd64", "quiet", "ro single"),
    "debian13": ("Debian GNU/Linux", "6.12.48+deb13-amd64", "quiet", "ro single"),
    "ubuntu2204": ("Ubuntu", "5.15.0-130-generic", "quiet splash $vt_handoff", "ro recovery nomodeset dis_ucode_ldr"),
    "ubuntu2404": ("Ubuntu", "6.8.0-51-generic", "quiet splash $vt_handoff", "ro recovery nomodeset dis_ucode_ldr"),
}
BLS_HOSTS = ("rocky9", "alma10", "rhel9", "kernelopts")
MACHINE = "a98618aa1631441dbb52c75a50834a0a"


class BootHost(Host):
    """What both kinds share: programs by name, boots with an id, and a program that fails when told to."""

    env_path = ""

    def __init__(self, root: Path) -> None:
        self.fails: dict[str, int] = {}
        self.boots_made = 0
        self.enabled: set[str] = set()
        self.copies: list[Path] = []
        self.abstraction, self.fs = "", "ext2"
        super().__init__(root)
        self.write("proc/sys/kernel/panic", "0\n")
        self.write("proc/sys/kernel/random/boot_id", "boot-0\n")

    @property
    def system(self) -> System:
        return System(self.root, self.run)

    def run(self, argv: list[str]) -> tuple[int, str, str]:
        self.ran.append(argv)
        name = argv[0].rsplit("/", 1)[-1]
        if self.fails.get(name, 0) > 0:
            self.fails[name] -= 1
            return 1, "", f"{name}: disk full\n"
        return 0, getattr(self, "run_" + name.replace("-", "_").replace("grub2", "grub"))(argv[1:]) or "", ""

    def run_systemctl(self, arguments: list[str]) -> str:
        if arguments[0] == "enable":
            assert (self.root / "etc/systemd/system" / arguments[-1]).exists()
            self.enabled.add(arguments[-1])
        elif arguments[0] == "disable":
            self.enabled.discard(arguments[-1])
        return ""

    def run_grub_editenv(self, arguments: list[str]) -> None:
        path, command, *words = arguments
        assert path == "/" + self.env_path
        values = self.environment()
        for word in words:
            if command == "unset":
                values.pop(word, None)
            else:
                name, dummy, value = word.partition("=")
                values[name] = value
        self.set_environment(values)

    def run_grub_probe(self, arguments: list[str]) -> str:
        assert arguments[1] == "/" + self.env_path.rsplit("/", 1)[0]
        return {"--target=abstraction": self.abstraction, "--target=fs": self.fs}[arguments[0]] + "\n"

    def environment(self) -> dict[str, str]:
        path = self.root / self.env_path
        return grubenv.parse_grubenv(path.read_text()) if path.exists() else {}

    def set_environment(self, values: dict[str, str]) -> None:
        text = grubenv.HEADER + "".join(f"{name}={value}\n" for name, value in values.items())
        self.write(self.env_path, text.ljust(grubenv.SIZE_BYTES, "#"))

    def started(self, kernel: str, arguments: str) -> str:
        """A kernel was started: it has a new boot id and this command line."""
        self.boots_made += 1
        self.write("proc/sys/kernel/random/boot_id", f"boot-{self.boots_made}\n")
        line = " ".join(word for word in arguments.split() if not word.startswith("$"))
        self.write("proc/cmdline", f"BOOT_IMAGE={kernel} {line}\n")
        panic = re.search(r"(?:^| )panic=(\d+)", line)
        self.write("proc/sys/kernel/panic", (panic.group(1) if panic else "0") + "\n")
        return line


class GrubHost(BootHost):
    """Debian or Ubuntu."""

    env_path = "boot/grub/grubenv"

    def __init__(self, root: Path, distribution: str = "debian13") -> None:
        self.title, self.kernel, self.default_args, self.recovery = DISTRIBUTIONS[distribution]
        super().__init__(root)
        self.boot()

    def update_grub(self) -> None:
        script = (
            '. "$0/etc/default/grub"; for x in "$0"/etc/default/grub.d/*.cfg; do [ -e "$x" ] && . "$x"; done; '
            'printf "%s\\n%s" "${GRUB_DEFAULT:-0}" "$GRUB_CMDLINE_LINUX_DEFAULT"'
        )
        done = subprocess.run(["/bin/sh", "-c", script, str(self.root)], capture_output=True, text=True, check=True)
        default, arguments = done.stdout.split("\n", 1)
        default = "${saved_entry}" if default == "saved" else default
        arguments = f"ro {self.default_args} {arguments.removeprefix('quiet ').removeprefix('quiet')}".rstrip()
        linux = f"/boot/vmlinuz-{self.kernel} root=UUID=5e7b"
        simple, advanced = f"gnulinux-simple-{self.kernel}", f"gnulinux-{self.kernel}-advanced"
        text = (
            '### BEGIN /etc/grub.d/00_header ###\nif [ "${next_entry}" ] ; then\n   set default="${next_entry}"\n'
            f'else\n   set default="{default}"\nfi\n### END /etc/grub.d/00_header ###\n'
            "### BEGIN /etc/grub.d/10_linux ###\n"
            f"menuentry '{self.title}' --class os $menuentry_id_option '{simple}' {{\n"
            f"\tsearch --fs-uuid --set=root 5e7b\n\tlinux\t{linux} {arguments}\n\tinitrd\t/boot/initrd\n}}\n"
            f"submenu 'Advanced options' $menuentry_id_option 'gnulinux-advanced' {{\n"
            f"\tmenuentry '{self.title}, with Linux {self.kernel}' $menuentry_id_option '{advanced}' {{\n"
            f"\t\tlinux\t{linux} {arguments}\n\t}}\n"
            f"\tmenuentry '{self.title}, with Linux {self.kernel} (recovery mode)' {{\n"
            f"\t\tlinux\t{linux} {self.recovery}\n\t}}\n}}\n### END /etc/grub.d/10_linux ###\n"
        )
        for path in sorted((self.root / "etc/grub.d").glob("[!.]*")):
            assert path.stat().st_mode & 0o111, "grub-mkconfig runs what can be executed"
            out = subprocess.run(["/bin/sh", str(path)], capture_output=True, text=True, check=True).stdout
            text += f"### BEGIN /etc/grub.d/{path.name} ###\n{out}### END /etc/grub.d/{path.name} ###\n"
        self.write("boot/grub/grub.cfg", text)

    def run_update_grub(self, dummy: list[str]) -> None:
        self.update_grub()

    def boot(self) -> str:
        """Boot as GRUB does: next_entry once, else the default; returns the arguments."""
        text = (self.root / "boot/grub/grub.cfg").read_text()
        entries = re.findall(r"menuentry [^\n]*'([^'\n]+)' \{\n(?:[^}]*\n)?\s*linux\s+(\S+) ([^\n]*)\n", text)
        values = self.environment()
        chosen = values.pop("next_entry", None)
        if chosen is not None:
            self.set_environment(values)
        else:
            chosen = re.findall(r'set default="([^"]*)"', text)[-1].replace(
                "${saved_entry}", values.get("saved_entry", "0")
            )
        found = next((entry for entry in entries if entry[0] == chosen), entries[0])
        return self.started(found[1], found[2])


class BlsHost(BootHost):
    """RHEL, Rocky or Alma: entry files of tests/fixtures/host/bls."""

    env_path = "boot/grub2/grubenv"

    def __init__(self, root: Path, name: str = "rocky9") -> None:
        shutil.copytree(FIXTURES / "bls" / name, root / "boot/loader/entries")
        super().__init__(root)
        (root / "usr/sbin/update-grub").unlink()
        (root / "boot/grub/grub.cfg").unlink()
        self.write("usr/sbin/grubby", "#!/bin/bash\n")
        self.write("boot/grub2/grub.cfg", 'set default="${next_entry}"\nset default="${saved_entry}"\n')
        self.write("etc/redhat-release", "a release of the RHEL family\n")
        self.write("etc/default/grub", 'GRUB_DEFAULT=saved\nGRUB_CMDLINE_LINUX="rhgb quiet"\nGRUB_ENABLE_BLSCFG=true\n')
        values = {"saved_entry": self.names()[0], "tuned_params": "", "boot_success": "0"}
        if name == "kernelopts":
            values["kernelopts"] = "root=/dev/mapper/vg-root ro rhgb quiet"
        self.set_environment(values)
        self.boot()

    def update_grub(self) -> None:
        self.write("boot/grub/grub.cfg", "")

    def names(self) -> list[str]:
        """Entries as grubby of 8.40-69 sorts them (sort -Vr)."""
        names = [path.stem for path in (self.root / "boot/loader/entries").glob("*.conf")]
        out = subprocess.run(["sort", "-Vr"], input="\n".join(names), capture_output=True, text=True, check=True).stdout
        return out.split()

    def options(self, name: str) -> str:
        return re.findall(r"^options (.*)$", self.read(f"boot/loader/entries/{name}.conf"), re.MULTILINE)[0]

    def run_grubby(self, arguments: list[str]) -> str:
        given = dict(argument.removeprefix("--").partition("=")[::2] for argument in arguments)
        names = self.names()
        if "info" in given:
            lines = []
            for index, name in enumerate(names):
                lines += [f"index={index}", 'kernel="/vmlinuz"', f'title="{name}"', f'id="{name}"']
            return "\n".join(lines) + "\n"
        if "default-index" in given:
            return f"{names.index(self.environment().get('saved_entry', names[0]))}\n"
        name = names[int(given["update-kernel"])]
        environment = grubenv.parse_grubenv(Path(given["env"]).read_text())
        new = grubby_options(self.options(name), environment, given.get("remove-args", ""), given.get("args", ""))
        path = self.root / f"boot/loader/entries/{name}.conf"
        path.write_text(re.sub(r"^options.*$", lambda dummy: f"options {new}", path.read_text(), flags=re.MULTILINE))
        return ""

    def boot(self) -> str:
        values = self.environment()
        chosen = values.pop("next_entry", None)
        if chosen is not None:
            self.set_environment(values)
        name = chosen or values.get("saved_entry") or self.names()[0]
        kernel = re.findall(r"^linux (.*)$", self.read(f"boot/loader/entries/{name}.conf"), re.MULTILINE)[0]
        options = self.options(name).replace("$kernelopts", values.get("kernelopts", ""))
        return self.started(f"(hd0,gpt2){kernel}", options.replace("$tuned_params", values.get("tuned_params", "")))


def grubby_options(options: str, environment: dict[str, str], remove: str, add: str) -> str:
    """What grubby 8.40-69 writes for an entry; its sed puts the old line in place of an ``&``."""
    if environment.get("kernelopts"):
        options = options.replace("$kernelopts", environment["kernelopts"])
    words = " ".join(options.split())
    for word in remove.split():
        ending = r"(\s|$)" if "=" in word else r"((\s|$)|(=[^ ]*))"
        words = re.sub(rf"(^|\s){word}{ending}", " ", words, count=1 if "=" in word else 0)
        words = " ".join(words.split())
    for word in add.split():
        words = " ".join(re.sub(rf"(^|\s){word.split('=')[0]}((\s|$)|(=[^ ]*))", " ", words).split())
    return f"{words} {add}".strip().replace("&", f"options {options}")
