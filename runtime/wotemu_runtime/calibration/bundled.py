"""A benchmark of Python's lzma module, related to 7-zip's: both compress and decompress by LZMA.

7-zip's rating is the mean of two, of compressing and of decompressing generated data with repetitions; so is
this one. The factors between this benchmark's speeds and 7-zip's ratings were measured in turn on one
machine (AMD EPYC, 7-zip 26.02, liblzma 5.4.1), with `benchmarks/devices.py`. On another processor or with
another liblzma they differ by an amount that is not known; `ERROR` is what to reckon with.
"""

from __future__ import annotations

import lzma
import random
import time
from statistics import median

MIPS_PER_MB_COMPRESSED = 950.0
MIPS_PER_MB_DECOMPRESSED = 65.0
"""7-zip's MIPS for each 2^20 bytes in a second of CPU time."""
ERROR = 0.2
_ROUNDS = 5
_DECOMPRESSIONS = 6
_BYTES = 1 << 20
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 5}]


def measure(rounds: int = _ROUNDS) -> float:
    """The rating of this machine's core, in 7-zip's MIPS; takes about half a second of CPU time a round."""
    data = generated(_BYTES)
    speeds = [_speeds(data) for _ in range(rounds)]
    # The median: other work on the machine slows single rounds down, as it has the caches meanwhile.
    compressing, decompressing = (median(each) for each in zip(*speeds, strict=True))
    return float(MIPS_PER_MB_COMPRESSED * compressing + MIPS_PER_MB_DECOMPRESSED * decompressing) / 2


def generated(size: int) -> bytes:
    """Data as 7-zip's benchmark has it: random bytes, and repetitions of what was before, near and far."""
    numbers, made = random.Random(7), bytearray()  # noqa: S311
    while len(made) < size:
        if len(made) < 64 or numbers.random() < 0.35:
            made += numbers.randbytes(numbers.randint(1, 12))
        else:
            back = min(len(made), int(2 ** (20 * numbers.random())))
            start = len(made) - back
            made += made[start : start + numbers.randint(3, 40)]
    return bytes(made[:size])


def _speeds(data: bytes) -> tuple[float, float]:
    """Compressing and decompressing, in 2^20 bytes a second of this thread's CPU time."""
    started = time.thread_time()
    packed = lzma.compress(data, lzma.FORMAT_RAW, filters=_FILTERS)
    compressed = time.thread_time()
    for _ in range(_DECOMPRESSIONS):
        lzma.decompress(packed, lzma.FORMAT_RAW, filters=_FILTERS)
    ended = time.thread_time()
    size = len(data) / (1 << 20)
    return size / (compressed - started), size * _DECOMPRESSIONS / (ended - compressed)
