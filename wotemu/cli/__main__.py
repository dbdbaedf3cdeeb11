"""``python -m wotemu.cli``."""

from wotemu.cli import main

main(prog_name="wotemu")
