"""The JSON Schema of an environment file, for editors: what the types say, without what holds between options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from sandpiper.environment.interpreter import S3Access, uri_alone
from sandpiper.environment.model import RESERVED_TENANT_NAMES, Environment
from sandpiper.environment.options import empty_as_default, reject_empty

if TYPE_CHECKING:
    from pydantic_core import core_schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_NOTHING = {"type": "null"}


def schema() -> dict[str, Any]:
    """The schema, in draft 2020-12."""
    found = Environment.model_json_schema(schema_generator=_Schema)
    found["oneOf"] = [{"required": ["interpreters"]}, {"required": ["tenants"]}]
    found["properties"]["tenants"]["propertyNames"]["not"] = {"enum": list(RESERVED_TENANT_NAMES)}
    return {"$schema": DIALECT, **found}


class _Schema(GenerateJsonSchema):
    """Pydantic's generator, extended by the short forms of the file and by constraints on mapping keys."""

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        inside = self.generate_inner(schema["schema"])
        function: object = schema["function"]["function"]
        if function is empty_as_default and _NOTHING not in inside.get("anyOf", []):
            return {"anyOf": [inside, _NOTHING]}
        if function is reject_empty:
            (something,) = (one for one in inside["anyOf"] if one != _NOTHING)
            return something
        if function is uri_alone:
            return {"anyOf": [inside, S3Access.model_json_schema()["properties"]["uri"]]}
        return inside

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        made = super().dict_schema(schema)
        (inside,) = made.pop("patternProperties", {}).values() or (made.get("additionalProperties", {}),)
        keys = self.generate_inner(schema["keys_schema"]) if "keys_schema" in schema else {}
        return {**made, "additionalProperties": inside, "propertyNames": keys}
