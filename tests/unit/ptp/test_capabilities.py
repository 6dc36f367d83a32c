# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an interface can stamp, and who else steers the clock."""

import struct

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.ptp import capabilities


def ts_info(flags, phc):
    return struct.pack("=IIi8I", capabilities.ETHTOOL_GET_TS_INFO, flags, phc, *([0] * 8))


@pytest.mark.parametrize(
    ("flags", "phc", "hardware", "software"),
    [
        (0b1011111, 0, True, True),  # an mlx5 or igb: everything, with a clock
        (0b1011111, -1, False, True),  # hardware stamps are of no use to PTP without a clock to steer
        (0b0011010, -1, False, True),  # virtio_net
        (0b0011000, -1, False, False),  # lo of old kernels: no transmit stamps
        (0b1000101, 3, True, False),
        (0, -1, False, False),
    ],
)
def test_decode(flags, phc, hardware, software):
    assert capabilities.decode_timestamping(ts_info(flags, phc)) == {
        "hardware": hardware,
        "software": software,
        "phc_index": phc if phc >= 0 else None,
    }


def test_the_kernel_answers_for_the_loopback():
    found = capabilities.timestamping("lo")
    assert found["phc_index"] is None and found["hardware"] is False


def test_an_interface_that_is_not_there():
    with pytest.raises(OSError, match="No such device"):
        capabilities.timestamping("none0")


def test_version_of_linuxptp():
    assert capabilities.version(lambda argv: (0, "4.2\n", "")) == "4.2"
    assert capabilities.version(lambda argv: (0, "4.2" if argv[0] == "pmc" else "3.1.1", "")) == ""
    assert capabilities.version(lambda argv: (1, "", "")) == ""

    def missing(argv):
        if argv[0] == "pmc":
            raise FileNotFoundError(argv[0])
        return 0, "3.1.1\n", ""

    assert capabilities.version(missing) == ""


def test_competitors():
    asked = []

    def run(argv):
        asked.append(argv)
        return 3, "inactive\nactive\ninactive\ninactive\ninactive\ninactive\nactive\n", ""

    assert capabilities.competitors(run) == ["chronyd", "systemd-timesyncd"]
    assert asked[0][:3] == ["systemctl", "is-active", "chrony.service"]


def test_competitors_without_systemd():
    def missing(argv):
        raise FileNotFoundError("systemctl")

    assert capabilities.competitors(missing) == []
    assert capabilities.competitors(lambda argv: (1, "", "System has not been booted with systemd")) == []
