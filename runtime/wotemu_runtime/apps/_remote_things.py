"""How the parameters of built-in apps name Things of other nodes; `parameters` checks them by these types."""

# Without annotations as text: typing then knows which keys are required.

from typing import NotRequired, TypedDict


class RemoteThing(TypedDict):
    """A Thing of another node."""

    servient_host: str
    thing_id: str


class RemoteCamera(TypedDict):
    """A camera's Thing, by default the built-in camera's."""

    servient_host: str
    thing_id: NotRequired[str]
