"""The MQTT broker that a node may run, and the monitor of it in the node's agent."""
