"""StatsD's line protocol: what programs of a node, in any language, send to its agent."""
