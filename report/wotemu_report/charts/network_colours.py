"""The networks of a run and the colour that each one has throughout the report."""

from __future__ import annotations

from wotemu_report.charts import palette
from wotemu_report.recorded.dataset import RunData


def network_names(run: RunData) -> list[str]:
    """The topology's networks in its order, then any that only the tables know."""
    named = [str(network.get("name", "")) for network in run.topology.get("networks") or ()]
    seen = [str(name) for name in run.tables["flows"]["network"].unique().sort()]
    seen += [network for replica in run.manifest.replicas for network in replica.addresses]
    return list(dict.fromkeys([*named, *seen]))


def network_colors(run: RunData) -> dict[str, str]:
    """Network name -> its colour."""
    return palette.colors(network_names(run))
