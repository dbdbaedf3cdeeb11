"""The `tun` shaper: forwards frames between TAP devices in user space."""
