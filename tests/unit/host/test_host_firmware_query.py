"""What the tools of mstflint print, from recorded output, written-down output and the forms of their source."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.tickwire.fabric.plugins.module_utils.host.firmware import query

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures/host/mstflint"


def text(name: str) -> str:
    return (FIXTURES / name).read_text(encoding="utf-8")


def test_three_columns_and_the_mark_of_a_change() -> None:
    found = query.parse_text(text("mft-connectx5-excerpt.txt"))
    assert found.device_type == "ConnectX5"
    assert list(found.parameters) == [
        "MEMIC_BAR_SIZE",
        "MEMIC_SIZE_LIMIT",
        "ADVANCED_PCI_SETTINGS",
        "SAFE_MODE_THRESHOLD",
        "SAFE_MODE_ENABLE",
    ]
    hiding = found.parameters["ADVANCED_PCI_SETTINGS"]
    assert (hiding.default, hiding.current, hiding.next) == (
        query.Value("False(0)", 0, "False"),
        query.Value("True(1)", 1, "True"),
        query.Value("True(1)", 1, "True"),
    )


def test_one_column_is_the_next_boot() -> None:
    found = query.parse_text(text("mft-4.11-connectx5-next-only.txt"))
    assert len(found.parameters) == 19
    pci = found.parameters["PCI_ATOMIC_MODE"]
    assert pci.next == query.Value(
        "PCI_ATOMIC_DISABLED_EXT_ATOMIC_ENABLED(0)", 0, "PCI_ATOMIC_DISABLED_EXT_ATOMIC_ENABLED"
    )
    assert pci.current is None and pci.default is None
    array = found.parameters["HOST_CHAINING_DESCRIPTORS"].next
    assert array is not None and array.is_array


def test_a_card_without_current_values_and_a_row_that_was_cut_off() -> None:
    found = query.parse_text(text("mstconfig-connectx3pro-no-current.txt"))
    assert found.parameters["NUM_OF_VFS"] == query.Parameter(
        "NUM_OF_VFS", next=query.Value("16", 16), default=query.Value("16", 16)
    )
    assert found.parameters["BOOT_RETRY_CNT_P1"] == query.Parameter("BOOT_RETRY_CNT_P1", next=None)


def test_the_newer_table_and_the_newer_json_say_the_same() -> None:
    table, document = query.parse_text(text("newer-wide.txt")), query.parse_json(text("newer.json"))
    assert table.device_type == document.device_type == "ConnectX7"
    for name in document.parameters:
        assert table.parameters[name] == document.parameters[name]
    assert table.parameters["PF_TOTAL_SF"].read_only and not table.parameters["SRIOV_EN"].read_only
    assert table.parameters["MAX_PACKET_LIFETIME"].read_only
    assert table.parameters["PF_TOTAL_SF"].default is None, "N/A"
    data = table.parameters["UUID_BYTES"].next
    assert data is not None and data.is_as("00112233445566778899AABBCCDDEEFF")


def test_what_is_no_table_has_no_parameters() -> None:
    for name in ("4.21-no-device-mstconfig.txt", "4.21-mstconfig-without-json.txt"):
        assert query.parse_text(text(name)).parameters == {}
    assert query.errors(text("4.21-no-device-mstconfig.txt")) == "Failed to open the device"
    assert query.errors(text("4.21-mstconfig-without-json.txt")) == "invalid argument: -j"
    with pytest.raises(ValueError):
        query.parse_json("{}")


def test_versions() -> None:
    assert query.parse_firmware(text("mstflint-query-running-differs.txt")) == query.Firmware(
        "20.35.1012", "20.34.1002", "MT_0000000228"
    )
    assert query.parse_firmware(text("mstflint-query-connectx3.txt")) == query.Firmware(
        "2.40.5030", "2.40.5030", "ISL1090110018"
    )
    for name in ("4.21-no-device-mstflint.txt", "4.21-no-image-mstflint.txt"):
        assert query.parse_firmware(text(name)) is None
    assert query.parse_version("16.35.2000") > query.parse_version("16.4.3000"), "numbers, not text"


def test_reset_levels() -> None:
    assert query.parse_reset_levels(text("4.21-mstfwreset-query.txt")) == {3, 4}
    assert query.parse_reset_levels(text("4.21-no-device-mstfwreset.txt")) == frozenset()


@pytest.mark.parametrize(
    ("shown", "wanted", "same"),
    [
        ("True(1)", "1", True),
        ("True(1)", "TRUE", True),
        ("True(1)", "True(1)", True),
        ("True(1)", "0", False),
        ("ETH(2)", "eth", True),
        ("ETH(2)", "ET", False),
        ("16", "0x10", True),
        ("16", "1", False),
        ("_256KB(1)", "_256KB", True),
        ("OFF(0)", "0", True),
    ],
)
def test_a_value_is_its_number_or_its_name_and_no_part_of_it(shown: str, wanted: str, same: bool) -> None:
    value = query.parse_value(shown)
    assert value is not None and value.is_as(wanted) is same


NAMES = st.text("ABCXYZ019_", max_size=40).map(lambda text: f"N{text}")
VALUES = st.one_of(
    st.integers(0, 2**32 - 1).map(str),
    st.tuples(st.text("aZ_9", min_size=1, max_size=20), st.integers(0, 300)).map(lambda pair: f"{pair[0]}({pair[1]})"),
    st.just("N/A"),
)


def column(value: str, width: int) -> str:
    """Padded; a value that fills the column gets one blank more, so that columns never touch."""
    return f"{value:<{width}}" + (" " if len(value) >= width else "")


@settings(max_examples=30)
@given(st.dictionaries(NAMES, st.tuples(VALUES, VALUES, VALUES, st.booleans()), max_size=5), st.booleans())
def test_every_table_in_the_tools_formats_is_read_whole(rows: dict, wide: bool) -> None:
    """By the format strings of 4.21 (columns of 36 and 16) and of the newer one (48 and 33, with RO)."""
    name_width, width = (48, 33) if wide else (36, 16)
    lines = ["Device type:    ConnectX5", "", "Configurations:   Default    Current    Next Boot"]
    for name, (default, current, following, read_only) in rows.items():
        mark = ("*" if following != current else " ") + ("RO" if wide and read_only else "  ") + "     "
        values = "".join(column(value, width) for value in (default, current, following))
        lines.append(f"{mark}{name:<{name_width}} {values}")
    found = query.parse_text("\n".join([*lines, "The '*' shows parameters with next value different"]))
    assert list(found.parameters) == list(rows)
    for name, (default, current, following, read_only) in rows.items():
        parameter = found.parameters[name]
        assert parameter.read_only is (wide and read_only)
        shown = [parameter.default, parameter.current, parameter.next]
        assert shown == [query.parse_value(value) for value in (default, current, following)]
