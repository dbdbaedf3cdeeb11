"""The limiter: one on each machine of a swarm, which limits the containers of its own stack there.

A container can't change its own limits, and Swarm would start it again; Docker on its machine changes them in
place. The limiter and the agents have the same timeline: at the time of a change the limiter sets it, and the
agent answers it once its container's control group shows it.
"""
