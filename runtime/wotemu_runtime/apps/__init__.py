"""Apps that ship with WoTemu, a file each."""
