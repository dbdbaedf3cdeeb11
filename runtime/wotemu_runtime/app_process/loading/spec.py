"""`AppSpec`: which app an app process runs, with which parameters, servers and surroundings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self

import attrs

from wotemu.app import Conf


def _dict(value: Mapping[str, Any]) -> dict[str, Any]:
    return dict(value)


def _tuple(value: Iterable[str]) -> tuple[str, ...]:
    return tuple(value)


@attrs.frozen(kw_only=True)
class AppSpec:
    """What an app process runs; JSON values throughout.

    Args:
        target: a built-in app's name, ``file.py``, ``file.py:function`` or ``package.module:function``.
        code: the function itself, as `pack_function` gives it; "" where `target` is to be imported.
        root: the folder of the topology's file, which files are relative to and the app imports from.
        conf: the app's surroundings.
        params: the app's keyword arguments.
        http, ws, coap, mqtt: which servers its servient has. MQTT needs ``conf.broker_url``.
        mqtt_client: whether it has a client for MQTT: where a broker is on one of the node's networks.
        credentials: user name and password for MQTT brokers; None for none.
        wotpy_fixes: names of `wotpy_patches` to apply.
    """

    target: str
    root: str
    conf: Conf
    code: str = attrs.field(default="", repr=False)
    params: Mapping[str, Any] = attrs.field(factory=dict, converter=_dict, hash=False)
    http: bool = False
    ws: bool = False
    coap: bool = False
    mqtt: bool = False
    mqtt_client: bool = False
    credentials: tuple[str, str] | None = attrs.field(default=None, repr=False)
    wotpy_fixes: tuple[str, ...] = attrs.field(default=(), converter=_tuple)

    @property
    def serves(self) -> bool:
        """Whether its servient has any server, and so a catalogue."""
        return self.http or self.ws or self.coap or self.mqtt

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {
            "target": self.target,
            "root": self.root,
            "conf": self.conf.to_dict(),
            "code": self.code,
            "params": dict(self.params),
            "http": self.http,
            "ws": self.ws,
            "coap": self.coap,
            "mqtt": self.mqtt,
            "mqtt_client": self.mqtt_client,
            "credentials": None if self.credentials is None else list(self.credentials),
            "wotpy_fixes": list(self.wotpy_fixes),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        credentials = data.get("credentials")
        values = {**data, "credentials": tuple(credentials) if credentials else None}
        return cls(**{**values, "conf": Conf.from_dict(data["conf"])})
