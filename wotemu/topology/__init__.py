"""What a deployment is: nodes, networks, brokers and services, as values that check themselves.

`topology.Topology` holds `node.Node`s, which name networks and links (`network`), brokers and services
(`service`). `conditions.NetworkConditions` is what a hop does to packets. A value that can't be raises
`wotemu.errors.TopologyError`, which names the object and the field. Deployment files import all of it from
`wotemu`, or from `models`.
"""
