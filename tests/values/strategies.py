"""Random conditions that are valid, for properties that must hold for all of them."""

from __future__ import annotations

from hypothesis import strategies as st

from wotemu.topology.conditions import (
    DISTRIBUTIONS,
    DistributionTable,
    GilbertElliott,
    LossModel,
    MarkovLoss,
    NetworkConditions,
)
from wotemu.units import Bytes, Fraction, Packets, Rate, Seconds

shares = st.floats(0, 1).map(Fraction)
durations = st.floats(0, 1e4).map(Seconds)
rates = st.none() | st.just(Rate(0)) | st.floats(8, 1e12).map(Rate)
sizes = st.integers(1, 2**40).map(Bytes)
queues = st.none() | st.floats(1e-6, 1e3).map(Seconds) | sizes | st.integers(1, 10**6).map(Packets)
tables = st.lists(st.integers(-32768, 32767), min_size=2, max_size=32).map(
    lambda values: DistributionTable(tuple(values))
)
halves = st.floats(0, 0.5).map(Fraction)
loss_models: st.SearchStrategy[LossModel] = st.builds(
    GilbertElliott, shares, shares, bad_loss=shares, good_loss=shares
) | st.builds(MarkovLoss, halves, halves, halves, shares, halves)

conditions = st.builds(
    NetworkConditions,
    latency=durations,
    jitter=durations,
    jitter_correlation=shares,
    distribution=st.sampled_from(DISTRIBUTIONS) | tables,
    loss=shares,
    loss_correlation=shares,
    loss_model=st.none() | loss_models,
    ecn=st.booleans(),
    duplicate=shares,
    duplicate_correlation=shares,
    corrupt=shares,
    corrupt_correlation=shares,
    reorder=shares,
    reorder_correlation=shares,
    reorder_gap=st.integers(1, 100),
    rate=rates,
    burst=st.none() | sizes,
    overhead=st.integers(-42, 100),
    cell_size=st.integers(0, 100),
    cell_overhead=st.integers(0, 10),
    queue=queues,
    duty_cycle=st.just(Fraction(1)) | st.floats(1e-6, 1).map(Fraction),
)
