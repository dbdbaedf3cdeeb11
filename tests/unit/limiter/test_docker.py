"""What a limiter asks Docker for, and what it makes of the answers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.docker.fake_docker import OTHER, STACK, FakeDocker, fake_docker
from wotemu_runtime.limiter.docker import Container, ContainerGoneError, Docker, DockerRefusesError


def task(stack: str, service: str, slot: str, id: str) -> dict[str, str]:
    """The labels of a task's container, and its id."""
    return {
        "Id": id,
        "com.docker.stack.namespace": stack,
        "com.docker.swarm.service.name": f"{stack}_{service}",
        "com.docker.swarm.task.name": f"{stack}_{service}.{slot}.n4x",
    }


async def test_the_stacks_own_tasks_are_found_and_followed(tmp_path: Path) -> None:
    async with fake_docker(tmp_path / "docker.sock") as fake:
        fake.run(task(STACK, "pi", "2", "a"))
        fake.run(task(STACK, "limits", "0jb37e4bx9xbc0hy6ylkq7etf", "b"))  # a global service's
        fake.run(task(OTHER, "pi", "1", "c"))
        async with Docker(str(tmp_path / "docker.sock"), STACK) as docker:
            assert await docker.containers() == [Container("a", "pi", 2)]
            following = docker.started()
            assert await anext(following) is None
            fake.run(task(OTHER, "pi", "1", "d"))
            fake.run(task(STACK, "lamp", "1", "e"))
            async with asyncio.timeout(10):
                assert await anext(following) == Container("e", "lamp", 1)
            await following.aclose()


async def test_limits_are_changed_and_refusals_have_dockers_words(tmp_path: Path) -> None:
    pi = Container("a", "pi", 2)
    async with fake_docker(tmp_path / "docker.sock") as fake:
        fake.run(task(STACK, "pi", "2", "a"))
        async with Docker(str(tmp_path / "docker.sock"), STACK) as docker:
            assert await docker.cgroup_version() == 1
            await docker.update(pi, {"CpuQuota": 5000, "CpuPeriod": 10_000})
            assert await docker.host_config(pi) == {"CpuQuota": 5000, "CpuPeriod": 10_000}
            await refused(docker, fake, pi, 500, {"message": "runc failed"}, "runc failed")
            await refused(docker, fake, pi, 200, {"Warnings": ["no CFS here"]}, "no CFS here")
            with pytest.raises(ContainerGoneError):
                await docker.update(Container("gone", "pi", 1), {"CpuQuota": 5000})
    async with Docker(str(tmp_path / "nowhere.sock"), STACK) as docker:
        with pytest.raises(DockerRefusesError, match="no answer"):
            await docker.containers()


async def refused(
    docker: Docker, fake: FakeDocker, container: Container, status: int, body: dict[str, Any], text: str
) -> None:
    fake.answers[f"/containers/{container.id}/update"] = status, json.dumps(body).encode()
    with pytest.raises(DockerRefusesError, match=text):
        await docker.update(container, {"CpuQuota": 5000})
