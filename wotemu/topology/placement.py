"""Where on a cluster something may run, in Docker Swarm's own terms; the local engine has one machine."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, cast

import attrs

from wotemu.topology._fields import Checked, each, fail, kind_of, named_errors, whole

_KEY = r"(node\.(?:id|hostname|ip|role|platform\.(?:os|arch))|(?:node|engine)\.labels\.[\w.-]+)"
_CONSTRAINT = re.compile(rf"\s*{_KEY}\s*(==|!=)\s*([\w:.+/()?*^-]+(?: [\w:.+/()?*^-]+)*)\s*", re.IGNORECASE)
_PREFERENCE = re.compile(r"\s*(?:spread\s*=\s*)?((?:node|engine)\.labels\.[\w.-]+)\s*", re.IGNORECASE)
_ROLES = ("manager", "worker")


def _texts(value: Iterable[str] | str) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else cast(tuple[str, ...], value)


@attrs.frozen(kw_only=True, field_transformer=named_errors)
class Placement(Checked):
    """On which machines of a swarm something may run.

    Attributes:
        constraints: All of them must hold: ``"node.labels.site==roof"``, ``"node.platform.arch!=aarch64"``.
            Keys are ``node.id``, ``node.hostname``, ``node.ip``, ``node.role``, ``node.platform.os``,
            ``node.platform.arch``, ``node.labels.NAME`` (``docker node update --label-add``) and
            ``engine.labels.NAME`` (the daemon's own).
        preferences: Spread replicas evenly over a label's values, the first one first:
            ``"spread=node.labels.rack"``.
        max_per_machine: How many replicas one machine gets at most; None for any number.

    Raises:
        TopologyError: A constraint or preference is not of this form.
    """

    constraints: tuple[str, ...] = attrs.field(default=(), converter=_texts)
    preferences: tuple[str, ...] = attrs.field(default=(), converter=_texts)
    max_per_machine: int | None = attrs.field(default=None)

    @constraints.validator
    def _check_constraints(self, attribute: attrs.Attribute[Any], value: Any) -> None:
        given = each(self, attribute.name, value, str, 'text such as "node.labels.site==roof"')
        object.__setattr__(self, "constraints", tuple(_constraint(self, text) for text in given))

    @preferences.validator
    def _check_preferences(self, attribute: attrs.Attribute[Any], value: Any) -> None:
        given = each(self, attribute.name, value, str, 'text such as "spread=node.labels.rack"')
        object.__setattr__(self, "preferences", tuple(_preference(self, text) for text in given))

    @max_per_machine.validator
    def _check_max(self, attribute: attrs.Attribute[Any], value: Any) -> None:
        if value is not None:
            whole(self, attribute, value)

    @property
    def spread_over(self) -> tuple[str, ...]:
        """The labels that preferences name."""
        return tuple(preference.removeprefix("spread=") for preference in self.preferences)

    def __bool__(self) -> bool:
        return bool(self.constraints or self.preferences or self.max_per_machine)


def _constraint(placement: Placement, text: str) -> str:
    """A constraint as Swarm reads it, in one way of writing."""
    found = _CONSTRAINT.fullmatch(text)
    if found is None:
        raise fail(
            placement,
            "constraints",
            f"{text!r} is no constraint",
            hint="write KEY==VALUE or KEY!=VALUE; keys are node.hostname, node.role, node.platform.arch, "
            "node.labels.NAME and others (see Placement)",
        )
    key, relation, value = found.groups()
    if key.lower() == "node.role" and value not in _ROLES:
        raise fail(placement, "constraints", f"{text!r}: a role is {' or '.join(_ROLES)}")
    return f"{key}{relation}{value}"


def _preference(placement: Placement, text: str) -> str:
    found = _PREFERENCE.fullmatch(text)
    if found is None:
        raise fail(
            placement,
            "preferences",
            f"{text!r} is no preference",
            hint='write "spread=node.labels.NAME": Swarm knows no other kind',
        )
    return f"spread={found[1]}"


ANYWHERE = Placement()
is_placement = kind_of(Placement, 'a Placement: write Placement(constraints=["node.labels.site==roof"])')
"""A validator."""
