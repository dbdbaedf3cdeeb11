"""A run's objectives as JUnit XML, which CI servers show as tests.

A test case for each objective: ``failure`` where it failed, ``error`` where there is no data or no verdict,
so that nothing is green that was not measured. The run's facts are properties of the suite.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from wotemu_report.objectives.outcome import Outcome, Outcomes
from wotemu_report.recorded.run_data import RunData

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 has no way to write."""


def as_junit(run: RunData, outcomes: Outcomes) -> str:
    """The outcomes of a run's objectives as JUnit XML.

    Args:
        run: Has the facts of the run.
        outcomes: What `wotemu_report.objectives.evaluate` gave for it.

    Returns:
        The document, with its declaration and a final newline.
    """
    manifest = run.manifest
    name = _text(manifest.name or run.run_dir.name)
    failed = sum(outcome.state == "failed" for outcome in outcomes)
    unknown = sum(not outcome.has_passed for outcome in outcomes) - failed
    counts = {
        "tests": str(len(outcomes)),
        "failures": str(failed),
        "errors": str(unknown),
        "skipped": "0",
        "time": f"{run.axis.end_s:.3f}",
    }
    root = ET.Element("testsuites", {"name": "wotemu", **counts})
    suite = ET.SubElement(root, "testsuite", {"name": name, **counts})
    if manifest.started is not None:
        suite.set("timestamp", datetime.fromtimestamp(manifest.started, UTC).strftime("%Y-%m-%dT%H:%M:%S"))
    suite.set("hostname", _text(str(manifest.host.get("name") or "")))
    properties = ET.SubElement(suite, "properties")
    for key, value in _facts(run, outcomes).items():
        ET.SubElement(properties, "property", {"name": key, "value": _text(value)})
    for outcome, case in zip(outcomes, _case_names(outcomes), strict=True):
        _case(suite, name, case, outcome)
    if outcomes.cautions:
        ET.SubElement(suite, "system-err").text = _text("\n".join(outcomes.cautions))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _facts(run: RunData, outcomes: Outcomes) -> dict[str, str]:
    manifest = run.manifest
    found = {
        "wotemu": manifest.wotemu_version,
        "source": manifest.source,
        "engine": manifest.engine,
        "shaper": manifest.shaper,
        "seed": "" if manifest.seed is None else str(manifest.seed),
        "timeline_hash": manifest.timeline_hash,
        "status": manifest.status,
        "certificate": outcomes.certificate,
        "run_dir": str(run.run_dir),
    }
    return {name: value for name, value in found.items() if value}


def _case_names(outcomes: Outcomes) -> list[str]:
    """A name for each objective that no other has, and that depends on nothing but the scenario.

    Limits are rounded in it, and that of a figure that has to recover is left out: a second objective of the
    same name is numbered, as CI servers know tests by their names.
    """
    found: list[str] = []
    seen = Counter[str]()
    for outcome in outcomes:
        name = _text(f"{outcome.text} {outcome.limit_text}")
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name} #{seen[name]}")
    return found


def _case(suite: ET.Element, run: str, name: str, outcome: Outcome) -> None:
    window_s = (outcome.end_s or 0.0) - (outcome.start_s or 0.0)
    attributes = {
        "classname": run,
        "name": name,
        "time": f"{window_s:.3f}",
    }
    case = ET.SubElement(suite, "testcase", attributes)
    said = f"{outcome.figure}, limit {outcome.limit_text}"
    if outcome.has_passed:
        ET.SubElement(case, "system-out").text = _text(f"{said}, of {outcome.samples} {outcome.of}")
        return
    kind = "failure" if outcome.state == "failed" else "error"
    found = ET.SubElement(case, kind, {"message": _text(said), "type": outcome.state})
    found.text = _text(f"{outcome.sentence}\nof {outcome.samples} {outcome.of}")


def _text(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
