"""Access networks whose ways differ: their figures, their sources, and what a link makes of them."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from wotemu import Link, LinkConditions, Network, NetworkConditions, Node, Scenario, Topology
from wotemu.errors import InputError
from wotemu.scenario import resolve
from wotemu.topology import link_conditions

PAGE = Path(__file__).parents[2] / "docs/vocabulary.md"
NETWORK = Network("net")


def _figures(name: str) -> tuple[float, float, float]:
    """Milliseconds there and back, and kbit/s up and down."""
    both = LinkConditions.presets()[name]
    round_trip_ms = (both.up.latency + both.down.latency) * 1e3
    assert both.up.rate is not None and both.down.rate is not None
    return round_trip_ms, both.up.rate / 1e3, both.down.rate / 1e3


@pytest.mark.parametrize(
    ("name", "round_trip_ms", "up_kbit", "down_kbit"),
    [
        ("NB_IOT", 837, 62, 26),
        ("LTE_M", 100, 375, 375),
        ("LORA_SF12", 1000, 0.25, 0.25),
        ("BLE_1M", 50, 702.8, 702.8),
        ("LTE_TELENOR_NO_BAD", 83.334, 1500.4, 22905.5),
        ("LTE_TELIA_SE_GOOD", 91.852, 21181, 53954.9),
        ("NR_THREE_UK", 29, 12940, 236250),
        ("STARLINK_US", 45, 13890, 97230),
        ("GEO_HUGHESNET_US", 724, 2430, 19730),
        ("GEO_VIASAT_US", 630, 3380, 18130),
    ],
)
def test_figures_are_those_of_the_sources(
    name: str, round_trip_ms: float, up_kbit: float, down_kbit: float
) -> None:
    assert _figures(name) == pytest.approx((round_trip_ms, up_kbit, down_kbit), abs=2e-3)


def _described() -> Iterator[tuple[str, str]]:
    """Each preset with the text that follows its declaration."""
    body = ast.parse(inspect.getsource(link_conditions)).body
    (cls,) = (each for each in body if isinstance(each, ast.ClassDef))
    for declared, text in zip(cls.body, cls.body[1:], strict=False):
        if isinstance(declared, ast.AnnAssign) and ast.unparse(declared.annotation) == "ClassVar[Self]":
            assert isinstance(declared.target, ast.Name) and isinstance(text, ast.Expr)
            yield declared.target.id, ast.literal_eval(text.value)


def test_each_preset_names_its_source() -> None:
    described = dict(_described())
    assert described.keys() == LinkConditions.presets().keys()
    assert [name for name, text in described.items() if "https://" not in text] == []


def test_the_page_has_the_same_figures() -> None:
    row = re.compile(r"^\| `(\w+)` \| (.+?) \| (.+?) \| (.+?) \| (.+?) \| .*http.* \|$", re.MULTILINE)
    rows = row.findall(PAGE.read_text())
    shown = {name: tuple(figures) for name, *figures in rows}
    assert shown == {
        name: tuple(str(each) for way in (both.up, both.down) for each in (way.latency, way.rate))
        for name, both in LinkConditions.presets().items()
    }


def test_a_link_takes_both_ways_and_each_may_be_another() -> None:
    both, other = LinkConditions.NB_IOT, NetworkConditions(latency="1s")
    assert Link(NETWORK, both) == Link(NETWORK, up=both.up, down=both.down)
    assert Link(NETWORK, both, up=other) == Link(NETWORK, up=other, down=both.down)
    assert Link(NETWORK, other) == Link(NETWORK, up=other, down=other)


@pytest.mark.parametrize(
    ("make", "where", "hint"),
    [
        (lambda: Network("x", LinkConditions.NB_IOT), "'conditions'", "write Link(network, LinkConditions"),  # type: ignore[arg-type]
        (lambda: Link(NETWORK, up=LinkConditions.NB_IOT), "'up'", "LinkConditions.NB_IOT.up"),  # type: ignore[arg-type]
        (lambda: Link(NETWORK, 3), "'conditions'", "NetworkConditions.LTE"),  # type: ignore[arg-type]
        (lambda: LinkConditions(up=NetworkConditions(), down=0), "'down'", "NetworkConditions.LTE"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_conditions_is_refused(make: Callable[[], Any], where: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        make()
    assert where in str(caught.value) and hint in str(caught.value.hint)


def test_no_preset_raises_a_warning() -> None:
    for name, both in LinkConditions.presets().items():
        nodes = [Node(each, command=["x"], networks=[Link(NETWORK, both)]) for each in ("a", "b")]
        assert resolve(Topology(nodes), Scenario())[1] == [], name
