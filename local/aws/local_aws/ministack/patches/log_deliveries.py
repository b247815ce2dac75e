"""Log deliveries: CloudFormation's resources, destinations in X-Ray, and the delivery of AgentCore's records.

MiniStack stores sources, destinations and deliveries, but its CloudFormation has no resources of these types, and it
knows no destinations in X-Ray. Spans are delivered to the log group of CloudWatch Transaction Search, `aws/spans`.
"""

# MiniStack is installed in a separate environment, which the type checker does not see.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from ministack.core.responses import error_response_json, json_response
from ministack.services import cloudwatch_logs

from local_aws.ministack.patches import cloudwatch_logs as log_events

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Properties = dict[str, Any]

MINISTACK_VERSION = "1.5.33"
XRAY, TRACES = "XRAY", "TRACES"
SPANS_GROUP, STREAM = "aws/spans", "default"
"""The stream's name is an assumption: AWS documents none for deliveries."""
LOG_TYPES = {"bedrock-agentcore": ("APPLICATION_LOGS", "USAGE_LOGS", TRACES)}
"""The types of logs that the resources of a service provide. Other services are not checked."""
_put_delivery_source, _put_delivery_destination, _create_delivery = (
    cloudwatch_logs._put_delivery_source,
    cloudwatch_logs._put_delivery_destination,
    cloudwatch_logs._create_delivery,
)


def install() -> None:
    """Replaces MiniStack's operations. Its dispatcher refers to them by name."""
    cloudwatch_logs._put_delivery_source = put_delivery_source
    cloudwatch_logs._put_delivery_destination = put_delivery_destination
    cloudwatch_logs._create_delivery = create_delivery


def put_delivery_source(request: Mapping[str, Any]) -> Any:
    """PutDeliverySource. A type of logs that the resource does not provide is rejected."""
    service = cloudwatch_logs._derive_service_from_arn(request.get("resourceArn", ""))
    allowed = LOG_TYPES.get(service)
    if allowed and request.get("logType") not in allowed:
        message = f"This resource is not allowed for this LogType. Valid options are [{', '.join(allowed)}]."
        return error_response_json("ValidationException", message, 400)
    return _put_delivery_source(request)


def put_delivery_destination(request: Mapping[str, Any]) -> Any:
    """PutDeliveryDestination. A destination in X-Ray has no resource."""
    if request.get("deliveryDestinationType") != XRAY:
        return _put_delivery_destination(request)
    name = request["name"]
    cloudwatch_logs._delivery_destinations[name] = {
        "name": name,
        "arn": cloudwatch_logs._make_delivery_destination_arn(name),
        "deliveryDestinationType": XRAY,
        "tags": dict(request.get("tags", {})),
    }
    destination = cloudwatch_logs._delivery_destinations[name]
    return json_response({"deliveryDestination": cloudwatch_logs._format_delivery_destination(destination)})


def create_delivery(request: Mapping[str, Any]) -> Any:
    """CreateDelivery. Traces are delivered to X-Ray, and only traces."""
    source = cloudwatch_logs._delivery_sources.get(request.get("deliverySourceName")) or {}
    destination = _destination(request.get("deliveryDestinationArn", "")) or {}
    is_xray = destination.get("deliveryDestinationType") == XRAY
    if source and destination and is_xray != (source["logType"] == TRACES):
        message = f"{source['logType']} cannot be delivered to {destination['deliveryDestinationType']}."
        return error_response_json("ValidationException", message, 400)
    return _create_delivery(request)


def _destination(arn: str) -> Mapping[str, Any] | None:
    destinations = cloudwatch_logs._delivery_destinations.values()
    return next((each for each in destinations if each["arn"] == arn), None)


def deliver(resource_arn: str, log_type: str, messages: Sequence[Mapping[str, Any]]) -> None:
    """Delivers records of a resource to each destination of its deliveries. Without a delivery, they are dropped."""
    sources = {
        source["name"]
        for source in list(cloudwatch_logs._delivery_sources.values())
        if source["logType"] == log_type and resource_arn in source["resourceArns"]
    }
    for delivery in list(cloudwatch_logs._deliveries.values()):
        destination = _destination(delivery["deliveryDestinationArn"])
        if delivery["deliverySourceName"] in sources and destination is not None:
            log_events.write(_group(destination), STREAM, [json.dumps(message) for message in messages])


def _group(destination: Mapping[str, Any]) -> str:
    """Returns the log group of a destination."""
    if destination["deliveryDestinationType"] != XRAY:
        arn = destination["deliveryDestinationConfiguration"]["destinationResourceArn"]
        return arn.partition(":log-group:")[2].removesuffix(":*")
    if SPANS_GROUP not in cloudwatch_logs._log_groups:
        cloudwatch_logs._create_log_group({"logGroupName": SPANS_GROUP})
    return SPANS_GROUP


class DeliveryResource:
    """The handlers of a resource type with a name, whose property names are those of the API in another case."""

    create_only: tuple[str, ...] = ("Name",)
    put: ClassVar[Callable[[Mapping[str, Any]], Any]]
    remove: ClassVar[Callable[[Mapping[str, Any]], Any]]
    kind: ClassVar[str]

    def create(self, logical_id: str, properties: Properties, stack_name: str) -> tuple[str, dict[str, str]]:  # noqa: ARG002 - signature of ResourceType
        """Calls the operation that creates and replaces."""
        created = _called(type(self).put(self.request(properties)))[self.kind]
        return properties["Name"], {"Arn": created["arn"], **self.attributes(created)}

    def update(
        self,
        physical_id: str,
        before: Properties,  # noqa: ARG002 - signature of ResourceType
        after: Properties,
        stack_name: str,
    ) -> tuple[str, dict[str, str]]:
        """Calls the same operation."""
        return self.create(physical_id, after, stack_name)

    def delete(self, physical_id: str, properties: Properties) -> None:  # noqa: ARG002 - signature of ResourceType
        """Deletes the resource, if it exists."""
        type(self).remove({"name": physical_id})

    def request(self, properties: Properties) -> dict[str, Any]:
        """Returns the members of the request."""
        raise NotImplementedError

    def attributes(self, created: Mapping[str, Any]) -> dict[str, str]:  # noqa: ARG002 - for subclasses
        """Returns further values of `Fn::GetAtt`."""
        return {}


class DeliverySource(DeliveryResource):
    """`AWS::Logs::DeliverySource`."""

    kind = "deliverySource"
    put = staticmethod(put_delivery_source)
    remove = staticmethod(cloudwatch_logs._delete_delivery_source)

    def request(self, properties: Properties) -> dict[str, Any]:
        """Returns the members of PutDeliverySource."""
        members = {"name": properties["Name"], "resourceArn": properties.get("ResourceArn")}
        return members | {"logType": properties.get("LogType"), "tags": _tags(properties)}

    def attributes(self, created: Mapping[str, Any]) -> dict[str, str]:
        """Returns the service."""
        return {"Service": created["service"]}


class DeliveryDestination(DeliveryResource):
    """`AWS::Logs::DeliveryDestination`."""

    create_only: tuple[str, ...] = ("Name", "DeliveryDestinationType", "DestinationResourceArn", "OutputFormat")
    kind = "deliveryDestination"
    put = staticmethod(put_delivery_destination)
    remove = staticmethod(cloudwatch_logs._delete_delivery_destination)

    def request(self, properties: Properties) -> dict[str, Any]:
        """Returns the members of PutDeliveryDestination."""
        members = {
            "name": properties["Name"],
            "deliveryDestinationType": properties.get("DeliveryDestinationType"),
            "outputFormat": properties.get("OutputFormat"),
            "tags": _tags(properties),
        }
        if resource_arn := properties.get("DestinationResourceArn"):
            members["deliveryDestinationConfiguration"] = {"destinationResourceArn": resource_arn}
        return {name: value for name, value in members.items() if value is not None}


class Delivery:
    """`AWS::Logs::Delivery`."""

    create_only: tuple[str, ...] = ("DeliveryDestinationArn", "DeliverySourceName")

    def create(self, logical_id: str, properties: Properties, stack_name: str) -> tuple[str, dict[str, str]]:  # noqa: ARG002 - signature of ResourceType
        """Calls CreateDelivery."""
        request = {
            "deliverySourceName": properties["DeliverySourceName"],
            "deliveryDestinationArn": properties["DeliveryDestinationArn"],
            "recordFields": properties.get("RecordFields", []),
            "tags": _tags(properties),
        }
        delivery = _called(create_delivery(request))["delivery"]
        return delivery["id"], _attributes(delivery)

    def update(
        self,
        physical_id: str,
        before: Properties,  # noqa: ARG002 - signature of ResourceType
        after: Properties,
        stack_name: str,  # noqa: ARG002 - signature of ResourceType
    ) -> tuple[str, dict[str, str]]:
        """Sets the fields of the records and the tags."""
        delivery = cloudwatch_logs._deliveries[physical_id]
        delivery.update(recordFields=after.get("RecordFields", []), tags=_tags(after))
        return physical_id, _attributes(delivery)

    def delete(self, physical_id: str, properties: Properties) -> None:  # noqa: ARG002 - signature of ResourceType
        """Calls DeleteDelivery, if the delivery exists."""
        cloudwatch_logs._delete_delivery({"id": physical_id})


def _attributes(delivery: Mapping[str, Any]) -> dict[str, str]:
    return {"Arn": delivery["arn"], "DeliveryId": delivery["id"]}


def _tags(properties: Properties) -> dict[str, str]:
    return {each["Key"]: each["Value"] for each in properties.get("Tags", [])}


def _called(response: tuple[int, Any, bytes]) -> dict[str, Any]:
    """Returns the body of a response. Raises ValueError with the message of an error."""
    status, _, content = response
    body: dict[str, Any] = json.loads(content)
    if status != 200:
        raise ValueError(body.get("message") or body.get("Message"))
    return body
