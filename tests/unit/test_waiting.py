"""What a command waits for is shown on terminals alone."""

from __future__ import annotations

import pytest

from wotemu.cli.screen.waiting import waiting


def test_a_pipe_gets_nothing_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    with waiting() as show:
        show("removing farm")
        show("removing field")
    assert capsys.readouterr() == ("", "")
