"""Network gateways: impose a network's conditions on every packet between its nodes.

- `shaper`: the protocol that both kinds of gateway are run through.
- `conditions`: composes a hop's conditions of its network's and its link's, and says who reaches whom.
- `impairments`: rate, queue, loss, alteration and delay, as pure stages.
- `packets`: Ethernet frames, flows and probes.
- `userspace`: the `tun` shaper, which moves frames between TAPs through those stages.
- `netem`: the `netem` shaper, which has the kernel do it.
- `netlink`: how both configure the kernel's interfaces, routes and traffic control.
"""
