"""Limits of CPU and memory through control groups, version 1 and 2, as far as this user may make them.

`limits` says what is asked for, `delegation` finds a version 2 group that may limit others, and
`replica_groups` makes the replicas' groups, in that one or in the version 1 hierarchies.
"""
