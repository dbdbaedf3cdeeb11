"""Programs in C, JavaScript and shell report metrics and events in one emulation."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from tests.engine.conftest import Emulate, paced
from wotemu.scenario import Scenario, at, metric, when
from wotemu.scenario.objectives.expect import expect
from wotemu.scenario.objectives.words import app
from wotemu.topology.models import Network, Node, Topology

pytestmark = pytest.mark.namespaces

C = r"""
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void send_to(int family, struct sockaddr *to, socklen_t size, const char *line) {
    int s = socket(family, SOCK_DGRAM, 0);
    if (sendto(s, line, strlen(line), 0, to, size) < 0) perror("sendto");
    close(s);
}

int main(void) {
    struct sockaddr_in udp = {.sin_family = AF_INET, .sin_port = htons(atoi(getenv("STATSD_PORT")))};
    inet_pton(AF_INET, getenv("STATSD_HOST"), &udp.sin_addr);
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    strncpy(path.sun_path, getenv("WOTEMU_STATSD_SOCKET"), sizeof path.sun_path - 1);
    for (int i = 0; i < 10; i++) {
        char line[64];
        snprintf(line, sizeof line, "frames:1|c\ntook:%d|ms", i);
        send_to(AF_INET, (struct sockaddr *)&udp, sizeof udp, line);
        send_to(AF_UNIX, (struct sockaddr *)&path, sizeof path, "users:ann|s\ndepth:2.5|g|#site:b");
        usleep(100000);
    }
    pause();
}
"""

JAVASCRIPT = """
const socket = require('dgram').createSocket('udp4');
const { STATSD_HOST, STATSD_PORT } = process.env;
const send = (line) => socket.send(line, Number(STATSD_PORT), STATSD_HOST);
for (let i = 0; i < 20; i++) setTimeout(() => send('requests:1|c|@0.5'), 50 * i);
setTimeout(() => send('_e{4,5}:door|is up|t:error'), 100);
setInterval(() => {}, 1000);
"""

SHELL = """
wotemu-metric level -2.5 && wotemu-metric alarms 3 --type counter && wotemu-metric --event door open
echo "ended $?"
sleep 100
"""

BASH = """
printf 'level:5|g\\nthis is\\033 none\\nlevel\\n' > "/dev/udp/$STATSD_HOST/$STATSD_PORT"
sleep 100
"""


async def test_programs_in_any_language_report_metrics_and_events(emulate: Emulate, tmp_path: Path) -> None:
    lan = Network("lan")
    rows = {("shell", "level"): [-2.5], ("shell", "alarms"): [3.0]}
    nodes = [
        Node("shell", command=["sh", "-c", SHELL], networks=[lan]),
        Node("moved", command=[sys.executable, "-c", "import os; print(os.environ.get('STATSD_PORT'))"],
             env={"WOTEMU_STATSD_PORT": "0"}, networks=[lan]),
    ]  # fmt: skip
    if shutil.which("gcc"):
        (tmp_path / "device.c").write_text(C)
        subprocess.run(["gcc", "-o", tmp_path / "device", tmp_path / "device.c"], check=True)  # noqa: ASYNC221
        nodes.append(Node("device", command=["./device"], networks=[lan]))
        rows["device", "took"] = [float(n) for n in range(10)]
        rows["device", "depth{site=b}"] = [2.5] * 10
        rows["device", "users"] = [1.0]
    if shutil.which("node"):
        (tmp_path / "app.js").write_text(JAVASCRIPT)
        nodes.append(Node("web", command=["node", "app.js"], networks=[lan]))
    if shutil.which("bash"):
        nodes.append(Node("wrong", command=["bash", "-c", BASH], networks=[lan]))
        rows["wrong", "level"] = [5.0]
    totals = {"device": ("frames", 10.0), "web": ("requests", 40.0)}
    found_here = [node.name for node in nodes]
    ran = await emulate(
        Topology(nodes),
        Scenario(
            duration=paced(5),
            events=[when(metric("shell.alarms") >= 3).do(at(0).stop("moved"))],
            expect=[expect(app("shell.alarms").last >= 3), expect(app("shell.level").min < -2)],
        ),
    )
    table = pl.read_parquet(ran.result.run_dir / "tables" / "app.parquet")
    found = {key: each["value"].to_list() for key, each in table.group_by("node", "key", maintain_order=True)}
    for node, (key, total) in totals.items():
        if node in found_here:
            values = found.pop((node, key))
            assert values == sorted(values)
            assert values[-1] == total
    assert found == rows
    assert "ended 0" in ran.log("shell")
    assert ran.log("moved") == ["None"]
    assert len(ran.of_kind("guard.fired")) == 1
    assert ran.result.objectives.have_passed
    (opened,) = ran.of_kind("app.event")
    assert (opened.source, opened.data["title"], opened.data["text"]) == ("agent:shell", "door", "open")
    if "web" in found_here:
        (failed,) = ran.of_kind("app.event_error", "agent:web")
        assert failed.data["text"] == "is up"
    if "wrong" in found_here:
        refused = ran.of_kind("app.metric_refused", "agent:wrong")
        assert sum(each.data["lines"] for each in refused) == 2
        assert "\x1b" not in "".join(each.message for each in refused)
    assert not ran.of_kind("records.lost")
    assert ran.result.report is not None
    page = ran.result.report.read_text()
    for _, key in rows:
        assert key in page
