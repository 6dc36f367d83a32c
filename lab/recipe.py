"""What goes into the lab's disk image. The image's name in the cache is the sha256 of everything named here."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

RELEASE = "trixie"
DISK_MB = 4096
ROOT_START_SECTOR = 2048

PACKAGES = (
    "ethtool",
    "grub-pc-bin",
    "grub2-common",
    "ibverbs-utils",
    "initramfs-tools",
    "iproute2",
    "iputils-ping",
    "kmod",
    "linux-image-amd64",
    "linuxptp",
    "lz4",
    "openssh-server",
    "perftest",
    "procps",
    "python3",
    "python3-apt",
    "python3-pip",
    "python3-pyverbs",
    "python3-venv",
    "rdma-core",
    "rt-tests",
    "systemd",
    "systemd-sysv",
    "udev",
)

# What builds lab/kmod. They are there for the build only, so that their headers are those of the image's own kernel.
BUILD_PACKAGES = ("gcc", "linux-headers-amd64", "make")
# What is purged then, with what only they needed. apt keeps packages of a kernel unless they are named.
PURGED_PACKAGES = ("gcc", "linux-headers-*", "linux-kbuild-*", "make")
MODULE_SOURCES = ("Makefile", "dcb.c", "ethtool.c", "main.c", "twnic.h")

# Paths dpkg leaves out: no VM reads them. Without udev the initramfs does not coldplug a second time.
PATH_EXCLUDES = (
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/i18n/*",
    "/usr/lib/modules/*/kernel/sound/*",
    "/usr/lib/modules/*/kernel/drivers/bluetooth/*",
    "/usr/lib/modules/*/kernel/drivers/gpu/*",
    "/usr/lib/modules/*/kernel/drivers/iio/*",
    "/usr/lib/modules/*/kernel/drivers/media/*",
    "/usr/lib/modules/*/kernel/drivers/net/wireless/*",
    "/usr/lib/modules/*/kernel/drivers/staging/*",
    "/etc/grub.d/05_debian_theme",
    "/etc/grub.d/20_linux_xen",
    "/etc/grub.d/30_os-prober",
    "/etc/grub.d/30_uefi-firmware",
    "/usr/share/initramfs-tools/hooks/udev",
    "/usr/share/initramfs-tools/scripts/init-top/udev",
    "/usr/share/initramfs-tools/scripts/init-bottom/udev",
)

# Units that slow a boot under emulation, or that act by themselves while something is being measured.
MASKED_UNITS = (
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty-static.service",
    "getty@tty1.service",
    "grub-common.service",
    "iwpmd.service",
    "kmod-static-nodes.service",
    "ldconfig.service",
    "modprobe@drm.service",
    "modprobe@efi_pstore.service",
    "modprobe@fuse.service",
    "proc-sys-fs-binfmt_misc.automount",
    "rdma-ndd.service",
    "serial-getty@ttyS0.service",
    "sshd-keygen.service",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-tracing.mount",
    "systemd-binfmt.service",
    "systemd-hwdb-update.service",
    "systemd-journal-catalog-update.service",
    "systemd-journal-flush.service",
    "systemd-machine-id-commit.service",
    "systemd-networkd-persistent-storage.service",
    "systemd-networkd-wait-online.service",
    "systemd-pstore.service",
    "systemd-random-seed.service",
    "systemd-rfkill.service",
    "systemd-rfkill.socket",
    "systemd-sysusers.service",
    "systemd-tmpfiles-clean.timer",
    "systemd-tmpfiles-setup-dev-early.service",
    "systemd-tmpfiles-setup-dev.service",
    "systemd-udev-load-credentials.service",
    "systemd-update-done.service",
)

# Generators which find nothing in a VM of the lab: each is a process before anything else may start.
MASKED_GENERATORS = (
    "systemd-debug-generator",
    "systemd-getty-generator",
    "systemd-gpt-auto-generator",
    "systemd-hibernate-resume-generator",
    "systemd-rc-local-generator",
    "systemd-run-generator",
    "systemd-ssh-generator",
    "systemd-system-update-generator",
    "systemd-sysv-generator",
    "systemd-tpm2-generator",
)

# Links under /etc/systemd/system: name -> target.
ENABLED_UNITS = {
    "multi-user.target.wants/systemd-networkd.service": "/usr/lib/systemd/system/systemd-networkd.service",
    "multi-user.target.wants/tickwire-test-nic.service": "/etc/systemd/system/tickwire-test-nic.service",
    "sockets.target.wants/systemd-networkd.socket": "/usr/lib/systemd/system/systemd-networkd.socket",
    "sysinit.target.wants/systemd-network-generator.service": (
        "/usr/lib/systemd/system/systemd-network-generator.service"
    ),
    "sys-subsystem-net-devices-fab0.device.wants/tickwire-rxe@fab0.service": (
        "/etc/systemd/system/tickwire-rxe@.service"
    ),
}

# The code which turns the above into a disk: a change there is a change of the image.
BUILD_SOURCES = ("recipe.py", "rootfs.py", "disk.py")


def default_mirror() -> str:
    """The Debian mirror to build from (`TICKWIRE_DEBIAN_MIRROR`); not an input: mirrors carry the same packages."""
    return os.environ.get("TICKWIRE_DEBIAN_MIRROR", "http://deb.debian.org/debian")


def image_files(files_dir: Path) -> list[tuple[str, int, bytes]]:
    """The files copied into the image, sorted: (path from the root without slash, mode, content)."""
    found = []
    for path in sorted(files_dir.rglob("*")):
        if path.is_file():
            mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            found.append((path.relative_to(files_dir).as_posix(), mode, path.read_bytes()))
    return found


def image_key(lab_dir: Path) -> str:
    """sha256 (hex) of every input of the image: release, packages, units, files and the code that builds it."""
    digest = hashlib.sha256()
    digest.update(json.dumps([RELEASE, PACKAGES, BUILD_PACKAGES, PURGED_PACKAGES, PATH_EXCLUDES, DISK_MB]).encode())
    digest.update(json.dumps([MASKED_UNITS, MASKED_GENERATORS, ENABLED_UNITS]).encode())
    for name, mode, content in image_files(lab_dir / "files"):
        digest.update(f"\0file {name} {mode:o} {len(content)}\0".encode() + content)
    for name in (*BUILD_SOURCES, *(f"kmod/{source}" for source in MODULE_SOURCES)):
        content = (lab_dir / name).read_bytes()
        digest.update(f"\0source {name} {len(content)}\0".encode() + content)
    return digest.hexdigest()
