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


def test_each_command_has_the_name_under_which_it_is_listed() -> None:
    assert [command.name for command in main.commands.values()] == list(main.commands)
