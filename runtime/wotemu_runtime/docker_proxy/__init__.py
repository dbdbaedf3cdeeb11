"""The Docker API proxy: lets an emulation's roles read what concerns their own stack, and nothing else.

A request passes `decision` (is it allowed), `upstream` (ask Docker) and `strip` (which fields may be seen);
`server` binds them to HTTP.
"""

from wotemu_runtime.docker_proxy.decision import Decision, decide
from wotemu_runtime.docker_proxy.server import Proxy, ProxyLimits
from wotemu_runtime.docker_proxy.strip import belongs_to_stack, strip

__all__ = ["Decision", "Proxy", "ProxyLimits", "belongs_to_stack", "decide", "strip"]
