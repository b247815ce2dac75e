"""Resolves the values of one template."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from sandpiper.plan.target import DeploymentTarget
from sandpiper.review.reading.values import as_mapping
from sandpiper.review.resolution.bounded_text import TOO_LONG, TooLongError, substituted
from sandpiper.review.resolution.conditions import (
    MAX_CHOICES,
    MORE_CHOICES,
    World,
    combinations,
    known_conditions,
    used_conditions,
)
from sandpiper.review.resolution.functions import FUNCTIONS
from sandpiper.review.resolution.invented import IDENTIFIERS, Names, names_of
from sandpiper.review.resolution.no_value import NO_VALUE
from sandpiper_policy.model.statements import Choice, When
from sandpiper_policy.model.symbols import literal

if TYPE_CHECKING:
    from sandpiper.review.reading.source import TemplateSource
    from sandpiper.review.resolution.templates import Templates

DYNAMIC_REFERENCE = re.compile(r"\{\{resolve:([a-z-]+):([^}]*)\}\}")
"""https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references.html"""


EVERY: World = {}


class Scope:
    """One template in which values are resolved."""

    def __init__(self, source: TemplateSource, templates: Templates) -> None:
        self.source, self._templates = source, templates
        target = DeploymentTarget(source.account, source.region)
        self._pseudo: dict[str, Any] = {
            "AWS::AccountId": source.account,
            "AWS::Partition": target.partition,
            "AWS::Region": source.region,
            "AWS::StackName": source.name,
            "AWS::URLSuffix": target.url_suffix,
            "AWS::StackId": f"arn:aws:cloudformation:{source.region}:{source.account}:stack/{source.name}",
            "AWS::NotificationARNs": [],
        }
        self.target = (target.partition, source.region, source.account)
        self._names: dict[str, Names | None] = {}
        self._open: set[str] = set()
        self.conditions = source.section("Conditions")
        self._parameters_as_symbols = True
        self.known = known_conditions(self.conditions, self.resolve)
        self._parameters_as_symbols = False

    def resolve(self, value: object, world: World = EVERY) -> Any:
        """Replaces intrinsic functions in a value; `NO_VALUE` when nothing remains.

        Args:
            value: A value of the template.
            world: The conditions that hold or do not hold. A condition that is neither in it nor known holds.
        """
        if isinstance(value, str):
            return self.text(value) if "{{" in value else literal(value)
        if isinstance(value, dict):
            mapping = cast("dict[str, Any]", value)
            if len(mapping) == 1:
                ((name, argument),) = mapping.items()
                if name in FUNCTIONS:
                    return self._call(name, argument, world)
                if name.startswith("Fn::"):
                    return self.unknown(name.partition(":")[2].lstrip(":"), f"{name} cannot be resolved offline")
            items = ((literal(key), self.resolve(one, world)) for key, one in mapping.items())
            return {key: one for key, one in items if one is not NO_VALUE}
        if isinstance(value, list):
            resolved = (self.resolve(one, world) for one in cast("list[object]", value))
            return [one for one in resolved if one is not NO_VALUE]
        return value

    def alternatives(self, value: object) -> list[tuple[When, Any]]:
        """Returns the different results of a value, each with the conditions under which it exists.

        A value that depends on more than four conditions is resolved as if all hold, with `MORE_CHOICES`.
        """
        if not self.conditions:
            return [((), self.resolve(value))]
        names = sorted(used_conditions(value) - self.known.keys())
        if len(names) > MAX_CHOICES:
            return [((MORE_CHOICES,), self.resolve(value))]
        results = [(world, self.resolve(value, world)) for world in combinations(names)]
        first = results[0][1]
        if all(result == first for _, result in results):
            return [((), first)]
        return [(tuple(Choice(name, holds) for name, holds in world.items()), result) for world, result in results]

    def existence(self, condition: object) -> When | None:
        """Returns the conditions under which a resource with a `Condition` exists; None when it never exists."""
        if not isinstance(condition, str):
            return ()
        known = self.known.get(condition)
        if known is None:
            return (Choice(condition, True),)
        return () if known else None

    def names(self, logical_id: str) -> Names | None:
        """Returns the identifiers of a resource; None for an unknown type or when the template has no such resource."""
        if logical_id not in self._names:
            self._names[logical_id] = None  # for a name that contains itself
            resource = self.source.resources.get(logical_id)
            if resource is not None:
                self._names[logical_id] = self._create_names(logical_id, resource)
        return self._names[logical_id]

    def _create_names(self, logical_id: str, resource: dict[str, Any]) -> Names | None:
        identifiers = IDENTIFIERS.get(resource["Type"])
        if identifiers is None:
            return None
        properties = as_mapping(resource.get("Properties"))
        given = self.resolve(properties.get(identifiers.name)) if identifiers.name else None
        path = self.resolve(properties.get("Path", "/"))
        return names_of(
            resource["Type"],
            self.source.address(logical_id),
            given if isinstance(given, str) and given else None,
            target=self.target,
            path=path if isinstance(path, str) else "/",
            physical_id=self.source.physical_ids.get(logical_id, ""),
        )

    def exported(self, name: str) -> Any:
        """Returns the value that a stack of the review exports, or a symbol."""
        return self._templates.exported(name)

    def unknown(self, name: str, reason: str) -> str:
        """Returns a new symbol for a value that is not known, and records the reason."""
        return self._templates.unknown(f"{self.source.name}/{name}", reason)

    def _call(self, name: str, argument: Any, world: World) -> Any:
        try:
            result = FUNCTIONS[name](self, argument, world)
        except TooLongError:
            return self.unknown(name.removeprefix("Fn::"), TOO_LONG)
        except (TypeError, ValueError, KeyError, IndexError, AttributeError):
            return self.unknown(name.removeprefix("Fn::"), f"{name} has arguments that CloudFormation rejects")
        return result

    def text(self, text: str) -> str:
        """Replaces dynamic references, which CloudFormation resolves when it deploys the stack."""

        def replacement(match: re.Match[str]) -> str:
            service, name = match.groups()
            if service == "ssm":
                return str(self._templates.ssm(name))
            return self._templates.unknown(f"{service}/{name}", f"{service} of the account holds it")

        try:
            return substituted(DYNAMIC_REFERENCE, replacement, literal(text))
        except TooLongError:
            return self.unknown("text", TOO_LONG)

    def ref(self, name: str) -> Any:
        """Returns the value of `Ref`: of a pseudo parameter, a parameter or a resource."""
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in self._pseudo:
            return self._pseudo[name]
        parameters = self.source.section("Parameters")
        if name in parameters:
            return self._parameter(name, parameters[name])
        if name not in self.source.resources:
            return self.unknown(name, f"the template has neither a parameter nor a resource {name!r}")
        names = self.names(name)
        return names.ref if names else self.unknown(name, "the identifier is generated by the deployment")

    def _parameter(self, name: str, definition: Any) -> Any:
        if self._parameters_as_symbols or name in self._open:
            return self.unknown(name, "a parameter holds it")
        options = as_mapping(definition)
        type_ = str(options.get("Type", ""))
        self._open.add(name)
        try:
            value = self._passed(name)
            if value is None:
                if "Default" not in options:
                    return self.unknown(name, "a parameter without a default holds it")
                value = literal(str(options["Default"]))
            if type_.startswith("AWS::SSM::Parameter::Value"):
                return self._templates.ssm(str(value))
            if type_ == "CommaDelimitedList" or type_.startswith("List<"):
                return [one.strip() for one in str(value).split(",")]
            return cast("Any", value)
        finally:
            self._open.discard(name)

    def _passed(self, name: str) -> Any:
        """Returns the value that the parent of a nested template passes; None without one."""
        parent, _, logical_id = self.source.parent.rpartition("/")
        scope = self._templates.scopes.get(parent)
        if scope is None:
            return None
        properties = as_mapping(scope.source.resources.get(logical_id, {}).get("Properties"))
        parameters = as_mapping(properties.get("Parameters"))
        return scope.resolve(parameters[name]) if name in parameters else None

    def attribute(self, logical_id: str, attribute: str) -> Any:
        """Returns an attribute of a resource, or an output of a nested stack."""
        names = self.names(logical_id)
        if names is not None and attribute in names.attributes:
            return names.attributes[attribute]
        resource = self.source.resources.get(logical_id)
        if resource is None:
            return self.unknown(f"{logical_id}.{attribute}", f"the template has no resource {logical_id!r}")
        if attribute.startswith("Outputs."):
            return self._nested_output(logical_id, attribute.removeprefix("Outputs."))
        if resource["Type"] in ("AWS::Lambda::Alias", "AWS::Lambda::Version"):
            return self._qualified(logical_id)
        return self.unknown(f"{logical_id}.{attribute}", "the deployment generates it")

    def _nested_output(self, logical_id: str, output: str) -> Any:
        scope = self._templates.nested(self.source.address(logical_id))
        outputs = scope.source.section("Outputs") if scope else {}
        key = f"{logical_id}.Outputs.{output}"
        if scope is None or output not in outputs or key in self._open:
            return self.unknown(key, "the review has no template of the nested stack")
        self._open.add(key)
        try:
            return scope.resolve(as_mapping(outputs[output]).get("Value"))
        finally:
            self._open.discard(key)

    def _qualified(self, logical_id: str) -> str:
        properties = self.source.resources[logical_id].get("Properties", {})
        function = str(self.resolve(properties.get("FunctionName")))
        qualifier = str(self.resolve(properties.get("Name", "1")))
        if ":function:" not in function:
            partition, region, account = self.target
            function = f"arn:{partition}:lambda:{region}:{account}:function:{function}"
        return f"{function}:{qualifier}"
