"""The `netem` shaper: imposes conditions with the qdiscs and actions of the kernel."""
