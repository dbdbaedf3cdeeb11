"""The Docker API proxy: lets an emulation's roles read, and only read, what concerns their own stack."""

from wotemu_runtime.docker_proxy.decision import Decision, decide
from wotemu_runtime.docker_proxy.server import Limits, Proxy
from wotemu_runtime.docker_proxy.strip import belongs, strip

__all__ = ["Decision", "Limits", "Proxy", "belongs", "decide", "strip"]
