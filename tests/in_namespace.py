"""Runs the tests that need to be root of network namespaces for an ordinary user.

Those of a group (see `workers`) run in one child process, which is root of a user namespace of its own.
The child is a pytest for these tests alone; it writes its reports to a file, and this process passes them on
as if it had run the tests itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.gateways import lab
from tests.workers import group
from wotemu_runtime.processes import syscalls

_REPORTS = "WOTEMU_TEST_REPORTS"
"""Environment variable: the file to which a child writes its reports, one JSON object a line."""

_Reports = dict[str, list[pytest.TestReport]]
_results = pytest.StashKey[dict[str, _Reports]]()
_output = pytest.StashKey[str]()


def needs_namespace(item: pytest.Item) -> bool:
    """Whether a test has to run as root of network namespaces, and this process isn't root."""
    inside = item.path.is_relative_to(item.config.rootpath / "tests" / "conformance")
    return os.geteuid() != 0 and (inside or item.get_closest_marker("namespaces") is not None)


def _run(items: Iterable[pytest.Item], config: pytest.Config) -> _Reports:
    """Run tests in a child; their reports by the tests' ids."""
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder, "reports")
        chosen = Path(folder, "tests")
        chosen.write_text("\n".join(item.nodeid for item in items))
        command = [*lab.UNSHARE, sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"@{chosen}"]
        ran = subprocess.run(
            command,
            cwd=config.rootpath,
            env=os.environ | {_REPORTS: str(written)},
            capture_output=True,
            text=True,
            check=False,
        )
        config.stash[_output] = ran.stdout + ran.stderr
        lines = written.read_text().splitlines() if written.exists() else []
    results: _Reports = {}
    for line in lines:
        report = config.hook.pytest_report_from_serializable(config=config, data=json.loads(line))
        if isinstance(report.longrepr, list):  # where and why it was skipped: a tuple until JSON
            report.longrepr = tuple(report.longrepr)
        results.setdefault(report.nodeid, []).append(report)
    return results


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Pass the child's reports on in place of running a test here."""
    if not needs_namespace(item) or lab.missing():
        return None
    config, session = item.config, item.session
    ran = config.stash.setdefault(_results, {})
    if (mine := group(item.nodeid)) not in ran:
        others = (other for other in session.items if group(other.nodeid) == mine)
        ran[mine] = _run(filter(needs_namespace, others), config)
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in ran[mine].get(item.nodeid, [_lost(item)]):
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    if nextitem is None or not needs_namespace(nextitem):
        item.session._setupstate.teardown_exact(nextitem)
    return True


def _lost(item: pytest.Item) -> pytest.TestReport:
    """The report of a test that the child never ran: it failed."""
    why = f"not run in the user namespace; the last lines there:\n{item.config.stash[_output][-2000:]}"
    return pytest.TestReport(item.nodeid, item.location, {}, "failed", why, "call")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """In the child: write the report down."""
    if (path := os.environ.get(_REPORTS)) and _config is not None:
        data = _config.hook.pytest_report_to_serializable(config=_config, report=report)
        with Path(path).open("a") as file:
            file.write(json.dumps(data) + "\n")


_config: pytest.Config | None = None


def pytest_configure(config: pytest.Config) -> None:
    """Keep the configuration, which a report's hook isn't given; in the child, bring its loopback up."""
    global _config
    _config = config
    if _REPORTS in os.environ:
        syscalls.interface_up("lo")
