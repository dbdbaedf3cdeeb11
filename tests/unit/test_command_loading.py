"""Commands are loaded one by one."""

from __future__ import annotations

import subprocess
import sys

from wotemu.cli import main


def test_a_command_loads_no_other_one_and_nothing_of_a_run() -> None:
    code = (
        "import sys; from wotemu.cli import main; main.commands['run']\n"
        "heavy = ('asyncio', 'attr', 'redis', 'rich', 'wotemu_runtime')\n"
        "print([n for n in sys.modules if n.startswith(('wotemu.cli.commands.', *heavy))])"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert output.stdout.strip() == "['wotemu.cli.commands.run']"


def test_help_loads_every_command_but_nothing_of_a_run() -> None:
    code = (
        "import sys; from wotemu.cli import main; main.main(['--help'], standalone_mode=False)\n"
        "heavy = ('aiodocker', 'aiohttp', 'altair', 'jinja2', 'polars', 'redis', 'rich', 'yaml', 'wotemu_')\n"
        "print([name for name in sys.modules if name.startswith(heavy)])"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert output.stdout.splitlines()[-1] == "[]"


def test_each_command_has_the_name_under_which_it_is_listed() -> None:
    assert [command.name for command in main.commands.values()] == list(main.commands)
