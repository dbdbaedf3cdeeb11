"""WoTemu: emulate IoT and edge deployments with real apps, real packets and scripted network conditions.

What a deployment file or a notebook needs is here: ``from wotemu import Topology, Node, Scenario, at``. Apps
import `wotemu.app`. Each name is loaded on first use, as most processes of an emulation import single modules
of the package and need little memory: a gateway never loads what writes reports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wotemu.lazy_names import lazy_names

if TYPE_CHECKING:
    from wotemu.deployment_file import load
    from wotemu.emulation.comparing import compare, write_comparison
    from wotemu.emulation.emulation import Emulation
    from wotemu.emulation.repetition import repeat
    from wotemu.emulation.search import search
    from wotemu.emulation.sweep import RecordedSweep, sweep
    from wotemu.emulation.unattended import run, run_sync
    from wotemu.errors import (
        AppStartError,
        EmulationError,
        HostError,
        InputError,
        LoadError,
        NotInTimeError,
        NotRunningError,
        ScenarioError,
        TopologyError,
        WotemuError,
    )
    from wotemu.fidelity import Certificate, Thresholds
    from wotemu.recorded_run import RecordedRun
    from wotemu.scenario import (
        PathLoss,
        Phase,
        Scenario,
        Trace,
        Wave,
        at,
        during,
        event,
        every,
        metric,
        saw,
        sine,
        square,
        tag,
        triangle,
        when,
    )
    from wotemu.topology.models import (
        Broker,
        BuiltinApps,
        DistributionTable,
        GilbertElliott,
        Link,
        LinkConditions,
        MarkovLoss,
        Network,
        NetworkConditions,
        Node,
        NodeApp,
        NodeResources,
        Placement,
        Ports,
        Service,
        Topology,
        Uplink,
    )

__all__ = [
    "AppStartError",
    "Broker",
    "BuiltinApps",
    "Certificate",
    "DistributionTable",
    "Emulation",
    "EmulationError",
    "GilbertElliott",
    "HostError",
    "InputError",
    "Link",
    "LinkConditions",
    "LoadError",
    "MarkovLoss",
    "Network",
    "NetworkConditions",
    "Node",
    "NodeApp",
    "NodeResources",
    "NotInTimeError",
    "NotRunningError",
    "PathLoss",
    "Phase",
    "Placement",
    "Ports",
    "RecordedRun",
    "RecordedSweep",
    "Scenario",
    "ScenarioError",
    "Service",
    "Thresholds",
    "Topology",
    "TopologyError",
    "Trace",
    "Uplink",
    "Wave",
    "WotemuError",
    "at",
    "compare",
    "during",
    "event",
    "every",
    "load",
    "metric",
    "repeat",
    "run",
    "run_sync",
    "saw",
    "search",
    "sine",
    "square",
    "sweep",
    "tag",
    "triangle",
    "when",
    "write_comparison",
]

_NAMES = {
    "wotemu.deployment_file": "load",
    "wotemu.emulation.comparing": "compare write_comparison",
    "wotemu.emulation.emulation": "Emulation",
    "wotemu.emulation.repetition": "repeat",
    "wotemu.emulation.search": "search",
    "wotemu.emulation.sweep": "RecordedSweep sweep",
    "wotemu.emulation.unattended": "run run_sync",
    "wotemu.recorded_run": "RecordedRun",
    "wotemu.errors": "AppStartError EmulationError HostError InputError LoadError NotInTimeError "
    "NotRunningError ScenarioError TopologyError WotemuError",
    "wotemu.fidelity": "Certificate Thresholds",
    "wotemu.scenario": "PathLoss Phase Scenario Trace Wave at during event every metric saw sine square tag "
    "triangle when",
    "wotemu.topology.models": "Broker BuiltinApps DistributionTable GilbertElliott Link LinkConditions "
    "MarkovLoss Network NetworkConditions Node NodeApp NodeResources Placement Ports Service Topology "
    "Uplink",
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names.split()}

__getattr__, __dir__ = lazy_names(__name__, _MODULE_OF, __all__)
