"""The part of the image build that needs root: a Debian tree, its initramfs and GRUB, as an ext4 file system in a disk.

Run as `unshare ... python3 -m lab.rootfs WORK_DIR MIRROR UID GID`. Leaves WORK_DIR/disk.raw, owned by UID:GID.

mmdebstrap mounts /proc, /sys and /dev in the tree and starts many processes. This runs as the first process of its own
pid and mount namespace, so when it ends, however it ends, the kernel ends all of them and the mounts are gone: the
caller can remove WORK_DIR without touching what was mounted there. The caller holds our standard input open; when that
closes we end (a signal would not pass sudo).
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import uuid
from pathlib import Path

from lab import disk, recipe

GRUB_MODULES = (
    "biosdisk", "part_msdos", "ext2", "normal", "linux", "configfile", "search", "search_fs_uuid", "echo", "test",
    "minicmd", "gzio", "all_video",
)  # fmt: skip

GRUB_CFG = """\
# First boot only: update-grub replaces this file. Same command line as it would write.
set default=0
set timeout=0
menuentry 'Debian GNU/Linux' {{
\tlinux /boot/vmlinuz-{kernel} root=/dev/vda1 ro {cmdline}
\tinitrd /boot/initrd.img-{kernel}
}}
"""


def overlay_tar(lab_dir: Path, out: Path) -> None:
    """Our files, masks and enabled units as a tar owned by root, unpacked before the packages are configured."""
    with tarfile.open(out, "w") as tar:
        for name, mode, content in recipe.image_files(lab_dir / "files"):
            info = tarfile.TarInfo(name)
            info.mode, info.size = mode, len(content)
            tar.addfile(info, io.BytesIO(content))
        units = {unit: "/dev/null" for unit in recipe.MASKED_UNITS} | recipe.ENABLED_UNITS
        links = {f"system/{unit}": target for unit, target in units.items()}
        links |= {f"system-generators/{name}": "/dev/null" for name in recipe.MASKED_GENERATORS}
        for name, target in sorted(links.items()):
            info = tarfile.TarInfo(f"etc/systemd/{name}")
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)


def mmdebstrap_argv(tree: Path, overlay: Path, mirror: str) -> list[str]:
    """The command which makes the tree."""
    return [
        "mmdebstrap",
        "--mode=root",
        "--variant=minbase",
        "--format=directory",
        f"--include={','.join(recipe.PACKAGES + recipe.BUILD_PACKAGES)}",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in recipe.PATH_EXCLUDES),
        # Answers conffile questions with our file, which is there first.
        "--dpkgopt=force-confold",
        f"--essential-hook=tar-in {overlay} /",
        recipe.RELEASE,
        str(tree),
        mirror,
    ]


def grub_cmdline(default_grub: str) -> str:
    """The value of GRUB_CMDLINE_LINUX in a /etc/default/grub."""
    for line in default_grub.splitlines():
        name, _equals, value = line.partition("=")
        if name == "GRUB_CMDLINE_LINUX":
            return value.strip().strip('"')
    raise ValueError("GRUB_CMDLINE_LINUX is not set in lab/files/etc/default/grub")


def strip_identity(tree: Path) -> None:
    """Remove what would make every VM the same host or tie it to the build machine."""
    for name in ("etc/hostname", "etc/resolv.conf", "var/lib/dbus/machine-id"):
        (tree / name).unlink(missing_ok=True)
    for key in (tree / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    # Empty, not missing: a missing one makes systemd reset every unit to its preset at first boot.
    (tree / "etc/machine-id").write_bytes(b"")


def decompress_modules(tree: Path, kernel: str) -> None:
    """Unpack kernel modules: decompressing them at every boot costs seconds under emulation."""
    modules = tree / "usr/lib/modules" / kernel
    packed = [str(path) for path in modules.rglob("*.ko.xz")]
    if packed:
        subprocess.run(["xz", "--decompress", *packed], check=True)
        subprocess.run(["chroot", str(tree), "depmod", kernel], check=True)


def build_module(tree: Path, kernel: str) -> None:
    """Build lab/kmod with the tree's own compiler and headers, keep the module, and remove what built it."""
    build, source = "/usr/src/tickwire", tree / "usr/src/tickwire"
    source.mkdir()
    for name in recipe.MODULE_SOURCES:
        shutil.copyfile(Path(__file__).parent / "kmod" / name, source / name)
    inside = ["chroot", str(tree)]
    subprocess.run([*inside, "make", "-C", build, f"KDIR=/usr/lib/modules/{kernel}/build"], check=True)
    module = source / "twnic.ko"
    subprocess.run([*inside, "strip", "--strip-debug", f"{build}/twnic.ko"], check=True)
    extra = tree / "usr/lib/modules" / kernel / "extra"
    extra.mkdir()
    shutil.copyfile(module, extra / module.name)
    shutil.rmtree(source)
    subprocess.run([*inside, "apt-get", "--yes", "purge", "--autoremove", *recipe.PURGED_PACKAGES], check=True)
    subprocess.run([*inside, "depmod", kernel], check=True)


def install_grub(tree: Path, kernel: str) -> tuple[bytes, bytes]:
    """What grub-install would put in the tree; returns (boot.img, core.img) made by the image's own GRUB."""
    modules = tree / "usr/lib/grub/i386-pc"
    target = tree / "boot/grub/i386-pc"
    target.mkdir(parents=True)
    for path in [*modules.glob("*.mod"), *modules.glob("*.lst")]:
        shutil.copyfile(path, target / path.name)
    core = "/boot/grub/i386-pc/core.img"
    prefix = "(hd0,msdos1)/boot/grub"
    argv = ["grub-mkimage", "-O", "i386-pc", "-p", prefix, "-o", core, *GRUB_MODULES]
    subprocess.run(["chroot", str(tree), *argv], check=True)
    cmdline = grub_cmdline((tree / "etc/default/grub").read_text())
    (tree / "boot/grub/grub.cfg").write_text(GRUB_CFG.format(kernel=kernel, cmdline=cmdline))
    return (modules / "boot.img").read_bytes(), (tree / core.lstrip("/")).read_bytes()


def make_disk(tree: Path, out: Path, boot_img: bytes, core_img: bytes) -> None:
    """An ext4 file system with the content of `tree`, in a bootable disk. Features an older GRUB reads."""
    offset = recipe.ROOT_START_SECTOR * disk.SECTOR
    size = recipe.DISK_MB * 1024 * 1024
    with out.open("wb") as file:
        file.truncate(size)
    argv = [
        "mke2fs", "-q", "-t", "ext4", "-L", "tickwire-lab", "-U", str(uuid.uuid4()), "-m", "0", "-J", "size=16",
        "-O", "^orphan_file,^metadata_csum_seed", "-E", f"offset={offset},root_owner=0:0",
        "-d", str(tree), str(out), f"{(size - offset) // 1024}k",
    ]  # fmt: skip
    subprocess.run(argv, check=True)
    disk.write_boot_sectors(out, boot_img, core_img, recipe.ROOT_START_SECTOR)


def build(work: Path, mirror: str, uid: int, gid: int) -> None:
    """Make `work`/disk.raw; the caller removes the rest of `work`, also on failure."""
    tree, overlay, raw = work / "tree", work / "overlay.tar", work / "disk.raw"
    overlay_tar(Path(__file__).parent, overlay)
    subprocess.run(mmdebstrap_argv(tree, overlay, mirror), check=True, stdin=subprocess.DEVNULL)
    kernel = sorted(path.name for path in (tree / "usr/lib/modules").iterdir())[-1]
    print(f"preparing kernel {kernel} and GRUB", flush=True)
    strip_identity(tree)
    build_module(tree, kernel)
    decompress_modules(tree, kernel)
    boot_img, core_img = install_grub(tree, kernel)
    print("making the file system", flush=True)
    make_disk(tree, raw, boot_img, core_img)
    os.chown(raw, uid, gid)


def end_with_caller() -> None:
    """Wait in the background until the caller closes our standard input, then end at once, and all we started."""

    def watch() -> None:
        while os.read(0, 1):
            pass
        os._exit(143)

    threading.Thread(target=watch, daemon=True).start()


def main(argv: list[str]) -> int:
    """Command line of this helper."""
    work, mirror, uid, gid = Path(argv[0]), argv[1], int(argv[2]), int(argv[3])
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"
    os.umask(0o022)
    os.environ["TMPDIR"] = str(work)  # what mmdebstrap leaves when it is killed goes with the build directory
    if os.getpid() != 1:
        print("failed: this runs only as the first process of a pid namespace", file=sys.stderr)
        return 1
    end_with_caller()
    try:
        build(work, mirror, uid, gid)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
