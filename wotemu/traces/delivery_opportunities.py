"""Mahimahi's delivery opportunities as a rate over time, with a bound on when each of them comes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

from wotemu.scenario.vocabulary.traces import OPPORTUNITY_BITS
from wotemu.traces.recording import Recording, TraceImportError

DEFAULT_WITHIN_S = 5e-3
"""How much earlier or later than recorded an opportunity may come."""
RESERVE = 0.5
"""Packets that are sent beyond the last one before an outage."""


def opportunities(lines: Sequence[str], name: str) -> list[int]:
    """Milliseconds at which a packet of 1504 bytes can be delivered, in the order of the file.

    Raises:
        TraceImportError: It names the file and line that is wrong.
    """
    found: list[int] = []
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        where = f"{name}, line {number}"
        if not (text.isascii() and text.isdigit()):
            raise TraceImportError(f"{text[:40]!r} is not a whole number of milliseconds", where=where)
        if found and int(text) < found[-1]:
            raise TraceImportError(f"{text} comes before {found[-1]}", where=where)
        found.append(int(text))
    if not found or not found[-1]:
        raise TraceImportError("it has no delivery opportunity after 0 ms", where=name)
    return found


def recording_of(instants_ms: Sequence[int], within_s: float) -> Recording:
    """The rate over time that delivers each opportunity within `within_s` of its instant.

    Behind such a rate a queue that never empties sends its k-th packet of 1504 bytes at most `within_s`
    before or after the k-th opportunity. The error does not add up: each row begins where the bits of the
    rows before it end.
    """
    rows = rate_rows(instants_ms, within_s)
    length_s = max(instants_ms[-1] / 1e3, 1e-3)
    said = (
        f"each delivery opportunity of 1504 bytes comes within {within_s * 1e3:g} ms of the recorded instant",
        "an opportunity is not lost while nothing waits: a packet that comes then takes up to one interval",
    )
    source = f"{len(instants_ms)} delivery opportunities"
    return Recording(
        tuple((t_s, {"rate_bps": float(rate)}) for t_s, rate in rows),
        length_s,
        {"rate_bps": source},
        said,
        is_sampled=False,
    )


def rate_rows(instants_ms: Sequence[int], within_s: float) -> list[tuple[float, float]]:
    """Few rates in a row that pass all opportunities: a cone of slopes, narrowed by each of them.

    Args:
        instants_ms: In ascending order.
        within_s: How far from its instant an opportunity may be.

    Returns:
        Times in seconds, rates in bits a second; 0 where packets have to wait.
    """
    line = _Line(within_s)
    for ms, same in groupby(instants_ms):
        line.add(ms / 1e3, len(list(same)))
    line.close()
    return line.rows


class _Line:
    """Packets sent over time, as straight pieces that are entered one by one.

    Args:
        within_s: How far from its instant each packet may be.

    Attributes:
        rows: The pieces so far: when each begins, and its rate in bits a second.
    """

    def __init__(self, within_s: float) -> None:
        self.rows: list[tuple[float, float]] = []
        self._within_s = within_s
        self._start_s = 0.0
        self._sent = 0.0  # at the start of the piece
        self._counted = 0  # opportunities so far
        self._slopes = (0.0, math.inf)

    def add(self, t_s: float, many: int) -> None:
        """Pass opportunities of one instant, with the piece at hand if it can, else with a new one."""
        narrowed = self._narrowed(self._slopes, t_s, many)
        if narrowed[0] > narrowed[1]:
            rate = self.close()
            narrowed = self._narrowed((0.0, math.inf), t_s, many)
            if narrowed[0] > narrowed[1] or t_s - self._start_s > 2 * self._within_s:
                self._wait(t_s - self._within_s, rate)
                narrowed = self._narrowed((0.0, math.inf), t_s, many)
        self._slopes = narrowed
        self._counted += many

    def close(self) -> float:
        """Enter the piece at hand, until its last packet is sent; return its packets a second."""
        low, high = self._slopes
        self._slopes = (0.0, math.inf)
        if self._counted <= self._sent:
            return 0.0
        # Rounded up, as all of a piece: a packet that lacked a bit would wait as long as an outage lasts.
        bits = math.ceil(2 / (1 / low + 1 / high) * OPPORTUNITY_BITS)  # in the middle of their times
        self.rows.append((self._start_s, bits))
        rate = bits / OPPORTUNITY_BITS
        self._advance(math.ceil((self._start_s + (self._counted - self._sent) / rate) * 1e6) / 1e6, rate)
        return rate

    def _wait(self, until_s: float, rate: float) -> None:
        """Enter an outage, after at most half a packet more at `rate`.

        A change that a gateway applies late takes bits from a piece. Half a packet in reserve keeps them
        from leaving its last packet behind for the whole outage.
        """
        if rate:
            self._advance(min(round(self._start_s + RESERVE / rate, 6), max(until_s, self._start_s)), rate)
        if until_s > self._start_s:
            self.rows.append((self._start_s, 0.0))
            self._start_s = round(until_s, 6)

    def _advance(self, to_s: float, rate: float) -> None:
        self._sent += rate * (to_s - self._start_s)
        self._start_s = to_s

    def _narrowed(self, slopes: tuple[float, float], t_s: float, many: int) -> tuple[float, float]:
        """The packets a second that send as many more around an instant."""
        latest_s, earliest_s = t_s + self._within_s - self._start_s, t_s - self._within_s - self._start_s
        least = (self._counted + many - self._sent) / latest_s if latest_s > 0 else math.inf
        most = max(0.0, (self._counted + 1 - self._sent) / earliest_s) if earliest_s > 1e-9 else math.inf
        return max(slopes[0], least), min(slopes[1], most)
