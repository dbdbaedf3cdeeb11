"""Asks the Docker API proxy, on behalf of a role that has no access to Docker itself."""

from __future__ import annotations

import aiohttp

PROXY_ALIAS = "wotemu-proxy"
_TIMEOUT = aiohttp.ClientTimeout(total=5)


async def completed_tasks(proxy_url: str) -> list[tuple[str, int]]:
    """The complete tasks of the stack.

    Returns:
        Each task's service and slot; nothing while the proxy does not answer.
    """
    try:
        async with aiohttp.ClientSession(proxy_url, timeout=_TIMEOUT) as session:
            async with session.get("/services", raise_for_status=True) as response:
                names = {service["ID"]: service["Spec"]["Name"] for service in await response.json()}
            async with session.get("/tasks", raise_for_status=True) as response:
                tasks = await response.json()
    except (aiohttp.ClientError, TimeoutError):
        return []
    done = [task for task in tasks if task["Status"]["State"] == "complete" and task["ServiceID"] in names]
    return [(names[task["ServiceID"]], task.get("Slot", 1)) for task in done]
