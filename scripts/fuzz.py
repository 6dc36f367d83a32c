"""Builds the fuzz targets of the runtime and runs each on its kept corpus; closes with counts as pytest does.

    python -m scripts.fuzz [--seconds 60] [--runs N] [--seed N] [TARGET...]    fuzz; all targets when none is named
    python -m scripts.fuzz --build                                            build only
    python -m scripts.fuzz --merge DIRECTORY [TARGET...]                       take new inputs into the kept corpus

Targets are runtime/fuzz/fuzz_TARGET.c (libFuzzer) and .py (Atheris). What a run finds worth keeping is in
runtime/build/fuzz/found/TARGET, a failing input in runtime/build/fuzz/failures. `--merge` reads DIRECTORY/TARGET and
leaves the smallest set that reaches the same code: `--merge runtime/build/fuzz/found` after a long run, and
runtime/fuzz/seeds.py makes a directory of seeds.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from scripts.artifact import CHECKOUT

FUZZ = CHECKOUT / "runtime" / "fuzz"
BUILD = CHECKOUT / "runtime" / "build" / "fuzz"
CORPUS = FUZZ / "corpus"
CORPUS_BYTES = 200_000  # of all targets; it is in the repository
MAX_LENGTH = 4096  # of an input
INPUT_SECONDS = 10  # a single input that takes longer is a failure
HEX_BYTES = 512  # of a failing input that are shown
LOG_LINES = 40


def targets() -> list[str]:
    """Names of all targets."""
    return sorted(path.stem.removeprefix("fuzz_") for path in FUZZ.glob("fuzz_*.*") if path.suffix in (".c", ".py"))


def build() -> bool:
    """Compiles the C targets; says what is missing when it cannot."""
    if shutil.which("clang") is None:
        print("fuzz: clang is not installed\n  Next: make setup-test", file=sys.stderr)
        return False
    jobs = os.cpu_count() or 1
    command = ["make", "-s", "-C", str(FUZZ), f"BUILD={BUILD}", f"-j{jobs}"]
    return subprocess.run(command, check=False).returncode == 0


def command_of(target: str) -> list[str]:
    """The program of a target, ready for libFuzzer's arguments."""
    script = FUZZ / f"fuzz_{target}.py"
    return [sys.executable, str(script)] if script.exists() else [str(BUILD / f"fuzz_{target}")]


def shown(command: list[str]) -> str:
    """A command as it is typed in the checkout."""
    return " ".join(word.replace(f"{CHECKOUT}{os.sep}", "") for word in command)


def explain(target: str, failure: Path | None, log: Path) -> Iterator[str]:
    """Lines about a failed run: the end of its log, the input, how to have it again."""
    yield f"FAILED {target}"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    yield from lines[-LOG_LINES:]
    if failure is not None:
        given = failure.read_bytes()
        rest = f" ... ({len(given)} bytes)" if len(given) > HEX_BYTES else ""
        yield f"input: {given[:HEX_BYTES].hex()}{rest}"
        yield f"again: {shown([*command_of(target), str(failure)])}"


def fuzz(target: str, seconds: int, runs: int, seed: int) -> bool:
    """One target, for `seconds` or until `runs` inputs were tried (0: without such a bound)."""
    found, failures, log = BUILD / "found" / target, BUILD / "failures", BUILD / f"{target}.log"
    kept = CORPUS / target
    shutil.rmtree(found, ignore_errors=True)
    for directory in (found, failures, kept):
        directory.mkdir(parents=True, exist_ok=True)
    for old in failures.glob(f"{target}-*"):
        old.unlink()
    command = [
        *command_of(target),
        f"-max_total_time={seconds}",
        f"-max_len={MAX_LENGTH}",
        f"-timeout={INPUT_SECONDS}",
        f"-artifact_prefix={failures}/{target}-",
        *([f"-runs={runs}"] if runs else []),
        *([f"-seed={seed}"] if seed else []),
        str(found),
        str(kept),
    ]
    with log.open("wb") as stream:
        code = subprocess.run(command, cwd=BUILD, stdout=stream, stderr=subprocess.STDOUT, check=False).returncode
    if code != 0:
        failure = next(iter(sorted(failures.glob(f"{target}-*"))), None)
        print("\n".join(explain(target, failure, log)), flush=True)
        return False
    print(f"passed {target}: {summary(log)}", flush=True)
    return True


def summary(log: Path) -> str:
    """How many inputs a run tried and how much code they reached, from libFuzzer's last lines."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    done = next((line for line in reversed(lines) if line.startswith("Done ")), "Done")
    reached = next((line for line in reversed(lines) if " cov: " in line), "")
    words = reached.partition(" cov: ")[2].split()
    return done.removeprefix("Done ") + (f", {words[0]} places reached" if words else "")


def merge(target: str, directory: Path) -> bool:
    """The kept corpus and DIRECTORY/target, down to the smallest set that reaches as much."""
    kept = CORPUS / target
    kept.mkdir(parents=True, exist_ok=True)
    sources = [str(path) for path in (kept, directory / target) if path.is_dir()]
    with tempfile.TemporaryDirectory() as fresh:
        command = [*command_of(target), "-merge=1", f"-max_len={MAX_LENGTH}", fresh, *sources]
        done = subprocess.run(command, cwd=BUILD, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode != 0 or not any(Path(fresh).iterdir()):
            print(f"FAILED {target}\n{done.stderr[-4000:]}", flush=True)
            return False
        shutil.rmtree(kept)
        shutil.copytree(fresh, kept)
    print(f"merged {target}: {len(list(kept.iterdir()))} inputs", flush=True)
    return True


def corpus_bytes() -> int:
    """Bytes of the kept corpus of all targets."""
    return sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file())


def main() -> int:
    """Command line as in the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m scripts.fuzz", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of: {', '.join(targets())}")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    parser.add_argument(
        "--runs", type=int, default=0, help="inputs to try with each target; 0: as many as fit the time"
    )
    parser.add_argument("--seed", type=int, default=0, help="of libFuzzer's random numbers; 0: another one each time")
    parser.add_argument("--build", action="store_true", help="build and run nothing")
    parser.add_argument("--merge", type=Path, metavar="DIRECTORY", help="take DIRECTORY/TARGET into the kept corpus")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.targets) - set(targets()))
    if unknown:
        parser.error(f"no target {', '.join(unknown)}; there are: {', '.join(targets())}")
    if not build():
        return 2
    if arguments.build:
        return 0
    started = time.monotonic()
    results = []
    for target in arguments.targets or targets():
        if arguments.merge is not None:
            results.append(merge(target, arguments.merge.absolute()))
        else:
            results.append(fuzz(target, arguments.seconds, arguments.runs, arguments.seed))
    if arguments.merge is not None and corpus_bytes() > CORPUS_BYTES:
        print(
            f"fuzz: the corpus has {corpus_bytes()} bytes, at most {CORPUS_BYTES}: merge less into it", file=sys.stderr
        )
        results.append(False)
    failed, passed = results.count(False), results.count(True)
    counts = ", ".join(f"{number} {word}" for number, word in ((failed, "failed"), (passed, "passed")) if number)
    print(f"{counts} in {time.monotonic() - started:.2f}s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
