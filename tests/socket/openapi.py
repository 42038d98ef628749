"""The part of OpenAPI 3.0 and JSON Schema that docs/openapi.json uses: enough to say whether an answer is what the file says."""

import json
import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


class OpenApi:
    def __init__(self, name):
        self.document = json.loads((DOCS / name).read_text())

    def routes(self):
        """"GET /pools/{pool}" of every operation."""
        return {f"{method.upper()} {path}" for path, item in self.document["paths"].items() for method in item}

    def operation(self, method, path):
        return self.document["paths"][path][method.lower()]

    def schema_of(self, method, path, status):
        """Of the JSON body; None where it is text. KeyError: the file knows no such answer."""
        content = self.operation(method, path)["responses"][str(status)]["content"]
        return content["application/json"]["schema"] if "application/json" in content else None

    def wrong(self, value, schema, at="$"):
        """What is wrong with a value, as a list of sentences."""
        if "$ref" in schema:
            name = schema["$ref"].removeprefix("#/components/schemas/")
            return self.wrong(value, self.document["components"]["schemas"][name], at)
        known = {"type", "description", "nullable", "enum", "pattern", "minimum", "maximum", "default", "items", "properties",
                 "required", "additionalProperties"}
        assert set(schema) <= known, f"{at}: this test does not know {set(schema) - known}"
        if value is None:
            return [] if schema.get("nullable") else [f"{at}: is null"]
        kinds = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool}
        kind = schema["type"]
        if not isinstance(value, kinds[kind]) or (kind != "boolean" and isinstance(value, bool)):
            return [f"{at}: {value!r} is no {kind}"]
        out = []
        if "enum" in schema and value not in schema["enum"]:
            out.append(f"{at}: {value!r} is none of {schema['enum']}")
        if "pattern" in schema and not re.search(schema["pattern"], value):
            out.append(f"{at}: {value!r} does not match {schema['pattern']}")
        if "minimum" in schema and value < schema["minimum"]:
            out.append(f"{at}: {value} is too small")
        if kind == "array":
            for number, item in enumerate(value):
                out += self.wrong(item, schema["items"], f"{at}[{number}]")
        if kind == "object":
            out += [f"{at}: {name} is missing" for name in schema.get("required", []) if name not in value]
            for name, item in value.items():
                if name in schema["properties"]:
                    out += self.wrong(item, schema["properties"][name], f"{at}.{name}")
                elif schema.get("additionalProperties") is False:
                    out.append(f"{at}: {name} is not in the schema")
        return out
