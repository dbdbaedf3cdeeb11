"""The kernel's network configuration over netlink: links, traffic control, routes, NAT, namespaces."""
