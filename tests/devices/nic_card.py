# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A network card as far as its firmware goes: the programs mstconfig, mstflint and mstfwreset over one JSON file.

    python -m tests.devices.nic_card STATE.json mstconfig -d 0000:03:00.0 -e query

The state has ``slot``, ``device_type``, ``json`` (whether this version of mstconfig knows -j), ``parameters`` (name to
{default, current, next, read_only}), ``hidden`` (shown only while ADVANCED_PCI_SETTINGS runs), ``firmware`` ({version,
running, psid}) and ``reset_levels``. Faults: ``stubborn`` (parameters which the card never loads), ``deaf`` (accepted
and not written), ``refused`` (a set with them fails after the others were written), ``broken_burn``. An image is a
file of JSON with version and psid. What was run is kept in ``log``.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

State = dict[str, Any]
Answer = tuple[int, str]


def load(state: State) -> None:
    """What a reset or a power cycle does."""
    for name, parameter in state["parameters"].items():
        if name not in state.get("stubborn", []):
            parameter["current"] = parameter["next"]
    state["firmware"]["running"] = state["firmware"]["version"]


def _visible(state: State) -> dict[str, Any]:
    advanced = _number(state["parameters"].get("ADVANCED_PCI_SETTINGS", {}).get("current", "0"))
    hidden = () if advanced else state.get("hidden", ())
    return {name: value for name, value in state["parameters"].items() if name not in hidden}


def _number(text: str) -> int:
    match = re.search(r"\((\d+)\)\Z", text)
    return int(match.group(1)) if match else int(text, 0)


def mstconfig(state: State, arguments: list[str]) -> Answer:
    """query and set, with -d, -e, -y and -j."""
    options: dict[str, str] = {}
    rest = list(arguments)
    while rest and rest[0].startswith("-"):
        flag = rest.pop(0)
        if flag == "-j" and not state.get("json"):
            return 3, "-E- invalid argument: -j\n    NAME:\n        mstconfig\n"
        options[flag] = rest.pop(0) if flag in ("-d", "-j") else ""
    if not options.get("-d", "").startswith(state["slot"]):
        return 3, "-E- Failed to open the device\n"
    command, words = rest[0], rest[1:]
    if command == "query":
        return _query(state, options, words)
    return _set(state, options, words)


def _query(state: State, options: dict[str, str], words: list[str]) -> Answer:
    shown = {name: value for name, value in _visible(state).items() if "[" not in name}
    if words:
        missing = [word for word in words if word not in _visible(state)]
        if missing:
            return 3, f"-E- The Device doesn't support {missing[0]} parameter\n"
        shown = {word: state["parameters"][word] for word in words}
    columns = ["default", "current", "next"] if "-e" in options else ["next"]
    if "-j" in options:
        entries = {
            name: {
                "read_only": bool(value.get("read_only")),
                "modified": False,
                **{f"{column}_value": _json(value[column]) for column in columns},
            }
            for name, value in shown.items()
        }
        head = {"device": options["-d"], "device_type": state["device_type"], "name": "N/A", "description": "N/A"}
        document = {"Device #1": {**head, "tlv_configuration": entries}}
        Path(options["-j"]).write_text(json.dumps(document), encoding="utf-8")
        return 0, f"Query output saved to {options['-j']} successfully\n"
    heads = {"default": "Default", "current": "Current", "next": "Next Boot"}
    lines = ["", "Device #1:", "----------", "", f"Device type:    {state['device_type']:<16}"]
    lines += [f"{'Device:':<16}{options['-d']:<16}", ""]
    lines.append(f"{'Configurations:':<45}" + "".join(f"{heads[column]:<16}" for column in columns))
    differs = False
    for name, value in shown.items():
        star = len({value[column] for column in columns}) > 1
        differs |= star
        mark = f"{'*' if star else ' '}{'RO' if value.get('read_only') else '  '}"
        lines.append(f"{mark}      {name:<36}" + "".join(f"{value[column]:<16}" for column in columns))
    if differs:
        lines.append("The '*' shows parameters with next value different from default/current value.")
    return 0, "\n".join(lines) + "\n"


def _json(text: str) -> Any:
    return int(text) if text.isdigit() else text


def _set(state: State, options: dict[str, str], words: list[str]) -> Answer:
    if "-y" not in options:
        return 3, "\n Apply new Configuration? (y/n) [n] : -E- Aborted by user.\n"
    pairs = [word.split("=", 1) for word in words]
    for name in (pair[0] for pair in pairs):
        if name not in _visible(state):
            return 3, f"-E- The Device doesn't support {name} parameter\n"
    for name, text in sorted(pairs, key=lambda pair: pair[0] in state.get("refused", [])):
        if name in state.get("refused", []):
            return 3, f"Applying... Failed!\n-E- Failed to set configuration: {name}: Bad parameter\n"
        if name not in state.get("deaf", []):
            state["parameters"][name]["next"] = _named(state["parameters"][name], text)
    return (
        0,
        " Apply new Configuration? (y/n) [n] : y\nApplying... Done!\n"
        "-I- Please reboot machine to load new configurations.\n",
    )


def _named(parameter: dict[str, Any], text: str) -> str:
    """The value as the tool prints it: with its name where the parameter has names."""
    for known in [*parameter.get("values", []), parameter["default"], parameter["current"], parameter["next"]]:
        name = known.partition("(")[0]
        if "(" in known and (name == text or f"({text})" in known):
            return known
    if parameter["default"] in ("False(0)", "True(1)"):
        return "True(1)" if int(text, 0) else "False(0)"
    return str(int(text, 0))


def mstflint(state: State, arguments: list[str]) -> Answer:
    """query of the card or of an image, and burn."""
    options: dict[str, str] = {}
    rest = list(arguments)
    while rest and rest[0].startswith("-"):
        flag = rest.pop(0)
        options[flag] = rest.pop(0) if flag in ("-d", "-i") else ""
    if "-d" in options and not options["-d"].startswith(state["slot"]):
        return 1, f"-E- Cannot open Device: {options['-d']}. No such file or directory. MFE_CR_ERROR\n"
    if rest == ["query"] and "-i" in options:
        try:
            image = json.loads(Path(options["-i"]).read_text(encoding="utf-8"))
        except ValueError:
            return 1, f"-E- Cannot open Image: {options['-i']}. Image size should be 4-bytes aligned.\n"
        return 0, _versions(image["version"], image["version"], image["psid"])
    if rest == ["query"]:
        return 0, _versions(**state["firmware"])
    image = json.loads(Path(options["-i"]).read_text(encoding="utf-8"))
    if state.get("broken_burn"):
        return 1, "-E- Burning FS4 image failed: The flash is write protected\n"
    state["firmware"]["version"] = image["version"]
    return 0, "-I- To load new FW run mstfwreset or reboot machine.\n"


def _versions(version: str, running: str, psid: str) -> str:
    lines = ["Image type:            FS4", f"FW Version:            {version}"]
    if running != version:
        lines.append(f"FW Version(Running):   {running}")
    lines += ["Description:           UID                GuidsNumber", "Image VSD:             N/A"]
    return "\n".join([*lines, f"PSID:                  {psid}", "Security Attributes:   N/A"]) + "\n"


def mstfwreset(state: State, arguments: list[str]) -> Answer:
    """query and reset."""
    if "query" in arguments:
        names = {0: 'Driver, PCI link, network link will remain up ("live-Patch")', 3: "Driver restart and PCI reset"}
        names[4] = "Warm Reboot"
        lines = ["Reset-levels:"]
        for level, name in names.items():
            word = "Supported" if level in state["reset_levels"] else "Not Supported"
            lines.append(f"{level}: {name:<62}-{word:<14}")
        return 0, "\n".join([*lines, "", "Reset-types (relevant only for reset-levels 3,4):", ""])
    load(state)
    return 0, "-I- FW was loaded successfully.\n"


PROGRAMS = {"mstconfig": mstconfig, "mstflint": mstflint, "mstfwreset": mstfwreset}


def run(file: Path, program: str, arguments: list[str]) -> Answer:
    """One call of a program."""
    state = json.loads(file.read_text(encoding="utf-8"))
    state.setdefault("log", []).append([program, *arguments])
    answer = PROGRAMS[program](state, arguments)
    file.write_text(json.dumps(state), encoding="utf-8")
    return answer


if __name__ == "__main__":
    status, text = run(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
    sys.stdout.write(text)
    sys.exit(status)
