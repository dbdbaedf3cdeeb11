"""The MQTT broker of a node, and the agent's view of it."""
