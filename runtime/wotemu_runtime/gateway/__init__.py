"""The gateway role: applies the timeline to the hops of one network."""
