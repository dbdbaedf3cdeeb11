"""The kinds of events that there are, declared once: what each says happened, and how much that matters."""

from __future__ import annotations

from typing import Literal

import attrs

Severity = Literal["routine", "info", "warning", "error"]
"""``error``: something broke or was lost. ``routine``: frequent, the first to go where a list is too long."""


@attrs.frozen
class EventKind:
    """A kind of event: what it says, and its severity."""

    says: str
    severity: Severity = "info"


EVENT_KINDS: dict[str, EventKind] = {
    "app.crashed": EventKind("an app or command ended with an error", "error"),
    "app.error": EventKind("an app went on after an error", "error"),
    "app.event": EventKind("what an app reported as an event"),
    "app.event_error": EventKind("what an app reported as an error", "error"),
    "app.event_warning": EventKind("what an app reported as a warning", "warning"),
    "app.exited": EventKind("an app or command ended, asked to or by itself"),
    "app.found": EventKind("the node that an app had waited for is there"),
    "app.metric_refused": EventKind("an app sent lines that are no metrics", "warning"),
    "app.never_started": EventKind(
        "an app raised, or a command failed, at each of its first starts", "error"
    ),
    "app.out_of_memory": EventKind("the kernel killed an app at its limit of memory", "error"),
    "app.process_limit": EventKind("a node has as many processes and threads as it may have", "error"),
    "app.ready": EventKind("an app is up"),
    "app.restarted": EventKind("a crashed app is started again", "warning"),
    "app.started": EventKind("the process of an app or command started", "routine"),
    "app.statsd_unavailable": EventKind("a node takes no lines of StatsD", "warning"),
    "app.unmeasured": EventKind("the interactions of a program on WoTPy are not recorded", "warning"),
    "app.waiting": EventKind("an app waits for another node", "warning"),
    "broker.ready": EventKind("an MQTT broker answers"),
    "capture.done": EventKind("the packets of a node are stored"),
    "capture.failed": EventKind("the packets of a node can't be stored", "warning"),
    "capture.full": EventKind("the capture of a node's packets has reached its size", "warning"),
    "change.applied": EventKind("a change of the timeline took hold", "routine"),
    "change.failed": EventKind("a change of the timeline could not be applied", "error"),
    "clock.skewed": EventKind("a node's wall clock was set wrong or right, with what a program there reads"),
    "clock.stepped": EventKind("a wall clock was set", "warning"),
    "clock.unreached": EventKind("programs of a node do not follow its wrong wall clock", "warning"),
    "control.capture": EventKind("somebody captures the packets of a node"),
    "control.change": EventKind("somebody changed the emulation while it ran"),
    "control.exec": EventKind("somebody ran a command in a node"),
    "control.stop": EventKind("somebody ended the run"),
    "control.unavailable": EventKind("the run can't be controlled from outside", "warning"),
    "deploy.started": EventKind("the engine began to place the nodes"),
    "device.speed": EventKind("a node has the share of this machine that is as fast as its device"),
    "disk.freed": EventKind("a node's scratch folder has its room again, with how full it was made"),
    "gateway.ignored": EventKind("a gateway met frames that it does not forward", "routine"),
    "gateway.moved": EventKind("a gateway follows a node to another address"),
    "guard.fired": EventKind("a guard of the scenario fired"),
    "guard.skipped": EventKind("a guard of the scenario did not fire in time", "warning"),
    "host.found": EventKind("what a machine that runs roles is", "routine"),
    "interface.down": EventKind("a node's interface was taken down, as it is unplugged"),
    "interface.up": EventKind("a node's interface is up again, with its routes"),
    "interface.dropped": EventKind("a network interface dropped packets on its own", "warning"),
    "limit.unenforced": EventKind("a limit of resources could not be enforced", "warning"),
    "pause.ended": EventKind("a paused node goes on, with the CPU time that it used while it was paused"),
    "port.published": EventKind("a port of this machine leads to a node's"),
    "port.unavailable": EventKind("a port of this machine leads to a node's no longer", "warning"),
    "probes.unavailable": EventKind("no probes can cross a network", "warning"),
    "records.lost": EventKind("records could not be stored", "error"),
    "page.served": EventKind("the live report has an address"),
    "report.failed": EventKind("the report could not be written", "error"),
    "report.started": EventKind("the report is being written"),
    "report.written": EventKind("the report is written"),
    "requests.missed": EventKind("requests on the wire came too fast to be counted", "warning"),
    "requests.unavailable": EventKind("a node's requests on the wire can't be counted", "warning"),
    "role.back": EventKind("a role that was lost runs again", "warning"),
    "role.done": EventKind("a role ended, with the totals of its records", "routine"),
    "role.heard": EventKind("a role that was silent reports again", "warning"),
    "role.lost": EventKind("a role ended before the run did", "error"),
    "role.muted": EventKind("a role goes on unrecorded", "routine"),
    "role.ready": EventKind("a role is ready", "routine"),
    "role.silent": EventKind("nothing came from a role for a while", "error"),
    "role.superseded": EventKind("a role was started again in another place", "warning"),
    "role.took_over": EventKind("a role goes on where another ended", "warning"),
    "role.unable": EventKind("a role can't do its work on its machine", "error"),
    "role.unplaced": EventKind("no machine can run a role", "error"),
    "run.certified": EventKind("the certificate of the run"),
    "run.counters": EventKind("what has been recorded so far", "routine"),
    "run.done": EventKind("the run is over"),
    "run.failed": EventKind("the run failed", "error"),
    "run.interrupted": EventKind("the run was interrupted", "warning"),
    "run.left": EventKind("something of the emulation could not be removed", "error"),
    "run.phase": EventKind("a phase of the scenario began"),
    "run.resumed": EventKind("another coordinator took the run over", "warning"),
    "run.started": EventKind("the run is about to begin"),
    "run.stopping": EventKind("the nodes are being stopped"),
    "run.summary": EventKind("how the run went"),
    "run.t0": EventKind("the moment from which the timeline counts"),
    "run.warning": EventKind("something of the deployment is doubtful", "warning"),
    "service.moved": EventKind("a service is at another address"),
    "stress.ended": EventKind("a stressed node is left alone, with the CPU time and memory that were used"),
    "uplink.closed": EventKind("a way out of the emulation leads nowhere any more", "error"),
    "uplink.opened": EventKind("nodes have a way out of the emulation"),
}


def severity_of(kind: str) -> Severity:
    """The severity of a kind; a kind of another version is ``info``."""
    declared = EVENT_KINDS.get(kind)
    return declared.severity if declared is not None else "info"
