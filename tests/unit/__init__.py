"""Parts by themselves: no emulation, no namespaces, no waiting."""
