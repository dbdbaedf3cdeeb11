"""The agent of a node: starts and stops its app by the timeline, measures it, and sends probes.

`launcher` is the node's first process, which forks the agent and each start of the app.
"""
