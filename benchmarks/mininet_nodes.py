"""Starts and stops hosts with Mininet's library, each with a process: what `many_nodes` is compared with.

    /usr/bin/python3 benchmarks/mininet_nodes.py 100       (as root, with Debian's mininet and bridge-utils)

Prints the seconds to start and to stop. No WoTemu in it: Debian's Python runs it.
"""

import sys
import time

from mininet.log import setLogLevel  # type: ignore[import-not-found]
from mininet.net import Mininet  # type: ignore[import-not-found]
from mininet.nodelib import LinuxBridge  # type: ignore[import-not-found]

setLogLevel("error")
began = time.perf_counter()
net = Mininet(switch=LinuxBridge, controller=None, autoSetMacs=True, ipBase="10.80.0.0/16")
switch = net.addSwitch("s1")
hosts = [net.addHost(f"h{number}") for number in range(int(sys.argv[1]))]
for host in hosts:
    net.addLink(host, switch)
net.start()
for host in hosts:
    host.cmd("sleep 600 &")
up = time.perf_counter()
net.stop()
print(f"{up - began:.3f} {time.perf_counter() - up:.3f}")
