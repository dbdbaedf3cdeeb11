"""Ports of this machine that lead into nodes, such as to an app's dashboard for a browser."""
