"""A way out of the emulation, to the network of the machine that runs it."""

from __future__ import annotations

import attrs

from wotemu.topology._fields import Checked, check_host_name, fail, named_errors
from wotemu.topology.network import Link, Network, as_links, check_links, network_tuple


@attrs.frozen(field_transformer=named_errors)
class Uplink(Checked):
    """A router to the network of the machine that runs the emulation, and to what that leads to.

    It is a member of its networks: what nodes send out and what answers passes their gateways, under the
    networks' conditions and those of its Links. Nodes on its networks have their default route through it,
    and names that are none of the emulation's are asked of the machine's name server.

    Connections lead out alone, and none to the machine's loopback interface. They begin at the machine, as
    those of its user do. The local engine makes it with pasta (package passt) or slirp4netns.

    Attributes:
        name: Its host name, by which a scenario cuts it off, too.
        networks: Networks or Links that it is attached to, one at least.

    Raises:
        TopologyError: A value is not what it has to be; the error names the field.
    """

    name: str = attrs.field(default="uplink", validator=check_host_name)
    networks: tuple[Network | Link, ...] = attrs.field(kw_only=True, converter=network_tuple)

    def __attrs_post_init__(self) -> None:
        check_links(self)
        if not self.networks:
            raise fail(
                self,
                "networks",
                "it is on no network, so nothing leads out",
                hint="give at least one Network",
            )

    @property
    def links(self) -> tuple[Link, ...]:
        """Its attachments, one for each network."""
        return as_links(self.networks)
