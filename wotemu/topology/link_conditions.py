"""Conditions of a link, up and down apart, and access networks whose figures have a published source."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import attrs

from wotemu.topology._fields import Checked, fail
from wotemu.topology.conditions import NetworkConditions
from wotemu.units import Rate, Seconds

PRESET_ALIASES = {
    "2g": "GPRS",
    "3g": "REGULAR_3G",
    "4g": "LTE",
    "5g": "NR_THREE_UK",
    "ble": "BLE_1M",
    "bluetooth": "BLE_1M",
    "geo": "GEO_VIASAT_US",
    "satellite": "GEO_VIASAT_US",
    "leo": "STARLINK_US",
    "starlink": "STARLINK_US",
    "lora": "LORA_SF7",
    "lorawan": "LORA_SF7",
}
"""Common names of some presets of `NetworkConditions` and `LinkConditions`."""


def is_one_way(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """A validator: the value is NetworkConditions."""
    if not isinstance(value, NetworkConditions):
        hint = 'write NetworkConditions.LTE or NetworkConditions(latency="40ms", rate="15mbit")'
        if isinstance(value, LinkConditions):
            hint = "write Link(network, LinkConditions.NB_IOT): its ways differ, which only a link's can"
            if attribute.name in ("up", "down"):
                hint = f"write {attribute.name}=LinkConditions.NB_IOT.{attribute.name}"
        raise fail(instance, attribute.name, f"{value!r} is not NetworkConditions", hint=hint)


@attrs.frozen(kw_only=True)
class LinkConditions(Checked):
    """Conditions of a link's two ways, for access networks that are faster down than up.

    ``Link(network, LinkConditions.NB_IOT)`` attaches a node through one; ``set`` changes a link to one.

    The presets are figures that somebody has published. A round trip is halved, one half each way. How much
    a delay varied between tests is not a packet's jitter, so none has jitter; none has loss either, which no
    source gives. What apps measured as throughput is taken as the rate.

    Attributes:
        up: Conditions of the hop from the node to the gateway.
        down: Conditions of the hop from the gateway to the node.

    Raises:
        TopologyError: One is no `NetworkConditions`.
    """

    up: NetworkConditions = attrs.field(validator=is_one_way)
    down: NetworkConditions = attrs.field(validator=is_one_way)

    NB_IOT: ClassVar[Self]
    """NB-IoT, Cat-NB1. Peak rates: https://blog.mbedded.ninja/electronics/communication-protocols/cellular.

    Delay: 837 ms measured, taken as a round trip: Ugwuanyi et al., Electronics 10, 2224, 2021,
    https://scribd.com/document/540543308/Electronics-10-02224.
    """
    LTE_M: ClassVar[Self]
    """LTE-M, Cat-M1. About 375 kbit/s by https://docs.pycom.io/firmwareapi/pycom/network/lte.

    Delay: 50 to 100 ms by Arduino's guide to the Portenta Max Carrier, https://github.com/arduino/docs-content;
    100 ms taken as a round trip.
    """
    LORA_SF7: ClassVar[Self]
    """LoRa class, EU868, spreading factor 7 in 125 kHz: physical bit rates of LoRaWAN's regional parameters.

    https://docs.rakwireless.com/product-categories/software-apis-and-libraries/rui3/appendix/. Down: a device
    of class A listens 1 s after it sent (Rx delay 1, table 1 of https://www.rfc-editor.org/rfc/rfc8376).
    Neither the duty cycle of 1 % nor the largest frame of 59 to 250 bytes is part of it: a network with
    ``NetworkConditions(duty_cycle="1%")`` imposes the one.
    """
    LORA_SF10: ClassVar[Self]
    """As `LORA_SF7` with spreading factor 10: https://www.rfc-editor.org/rfc/rfc8376 and the same table."""
    LORA_SF12: ClassVar[Self]
    """As `LORA_SF7` with spreading factor 12: https://www.rfc-editor.org/rfc/rfc8376 and the same table."""
    BLE_1M: ClassVar[Self]
    """Bluetooth LE, 1M PHY, one connection with events 50 ms apart, one way at a time.

    702.8 kbit/s by Nordic's SoftDevice specification (https://docs.nordicsemi.com, BLE data throughput),
    which is reached: https://developer.apple.com/forums/thread/774300 has 700. Delay: half of the 50 ms, the
    mean wait for the next event.
    """
    BLE_2M: ClassVar[Self]
    """As `BLE_1M` with the 2M PHY: 1327.5 kbit/s, https://blog.csdn.net/chengbaojin/article/details/124721522."""
    LTE_TELENOR_NO_GOOD: ClassVar[Self]
    """4G of Telenor in Norway, good signal: means of speed tests on MONROE's nodes.

    ERRANT, profiles.csv of https://github.com/marty90/errant; Trevisan et al., Computer Networks 176, 2020,
    https://arxiv.org/abs/2106.06335.
    """
    LTE_TELENOR_NO_MEDIUM: ClassVar[Self]
    """As `LTE_TELENOR_NO_GOOD`, medium signal: https://github.com/marty90/errant."""
    LTE_TELENOR_NO_BAD: ClassVar[Self]
    """As `LTE_TELENOR_NO_GOOD`, bad signal: https://github.com/marty90/errant."""
    LTE_TELIA_NO_GOOD: ClassVar[Self]
    """4G of Telia in Norway, good signal: https://github.com/marty90/errant, as `LTE_TELENOR_NO_GOOD`."""
    LTE_TELIA_NO_MEDIUM: ClassVar[Self]
    """4G of Telia in Norway, medium signal: https://github.com/marty90/errant, as `LTE_TELENOR_NO_GOOD`."""
    LTE_TELIA_NO_BAD: ClassVar[Self]
    """4G of Telia in Norway, bad signal: https://github.com/marty90/errant, as `LTE_TELENOR_NO_GOOD`."""
    LTE_TELIA_SE_GOOD: ClassVar[Self]
    """4G of Telia in Sweden, good signal: https://github.com/marty90/errant, as `LTE_TELENOR_NO_GOOD`."""
    LTE_TELIA_SE_MEDIUM: ClassVar[Self]
    """4G of Telia in Sweden, medium signal: https://github.com/marty90/errant, as `LTE_TELENOR_NO_GOOD`."""
    NR_THREE_UK: ClassVar[Self]
    """5G of Three UK: medians of Ookla's speed tests, second half of 2024.

    https://5g.co.uk/news/latest-5g-speedtests-three-wins-again/5554.
    """
    NR_VODAFONE_UK: ClassVar[Self]
    """5G of Vodafone UK, as `NR_THREE_UK`: https://5g.co.uk/news/latest-5g-speedtests-three-wins-again/5554."""
    NR_EE_UK: ClassVar[Self]
    """5G of EE, as `NR_THREE_UK`: https://5g.co.uk/news/latest-5g-speedtests-three-wins-again/5554."""
    NR_O2_UK: ClassVar[Self]
    """5G of O2 UK, as `NR_THREE_UK`: https://5g.co.uk/news/latest-5g-speedtests-three-wins-again/5554."""
    STARLINK_US: ClassVar[Self]
    """Starlink in the USA: medians of Ookla's speed tests, second quarter of 2021.

    https://www.ookla.com/articles/starlink-hughesnet-viasat-performance-q2-2021. In the first quarter of 2025
    the rates were 104.71 and 14.84 Mbit/s:
    https://www.telecompetitor.com/starlink-shows-gains-in-speed-test-report/.
    """
    GEO_HUGHESNET_US: ClassVar[Self]
    """A geostationary satellite, HughesNet in the USA, as `STARLINK_US`.

    https://www.ookla.com/articles/starlink-hughesnet-viasat-performance-q2-2021; round trip:
    https://rcrwireless.com/20210804/carriers/nice-link-if-you-can-get-it-starlink-outpaces-other-satellite-providers-and-sometimes-even-fixed-broadband.
    """
    GEO_VIASAT_US: ClassVar[Self]
    """A geostationary satellite, Viasat in the USA, sources as `GEO_HUGHESNET_US`.

    https://www.ookla.com/articles/starlink-hughesnet-viasat-performance-q2-2021.
    """

    @classmethod
    def presets(cls) -> dict[str, Self]:
        """The access networks with a published source, by name."""
        return {name: value for name, value in vars(cls).items() if isinstance(value, cls)}


def _round_trip(round_trip_ms: float, up_kbit: float, down_kbit: float) -> LinkConditions:
    """Both ways of an access network: half of the round trip, and a rate of their own."""
    half = round_trip_ms / 2
    return _ways(half, up_kbit, half, down_kbit)


def _ways(up_ms: float, up_kbit: float, down_ms: float, down_kbit: float) -> LinkConditions:
    return LinkConditions(up=_way(up_ms, up_kbit), down=_way(down_ms, down_kbit))


def _way(latency_ms: float, rate_kbit: float) -> NetworkConditions:
    # To microseconds and bits a second, which no source is finer than.
    return NetworkConditions(latency=Seconds(round(latency_ms / 1e3, 6)), rate=Rate(round(rate_kbit * 1e3)))


LinkConditions.NB_IOT = _round_trip(837, 62, 26)
LinkConditions.LTE_M = _round_trip(100, 375, 375)
LinkConditions.LORA_SF7 = _ways(0, 5.47, 1000, 5.47)
LinkConditions.LORA_SF10 = _ways(0, 0.98, 1000, 0.98)
LinkConditions.LORA_SF12 = _ways(0, 0.25, 1000, 0.25)
LinkConditions.BLE_1M = _ways(25, 702.8, 25, 702.8)
LinkConditions.BLE_2M = _ways(25, 1327.5, 25, 1327.5)
LinkConditions.LTE_TELENOR_NO_GOOD = _round_trip(89.616, 16417.9, 35638.5)
LinkConditions.LTE_TELENOR_NO_MEDIUM = _round_trip(86.385, 3954.5, 23927.9)
LinkConditions.LTE_TELENOR_NO_BAD = _round_trip(83.334, 1500.4, 22905.5)
LinkConditions.LTE_TELIA_NO_GOOD = _round_trip(92.861, 15707.7, 21487.6)
LinkConditions.LTE_TELIA_NO_MEDIUM = _round_trip(95.534, 3021.2, 17146.7)
LinkConditions.LTE_TELIA_NO_BAD = _round_trip(101.605, 1521.1, 11495.6)
LinkConditions.LTE_TELIA_SE_GOOD = _round_trip(91.852, 21181, 53954.9)
LinkConditions.LTE_TELIA_SE_MEDIUM = _round_trip(104.504, 4224.3, 28648.3)
LinkConditions.NR_THREE_UK = _round_trip(29, 12_940, 236_250)
LinkConditions.NR_VODAFONE_UK = _round_trip(31, 11_550, 149_800)
LinkConditions.NR_EE_UK = _round_trip(30, 11_970, 100_560)
LinkConditions.NR_O2_UK = _round_trip(33, 8_460, 73_860)
LinkConditions.STARLINK_US = _round_trip(45, 13_890, 97_230)
LinkConditions.GEO_HUGHESNET_US = _round_trip(724, 2_430, 19_730)
LinkConditions.GEO_VIASAT_US = _round_trip(630, 3_380, 18_130)
