"""The agent: the sidecar that starts a node's app and measures it."""
