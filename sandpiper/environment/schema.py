"""Generates the JSON Schema of environment files for editors. It contains the types, not the rules between options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from sandpiper.environment.interpreter import S3Access, expand_uri
from sandpiper.environment.model import Environment
from sandpiper.environment.options import empty_as_default, reject_empty
from sandpiper.environment.tenant import RESERVED_TENANT_NAMES

if TYPE_CHECKING:
    from pydantic_core import core_schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_NULL = {"type": "null"}


def schema() -> dict[str, Any]:
    """Returns the JSON Schema, in draft 2020-12.

    Example:
        >>> schema()["properties"]["name"]["pattern"]
        '^[a-z][a-z0-9]{0,19}$'
    """
    generated = Environment.model_json_schema(schema_generator=_Schema)
    generated["oneOf"] = [{"required": ["interpreters"]}, {"required": ["tenants"]}]
    generated["properties"]["tenants"]["propertyNames"]["not"] = {"enum": list(RESERVED_TENANT_NAMES)}
    return {"$schema": DIALECT, **generated}


class _Schema(GenerateJsonSchema):
    """Pydantic's generator, extended by the short forms of the file and by constraints on mapping keys."""

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        inner = self.generate_inner(schema["schema"])
        function: object = schema["function"]["function"]
        if function is empty_as_default and _NULL not in inner.get("anyOf", []):
            return {"anyOf": [inner, _NULL]}
        if function is reject_empty:
            (not_null,) = (member for member in inner["anyOf"] if member != _NULL)
            return not_null
        if function is expand_uri:
            return {"anyOf": [inner, S3Access.model_json_schema()["properties"]["uri"]]}
        return inner

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        generated = super().dict_schema(schema)
        patterns = generated.pop("patternProperties", {}).values()
        (values,) = patterns or (generated.get("additionalProperties", {}),)
        keys = self.generate_inner(schema["keys_schema"]) if "keys_schema" in schema else {}
        return {**generated, "additionalProperties": values, "propertyNames": keys}
