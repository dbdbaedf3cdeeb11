"""All that a topology is made of, by the name of the module that deployment files have imported it from."""

from wotemu.topology.builtin_apps import BuiltinApps
from wotemu.topology.conditions import NetworkConditions
from wotemu.topology.distributions import DistributionTable
from wotemu.topology.link_conditions import LinkConditions
from wotemu.topology.loss_models import GilbertElliott, MarkovLoss
from wotemu.topology.network import Link, Network
from wotemu.topology.node import Node
from wotemu.topology.node_app import NodeApp
from wotemu.topology.placement import Placement
from wotemu.topology.ports import Ports
from wotemu.topology.reserved_ports import PROBE_PORT
from wotemu.topology.resources import NodeResources
from wotemu.topology.service import Broker, Service
from wotemu.topology.topology import Topology
from wotemu.topology.uplink import Uplink

__all__ = [
    "PROBE_PORT",
    "Broker",
    "BuiltinApps",
    "DistributionTable",
    "GilbertElliott",
    "Link",
    "LinkConditions",
    "MarkovLoss",
    "Network",
    "NetworkConditions",
    "Node",
    "NodeApp",
    "NodeResources",
    "Placement",
    "Ports",
    "Service",
    "Topology",
    "Uplink",
]
