"""The limit of open files of this process: raised for the roles, lowered again for apps."""

from __future__ import annotations

import resource


def raise_file_limit(needed: int) -> int:
    """Raise the limit of open files of this process, and so of its children, as far as it may be raised.

    Args:
        needed: The limit where there is no hard one.

    Returns:
        The former limit, which apps get back: many programs close or poll all files up to it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = hard == resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(needed, soft) if unlimited else hard, hard))
    return soft


def file_limit() -> int:
    """How many files this process may open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def set_file_limit(soft: int) -> None:
    """Give this process, and its children, a limit of open files up to its hard one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
