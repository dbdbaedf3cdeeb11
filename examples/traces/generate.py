"""Makes the traces of this folder: `python generate.py` writes them again, the same each time.

They are made, not measured, but by processes that measured ones look like: rates and delays that
wander around a level which itself changes now and then (cells, rooms), with short outages.
"""

from __future__ import annotations

import csv
import math
import random
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
LENGTH_S = 120
PACKET_BITS = 1504 * 8

Row = tuple[float, float, float, float, int]


def wander(rng: random.Random, stays: float, spread: float) -> Iterator[float]:
    """An Ornstein-Uhlenbeck process around 0, a value a second: each keeps `stays` of the one before."""
    value = rng.gauss(0, spread)
    while True:
        yield value
        value = stays * value + rng.gauss(0, spread * math.sqrt(1 - stays**2))


def lte_drive(rng: random.Random) -> Iterator[Row]:
    """A car in LTE cells: every half minute another cell, with a second of hand-over between them."""
    fading = wander(rng, 0.9, 0.5)
    for second in range(LENGTH_S):
        cell = 12e6 * (0.5 + 0.5 * math.sin(second / 30 * math.pi) ** 2)
        rate = cell * math.exp(next(fading))
        hands_over = second % 30 == 0 and second > 0
        latency_ms = 35 + 4e7 / rate + (250 if hands_over else 0)
        yield (
            second,
            latency_ms,
            latency_ms / 5,
            0.08 if hands_over else 0.001,
            int(rate / (8 if hands_over else 1)),
        )


def wifi_walk(rng: random.Random) -> Iterator[Row]:
    """A walk from an access point to three rooms away, and back."""
    fading = wander(rng, 0.6, 0.25)
    for second in range(LENGTH_S):
        distance_m = 2 + 38 * math.sin(second / LENGTH_S * math.pi)
        snr_db = 60 - 30 * math.log10(distance_m) + 4 * next(fading)
        loss = 1 / (1 + math.exp(snr_db - 9))
        rate = min(54e6, 10e6 * math.log2(1 + 10 ** (snr_db / 10)))
        yield second, 2 + 20 * loss, 1 + 10 * loss, round(loss**2, 5), int(rate)


def leo_satellite(rng: random.Random) -> Iterator[Row]:
    """A dish that takes another satellite every 15 s: a step of the delay, and a short outage."""
    level_ms = 30.0
    for half in range(2 * LENGTH_S):
        changes = half % 30 == 0
        if changes:
            level_ms = rng.uniform(22, 45)
        rate = rng.lognormvariate(math.log(90e6), 0.25)
        yield half / 2, level_ms, 3.0, 0.3 if changes else 0.002, int(rate / (10 if changes else 1))


def nb_iot_meter(rng: random.Random) -> Iterator[Row]:
    """A meter in a cellar on NB-IoT: narrow, slow, and repeated until it gets through."""
    fading = wander(rng, 0.97, 0.8)
    for five in range(LENGTH_S // 5):
        bad = math.exp(next(fading))
        yield five * 5, 700 + 500 * bad, 150 + 100 * bad, min(0.2, 0.01 * bad), int(max(2_000, 25_000 / bad))


def opportunities(rng: random.Random, mean_bps: float) -> Iterator[int]:
    """Mahimahi's delivery opportunities of a cellular link, in milliseconds, with pauses of seconds."""
    fading = wander(rng, 0.8, 0.6)
    credit, paused_until = 0.0, -1
    for second in range(LENGTH_S):
        rate = mean_bps * math.exp(next(fading))
        if rng.random() < 0.03:
            paused_until = second * 1000 + rng.randrange(500, 2500)
        for millisecond in range(second * 1000, second * 1000 + 1000):
            credit += rate / 1000
            while credit >= PACKET_BITS:
                credit -= PACKET_BITS
                if millisecond > paused_until:
                    yield millisecond
    yield LENGTH_S * 1000


def write_csv(name: str, rows: Iterator[Row]) -> None:
    """A CSV trace; see ``Trace.csv``."""
    with (HERE / name).open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["t", "latency_ms", "jitter_ms", "loss", "rate_bps"])
        for t, latency_ms, jitter_ms, loss, rate_bps in rows:
            writer.writerow([t, round(latency_ms, 1), round(jitter_ms, 1), round(loss, 5), rate_bps])


def main() -> None:
    """Write all of them."""
    for number, make in enumerate((lte_drive, wifi_walk, leo_satellite, nb_iot_meter)):
        write_csv(f"{make.__name__}.csv", make(random.Random(number)))
    for name, seed, mean_bps in (("hspa_bus.down", 10, 0.6e6), ("hspa_bus.up", 11, 0.2e6)):
        lines = "\n".join(map(str, opportunities(random.Random(seed), mean_bps)))
        (HERE / name).write_text(lines + "\n")


if __name__ == "__main__":
    main()
