"""What the apps of a container may do: nothing that their agent could do more than an ordinary user."""

from __future__ import annotations

import os
import pwd

from wotemu_runtime.processes.syscalls import drop_all_capabilities

APP_USER = "wotemu"


def confine() -> None:
    """Make this process the image's ordinary user, without capabilities or a way to get any.

    A container that was started as that user already has only the latter left to do.
    """
    if os.geteuid() == 0:
        user = pwd.getpwnam(APP_USER)
        os.setgroups([])
        os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
        os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
        os.environ.update(HOME=user.pw_dir, USER=APP_USER)
    drop_all_capabilities()
