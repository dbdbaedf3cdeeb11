"""`wotemu.monitor` of WoTemu 0.6, for apps that import from it."""
