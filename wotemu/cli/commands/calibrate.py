"""``wotemu calibrate``: measure how fast this machine is beside devices such as a Raspberry Pi."""

from __future__ import annotations

import json
import os

import click

from wotemu.cli.failures import reporting_errors
from wotemu.cli.options import debug_option, json_option
from wotemu.errors import HostError


@click.command(short_help="Measure this machine, so that nodes can be as fast as devices.")
@click.option("--quick", is_flag=True, help="Take the bundled benchmark, three seconds instead of a minute.")
@json_option
@debug_option
def calibrate(quick: bool, as_json: bool, debug: bool) -> None:
    """Measure one core of this machine with 7-zip's benchmark, by which devices are known.

    Without 7-zip a bundled benchmark is taken, which is less exact. The rating is stored for this CPU model,
    in the user's cache directory; nodes with NodeResources(device=...) follow it. Close others first.

    \b
    sudo apt install 7zip
    wotemu calibrate
    """
    with reporting_errors(debug=debug):
        from wotemu.cli.screen.terminal import console
        from wotemu_runtime.calibration import seven_zip, store
        from wotemu_runtime.calibration.measuring import measured

        out = console()
        load = os.getloadavg()[0] / (os.cpu_count() or 1)
        takes = "a few seconds" if quick or seven_zip.find() is None else "about a minute"
        if not as_json:
            out.print(f"measuring {store.cpu_model()}, {takes} ...", highlight=False)
        try:
            rating = measured(is_quick=quick)
            file = store.save(rating)
        except OSError as error:
            raise HostError(str(error), where="wotemu calibrate", hint="try --quick") from error
        if as_json:
            click.echo(json.dumps({**rating.to_dict(), "file": str(file)}, indent=1))
            return
        out.print(f"one thread: {rating}", highlight=False)
        out.print(f"stored in {file}", highlight=False)
        if not quick and seven_zip.find() is None:
            out.print("7-zip is not installed (sudo apt install 7zip): with it, the rating is more exact")
        if load > 0.5:
            out.print(
                f"other programs were running (load {load:.1f} a core): better measure again without them"
            )
