"""Objectives judged by a run's tables: every figure computed by hand, and what there is no verdict on."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree as ET

import attrs
import pytest

from wotemu import InputError, Network, Node, NodeApp, RecordedRun, Topology, pytest_plugin, records
from wotemu.records import Record
from wotemu.scenario import (
    Objective,
    app,
    availability,
    coap,
    errors,
    expect,
    failures,
    http,
    lost_events,
    mean,
    node,
    p50,
    p90,
    p95,
    p99,
    requests,
    throughput,
)
from wotemu.scenario.objectives.plans import objective_plans
from wotemu_report.export.as_junit import as_junit
from wotemu_report.objectives.evaluate import evaluate
from wotemu_report.objectives.outcome import Outcome, Outcomes
from wotemu_report.page.head import head
from wotemu_report.recorded.run_data import RunData
from wotemu_report.sections.objectives import section

from .synthetic import T0, damage_spool, request, write_json, write_table

NET = Network("field")
TOPOLOGY = Topology(
    [
        Node("phone", NodeApp("a.py:b"), networks=[NET], scale=2),
        Node("laptop", NodeApp("a.py:b"), networks=[NET]),
    ]
)
PHASES = [("calm", 0.0), ("fade", 20.0), ("heal", 40.0)]
WORSE = {
    "id": 1, "at_s": 20.0, "action": "conditions", "network": "field", "node": None, "direction": None,
    "before": {"latency_s": 0.1}, "after": {"latency_s": 0.5},
}  # fmt: skip
END_S = 60.0


@pytest.fixture
def runs(run_dir: Path) -> Path:
    """A run directory without records; `judged` gives it those of a test."""
    for path in (run_dir / "tables").iterdir():
        path.unlink()
    replicas = {
        name: {"node": name.partition("-")[0], "kind": "node", "addresses": {}, "app": "a"}
        for name in ("phone-1", "phone-2", "laptop", "sensor")
    }
    change_manifest(run_dir, replicas=replicas)
    return run_dir


def change_manifest(run_dir: Path, **changes: Any) -> None:
    path = run_dir / "manifest.json"
    write_json(path, {**json.loads(path.read_text()), **changes})


def loaded(
    run_dir: Path,
    objectives: Iterable[Objective],
    tables: dict[str, Sequence[Record]],
    *,
    events: Sequence[tuple[float, str, str]] = (),
    changes: Sequence[dict[str, Any]] = (WORSE,),
) -> RunData:
    plans = [attrs.asdict(plan) for plan in objective_plans(objectives, TOPOLOGY)]
    timeline = {"seed": 1, "duration_s": END_S, "hash": "", "changes": changes, "objectives": plans}
    phases = [{"name": name, "start_s": start} for name, start in PHASES]
    write_json(run_dir / "timeline.json", {**timeline, "phases": phases})
    for name, rows in tables.items():
        write_table(run_dir, name, rows)
    lines = [
        json.dumps({"t": T0 + at, "kind": kind, "source": source, "message": "", "data": {}})
        for at, kind, source in events
    ]
    (run_dir / "events.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return RunData.load(run_dir)


def judged(run_dir: Path, *objectives: Objective, **given: Any) -> list[Outcome]:
    tables: dict[str, Any] = {
        name: given.pop(name) for name in ("interactions", "requests", "app") if name in given
    }
    return list(evaluate(loaded(run_dir, objectives, tables, **given)))


def reads(node: str, start: float, end: float, took: float, error: str = "", **more: Any) -> list[Record]:
    """A read each second."""
    return [request(float(s), took, error, node=node, **more) for s in range(int(start), int(end))]


def notification(at: float, role: str, binding: str = "ws") -> Record:
    return records.Interaction(
        T0 + at, "sensor" if role == "producer" else "phone-1", role, "urn:lamp", "event", "reading",
        "subscribeevent", "next", binding, None, 4, "ok", "",
    )  # fmt: skip


def test_percentiles_count_failed_requests_as_never_answered(runs: Path) -> None:
    calm = [request(0.1 * n, 0.01 * (n + 1), node="phone-1") for n in range(100)]  # 10 ms ... 1 s
    fade = [*reads("phone-1", 20, 39, 0.2), request(39.0, 5.0, "OSError: cut", node="phone-2")]
    found = judged(
        runs,
        expect(p50("readproperty") <= "500ms").during("calm"),
        expect(p90("readproperty") < "900ms").during("calm"),
        expect(p95(node="phone") < "950ms").during("calm"),
        expect(p99() < "1s").during("calm"),
        expect(p95("readproperty", node="phone") < "500ms").during("fade"),
        expect(p99("readproperty", node="phone") < "500ms").during("fade"),
        expect(mean(node="phone") < "500ms").during("fade"),
        interactions=[*calm, *fade],
        changes=(),
    )
    assert [(each.state, each.value, each.samples) for each in found] == [
        ("passed", pytest.approx(0.5), 100),
        ("failed", pytest.approx(0.9), 100),
        ("failed", pytest.approx(0.95), 100),
        ("passed", pytest.approx(0.99), 100),
        ("passed", pytest.approx(0.2), 20),
        ("failed", math.inf, 20),
        ("passed", pytest.approx(0.2), 19),
    ]
    assert (found[0].start_s, found[0].end_s) == (0.0, 20.0)
    assert found[5].figure == "no answer"
    assert found[5].sentence == (
        "p99 of readproperty of phone during fade no answer, limit < 500 ms (failed)"
    )


def test_errors_throughput_and_availability(runs: Path) -> None:
    rows = [
        *reads("phone-1", 0, 60, 0.1),
        *reads("phone-2", 0, 50, 0.1),
        *reads("phone-2", 50, 60, 0.5, "OSError: cut"),
        *reads("laptop", 0, 60, 0.1, binding="coap"),
        *reads("sensor", 0, 60, 0.01, role="producer"),
    ]
    found = judged(
        runs,
        expect(errors(node="phone")).below("10%"),
        expect(errors(node="phone-1") == 0),
        expect(errors(binding="http", name="on", thing="urn:lamp", node="phone-2") < "1%").after("heal"),
        expect(throughput("readproperty", node="phone") > "1.9/s"),
        expect(throughput(node="phone-2") >= "30/min").after("heal"),
        expect(availability("phone") > "99%"),
        expect(availability() > "80%"),
        expect(p95(role="producer") < "20ms"),
        interactions=rows,
    )
    assert [(each.state, each.value, each.samples) for each in found] == [
        ("passed", pytest.approx(10 / 120), 120),
        ("passed", 0.0, 60),
        ("failed", pytest.approx(0.5), 20),
        ("failed", pytest.approx(110 / 60), 110),
        ("passed", pytest.approx(0.5), 10),
        ("failed", pytest.approx(110 / 120), 120),
        ("passed", pytest.approx(110 / 120), 180),
        ("passed", pytest.approx(0.01), 60),
    ]
    assert found[5].figure == "91.7 %"
    assert found[3].sentence == "throughput of readproperty of phone 1.83/s, limit > 1.9/s (failed)"


def test_app_metrics_and_restarts(runs: Path) -> None:
    metric = [records.App(T0 + n, "phone-1", "lag", float(n)) for n in range(60)]
    found = judged(
        runs,
        expect(app("phone.lag").p99 < 60),
        expect(app("phone-1.lag").max <= 39).during("fade"),
        expect(app("phone.lag").min >= 20).during("fade"),
        expect(app("phone.lag").mean < 30).during("fade"),
        expect(app("phone.lag").last > 58),
        expect(app("laptop.lag").p50 < 1),
        expect(node("phone").restarts == 1),
        expect(node("phone").crashes == 0).during("calm"),
        expect(node("laptop").restarts == 0),
        app=metric,
        events=[(30.0, "app.crashed", "agent:phone-2"), (31.0, "app.restarted", "agent:phone-2")],
    )
    assert [(each.state, each.value, each.samples) for each in found] == [
        ("passed", 59.0, 60),
        ("passed", 39.0, 20),
        ("no verdict", 20.0, 20),  # before the fault the least was 0
        ("passed", 29.5, 20),
        ("passed", 59.0, 60),
        ("no data", None, 0),
        ("passed", 1.0, 1),
        ("passed", 0.0, 0),
        ("passed", 0.0, 0),
    ]
    assert found[5].reason == "'lag' was not reported"


def test_lost_events_are_told_from_those_under_way(runs: Path) -> None:
    sent = [notification(float(s), "producer") for s in range(60)]
    came = [notification(s + 0.4, "consumer") for s in range(60) if not 25 <= s < 28]
    objectives = (
        expect(lost_events("reading") == 0),
        expect(lost_events("reading") <= 2).during("calm"),
        expect(lost_events("reading") < 4).during("fade"),
        expect(lost_events("reading") == 0).after("heal"),
        expect(lost_events("reading", binding="mqtt") == 0),
    )
    mqtt = [notification(s + 0.1, "consumer", "mqtt") for s in range(60)]
    found = judged(runs, *objectives, interactions=[*sent, *came[:-1], *mqtt])  # the last one is under way
    assert [(each.state, each.value, each.samples) for each in found] == [
        ("failed", 3.0, 60),
        ("passed", 0.0, 20),
        ("passed", 3.0, 20),
        ("passed", 0.0, 20),
        ("no data", None, 0),
    ]
    assert found[4].reason == "no producer was seen to send it to a subscriber"


def recovering(runs: Path, back_s: int, *objectives: Objective, end: float = 60) -> list[Outcome]:
    rows = [
        *reads("phone-1", 0, 20, 0.1),
        *reads("phone-1", 20, 40, 0.9, "OSError: cut"),
        *reads("phone-1", 40, back_s, 0.9),
        *reads("phone-1", back_s, end, 0.1),
    ]
    return judged(runs, *objectives, interactions=rows)


def test_a_recovery_is_timed_to_the_former_band_or_to_the_limit(runs: Path) -> None:
    to_band = expect(p95("readproperty")).recovers(within="10s").after("heal")
    to_limit = expect(p95("readproperty") < "500ms").recovers(within="10s").after("heal")
    of_errors = expect(errors()).recovers(within="4s").after("heal")
    of_each_fault = expect(p95()).recovers(within="10s")
    found = recovering(runs, 45, to_band, to_limit, of_errors, of_each_fault)
    assert [(each.state, each.value) for each in found] == [
        ("passed", 5.0),  # windows of 2.5 s: the last slow answer came at 44.9 s
        ("passed", 5.0),
        ("passed", 0.0),  # of 1 s: the last failure came at 39.9 s
        ("failed", 25.0),
    ]
    assert found[0].sentence == "p95 of readproperty recovers after heal 5 s, limit <= 10 s (passed)"
    slow = recovering(runs, 55, to_band)[0]
    assert (slow.state, slow.value) == ("failed", 15.0)


def test_a_recovery_that_never_came_or_had_no_time(runs: Path) -> None:
    never = recovering(runs, 60, expect(p95()).recovers(within="10s").after("heal"))[0]
    assert (never.state, never.value, never.figure) == ("failed", math.inf, "no answer")
    assert never.reason == "not well by the end of the run"
    late = recovering(runs, 60, expect(p95()).recovers(within="30s").after("heal"))[0]
    assert (late.state, late.reason) == ("no data", "the run ended after 20 s, not well by then")


def test_nothing_measured_is_never_a_pass(runs: Path) -> None:
    found = judged(
        runs,
        expect(p95() < "1s"),
        expect(errors("writeproperty") < "1%"),
        expect(throughput() > "1/s"),
        expect(availability("phone") > "1%"),
        expect(lost_events("reading") == 0),
        expect(app("phone.x").p50 < 1),
        expect(p95()).recovers(within="9s").after("heal"),
        expect(p95()).recovers(within="9s"),
    )
    assert {each.state for each in found} == {"no data"}
    assert all(each.reason and each.value is None for each in found)
    only_served = judged(runs, expect(p95() < "1s"), interactions=reads("sensor", 0, 9, 0.1, role="producer"))
    assert 'role="producer"' in only_served[0].reason


def test_without_a_steady_state_there_is_no_verdict_on_what_follows(runs: Path) -> None:
    slow_from_the_start = reads("phone-1", 0, 60, 0.9)
    found = judged(
        runs,
        expect(p95() < "500ms").during("fade"),
        expect(p95() < "500ms").after("heal"),
        expect(p95() < "500ms").during("calm"),
        expect(p95() < "500ms"),
        expect(p95() < "500ms").recovers(within="9s").after("heal"),
        expect(p95() > "500ms").during("fade"),  # asks for trouble, which is not to be there before
        expect(p95(node="phone-2") < "500ms").during("fade"),
        interactions=[*slow_from_the_start, *reads("phone-2", 25, 60, 0.1)],
    )
    assert [each.state for each in found] == [
        *("no verdict", "no verdict", "failed", "failed", "no verdict", "passed", "passed"),
    ]
    assert found[0].reason == "it was not well before the first fault at 20 s: 900 ms"
    assert found[3].reason == found[0].reason


def test_an_undisturbed_run_needs_no_steady_state(runs: Path) -> None:
    found = judged(
        runs, expect(p95() < "500ms").during("fade"), interactions=reads("a", 20, 40, 0.9), changes=()
    )
    assert [each.state for each in found] == ["failed"]


def test_a_run_that_ended_early_has_no_data_of_later_phases(runs: Path) -> None:
    change_manifest(runs, status="interrupted", ended=T0 + 30)
    found = judged(
        runs,
        expect(errors() < "1%").during("fade"),
        expect(errors() < "1%").during("heal"),
        expect(p95()).recovers(within="9s").after("heal"),
        interactions=reads("phone-1", 0, 30, 0.1),
    )
    assert [each.state for each in found] == ["passed", "no data", "no data"]
    assert found[0].reason == "the run ended after 30 s of 60 s"
    assert found[1].reason == "the run ended before heal began"
    change_manifest(runs, t0=None, status="failed")
    assert judged(runs, expect(node("phone").restarts == 0))[0].reason == "the scenario never began"


def test_a_figure_beside_its_limit_says_on_which_side_it_is(runs: Path) -> None:
    found = judged(runs, expect(p95() < "500ms"), interactions=[request(1.0, 0.5001)], changes=())[0]
    assert (found.state, found.figure) == ("failed", "500 ms, just above")


def several(runs: Path) -> RunData:
    objectives = [
        expect(p95("readproperty", node="phone") < "500ms").during("fade"),
        expect(errors() < "1%"),
        expect(node("phone").restarts == 0),
        expect(lost_events("reading") == 0),
    ]
    rows = [*reads("phone-1", 0, 20, 0.1), *reads("phone-1", 20, 60, 0.812)]
    change_manifest(runs, certificate=json.loads(CERTIFICATE))
    return loaded(runs, objectives, {"interactions": rows})


CERTIFICATE = '{"verdict": "INVALID", "reasons": []}'


def test_the_head_and_the_section_say_what_failed_first(runs: Path) -> None:
    run = several(runs)
    notice = head(run).notices[0]
    assert (notice.tone, notice.title) == ("bad", "2 of 4 objectives hold, 1 failed, 1 without data")
    assert notice.lines == (
        "the certificate is INVALID: the networks did not do what the scenario says",
        "judged without records that can't be read: tables/system.parquet has 0 of the 420 rows that were "
        "recorded and 9 more",
        "p95 of readproperty of phone during fade 812 ms, limit < 500 ms (failed)",
        "lost events of reading, limit == 0 (no data: no producer was seen to send it to a subscriber)",
        "errors of requests 0 %, limit < 1 % (passed)",
        "restarts of phone 0, limit == 0 (passed)",
    )
    table: Any = section(run).blocks[-1]
    assert [row[1] for row in table.rows] == ["failed", "no data", "passed", "passed"]
    assert table.rows[0][2:4] == ("812 ms", "< 500 ms")


def test_junit_has_a_case_for_each_and_none_is_green_without_data(runs: Path) -> None:
    run = several(runs)
    suite = ET.fromstring(as_junit(run, evaluate(run)))[0]  # our own text
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("4", "1", "1")
    cases = suite.findall("testcase")
    assert [[child.tag for child in case] for case in cases] == [
        ["failure"], ["system-out"], ["system-out"], ["error"]
    ]  # fmt: skip
    assert cases[0][0].get("message") == "812 ms, limit < 500 ms"
    assert {each.get("name"): each.get("value") for each in suite[0]}["certificate"] == "INVALID"
    assert "INVALID" in (suite.findtext("system-err") or "")


def test_objectives_of_one_name_are_cases_of_different_names(runs: Path) -> None:
    latency = p95("readproperty", node="phone")
    objectives = [
        expect(latency < "500.1ms"),
        expect(latency < "500.2ms"),
        expect(latency < "300ms").recovers(within="10s"),
        expect(latency < "900ms").recovers(within="10s"),
        expect(errors() < "1%"),
    ]
    run = loaded(runs, objectives, {"interactions": [*reads("phone-1", 0, 60, 0.1)]})
    suite = ET.fromstring(as_junit(run, evaluate(run)))[0]  # our own text
    names = [case.get("name") for case in suite.findall("testcase")]
    assert names == [
        "p95 of readproperty of phone < 500 ms",
        "p95 of readproperty of phone < 500 ms #2",
        "p95 of readproperty of phone recovers <= 10 s",
        "p95 of readproperty of phone recovers <= 10 s #2",
        "errors of requests < 1 %",
    ]


def test_hostile_names_are_harmless_in_junit(runs: Path) -> None:
    evil = '<script>\x00\x1b[31m\ud800 & "]]>'
    run = several(runs)
    change_manifest(runs, name=evil.replace("\ud800", ""))
    run = RunData.load(run.run_dir)
    outcome = attrs.evolve(evaluate(run).each[0], text=evil, reason=evil)
    text = as_junit(run, Outcomes((outcome,)))
    case = ET.fromstring(text.encode())[0].find("testcase")  # our own text
    assert case is not None
    assert (case.get("name") or "").startswith("<script>\ufffd\ufffd[31m")


def test_the_file_holds_what_was_judged(runs: Path) -> None:
    run = several(runs)
    outcomes = evaluate(run)
    never = attrs.evolve(outcomes.each[0], value=math.inf)
    outcomes = attrs.evolve(outcomes, each=(never, *outcomes.each[1:]))
    outcomes.write(runs)
    assert Outcomes.read(runs) == outcomes
    raw = json.loads((runs / "objectives.json").read_text())
    assert raw["objectives"][0]["value"] is None
    assert raw["objectives"][0]["figure"] == "no answer"
    assert raw["summary"] == outcomes.summary


def test_what_could_not_be_read_is_said_beside_the_outcomes(runs: Path) -> None:
    several(runs)
    damage = damage_spool(runs)
    for _ in range(2):  # as judged, and as the file has it then
        outcomes = RecordedRun(runs).objectives
        assert damage in " ".join(outcomes.damages)
        assert outcomes.cautions[-1].startswith("judged without records that can't be read: ")


@pytest.mark.parametrize(
    ("text", "message"), [("{", "can't be read"), ('{"schema": 99}', "newer than 1"), ("{}", "can't be read")]
)
def test_a_damaged_file_is_a_clear_error(tmp_path: Path, text: str, message: str) -> None:
    assert Outcomes.read(tmp_path) is None
    (tmp_path / "objectives.json").write_text(text)
    with pytest.raises(InputError) as caught:
        Outcomes.read(tmp_path)
    assert message in caught.value.message
    assert "objectives.json" in (caught.value.where or "")


def test_a_run_without_objectives_has_none(quickstart: Path, tmp_path: Path) -> None:
    run = RunData.load(Path(shutil.copytree(quickstart, tmp_path / "run")))
    outcomes = evaluate(run)
    assert (len(outcomes), outcomes.have_passed, outcomes.summary) == (0, True, "")
    assert "objectives" not in head(run).notices[0].title


def test_a_test_fails_by_the_objectives_of_its_run(runs: Path) -> None:
    several(runs)
    request: Any = SimpleNamespace(config=SimpleNamespace(getoption=lambda _: False))
    with pytest.raises(pytest.fail.Exception) as caught:
        pytest_plugin._check(request, RecordedRun(runs))
    assert "812 ms, limit < 500 ms (failed)" in str(caught.value)
    assert "lost events" in str(caught.value)
    assert "restarts" not in str(caught.value)
    (runs / "objectives.json").unlink()
    # A test that ended its run before the later phases is not held to them.
    change_manifest(runs, status="interrupted", ended=T0 + 15)
    loaded(runs, [expect(errors() < "1%").during("heal")], {"interactions": reads("phone-1", 0, 15, 0.1)})
    assert [each.state for each in RecordedRun(runs).objectives] == ["no data"]
    pytest_plugin._check(request, RecordedRun(runs))


def test_what_is_under_way_at_the_first_fault_says_nothing_of_the_time_before_it(runs: Path) -> None:
    well = [*reads("phone-1", 0, 19, 0.1), *reads("phone-1", 45, 60, 0.1)]
    hit = [request(19.9, 2.0, "timeout", node="phone-1"), *reads("phone-1", 22, 45, 0.9, "timeout")]
    found = judged(
        runs,
        expect(p99() < "500ms").after("fade"),
        expect(errors()).below("1%").after("fade"),
        expect(availability("phone") > "99.9%").after("fade"),
        expect(p99() < "500ms").recovers(within="9s").after("heal"),
        interactions=[*well, *hit],
    )
    assert [each.state for each in found] == ["failed", "failed", "failed", "passed"], found


def test_a_number_of_crashes_that_is_expected_need_not_be_there_before_the_first_fault(runs: Path) -> None:
    (missed,) = judged(
        runs, expect(node("laptop").crashes == 2), events=[(30.0, "app.crashed", "agent:laptop")]
    )
    assert (missed.state, missed.value, missed.reason) == ("failed", 1.0, "")


def on_wire(at: float, took: float | None = 0.1, code: str = "200", **given: Any) -> Record:
    """A request that was seen on the wire, at the client unless `given` says otherwise."""
    fields: dict[str, Any] = {"node": "phone-1", "side": "client", "stage": "request", "method": "GET"}
    answer = {"path": "/status", "protocol": "http", "peer": "laptop", "code": code, "duration": took}
    return records.WireRequest(**{"t": T0 + at, "port": 80, **fields, **answer, **given})


def test_requests_on_the_wire_are_judged_apart_from_interactions_and_at_one_side(runs: Path) -> None:
    client = [on_wire(float(n), 0.1 * (n + 1)) for n in range(10)]  # 0.1 s ... 1 s
    others = [
        *(on_wire(5.0, 0.001, node="laptop", peer="phone-1", side="server") for _ in range(50)),
        *(on_wire(5.0, 0.001, path="/status/more"), on_wire(5.0, 0.001, method="PUT", node="phone-2")),
        *(on_wire(5.0, None, stage="next", code="2.05"), on_wire(5.0, 0.001, protocol="coap")),
    ]
    found = judged(
        runs,
        expect(p50(http("GET", "/status")) <= "500ms"),
        expect(p90(http("GET", "/status", node="phone", peer="laptop")) < "900ms"),
        expect(mean(http("GET", "/stat*s")) < "1s"),
        expect(p99(http("GET", "/status", side="server")) < "10ms"),
        expect(requests(http("GET", "*/status*")) == 11),
        expect(throughput(http("PUT", node="phone-2")) > "1/s"),
        expect(requests("readproperty") == 2),
        requests=[*client, *others],
        interactions=[request(1.0, 0.1), request(2.0, 0.1)],
        changes=(),
    )
    assert [(outcome.state, outcome.samples) for outcome in found] == [
        ("passed", 10),
        ("failed", 10),
        ("passed", 10),
        ("passed", 50),
        ("passed", 11),
        ("failed", 1),
        ("passed", 2),
    ]
    assert found[0].value == pytest.approx(0.5)
    assert found[1].value == pytest.approx(0.9)
    assert "seen on the wire" in found[0].sentence


def test_requests_on_the_wire_fail_by_their_status_or_without_an_answer(runs: Path) -> None:
    rows = [
        *(on_wire(1.0 * n, code="204") for n in range(6)),
        *(on_wire(7.0, code="404"), on_wire(8.0, code="503"), on_wire(9.0, None, "")),
        on_wire(END_S - 1, None, ""),  # it was under way when the run ended
    ]
    found = judged(
        runs,
        expect(failures(http()) == 3),
        expect(requests(http()) == 9),
        expect(errors(http()) < "1%"),
        expect(p95(http()) < "1s"),
        requests=rows,
        changes=(),
    )
    assert [outcome.state for outcome in found] == ["passed", "passed", "failed", "failed"]
    assert [outcome.value for outcome in found] == [3.0, 9.0, pytest.approx(3 / 9), math.inf]


def test_no_request_on_the_wire_is_a_number_only_where_others_were_seen(runs: Path) -> None:
    found = judged(
        runs,
        expect(requests(http("DELETE")) == 0),
        expect(failures(http("DELETE")) == 0),
        expect(requests(coap()) == 0),
        expect(requests(http(side="server")) == 0),
        requests=[on_wire(1.0)],
        changes=(),
    )
    assert [outcome.state for outcome in found] == ["passed", "no data", "passed", "no data"]


def test_how_many_requests_there_were_before_the_first_fault_is_no_matter(runs: Path) -> None:
    rows = [*(on_wire(float(n)) for n in range(5)), *(on_wire(20.0 + n) for n in range(10))]
    (found,) = judged(runs, expect(requests(http()) >= 10).after("fade"), requests=rows)
    assert (found.state, found.value) == ("passed", 10.0)


def test_requests_on_the_wire_recover(runs: Path) -> None:
    rows = [
        *(on_wire(0.5 + n, 0.1) for n in range(20)),
        *(on_wire(20.5 + n, 2.0) for n in range(6)),
        *(on_wire(30.5 + n, 0.1) for n in range(29)),
    ]
    found = judged(
        runs,
        expect(p95(http("GET", "/status")) < "500ms").recovers(within="20s").after("fade"),
        expect(p95(http("GET", "/status"))).recovers(within="4s").after("fade"),
        expect(p95("readproperty")).recovers(within="20s").after("fade"),
        requests=rows,
    )
    assert [outcome.state for outcome in found] == ["passed", "failed", "no data"]


def test_a_change_that_could_not_be_applied_disturbs_nothing(runs: Path) -> None:
    objectives = [expect(p95(node="phone") < "500ms"), expect(p95(node="phone")).recovers(within="9s")]
    refused = records.Change(1, T0 + 20, T0 + 20, "conditions", "field", "{}", "{}", False, "no")
    tables: dict[str, Sequence[Record]] = {"interactions": reads("phone-1", 0, 60, 0.9)}
    assert "before the first fault" in next(iter(evaluate(loaded(runs, objectives, tables)))).reason
    slow, recovers = evaluate(loaded(runs, objectives, {**tables, "changes": [refused]}))
    assert (slow.state, slow.reason) == ("failed", "")
    assert (recovers.state, recovers.reason) == ("no data", "nothing disturbed the run")
