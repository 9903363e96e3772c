"""What progenitor can read of an OpenAPI 3.0 document: one media type for a body, JSON where there
is a choice. Operations whose body is no JSON (imports) are left out; answers that are no JSON are
bytes.

Usage: for_progenitor.py < openapi-3.0.json > smaller.json
"""

import json
import sys

JSON = "application/json"
BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}

document = json.load(sys.stdin)


def narrowed(content):
    return {JSON: content[JSON]} if JSON in content else None


for path, operations in list(document["paths"].items()):
    for method, operation in list(operations.items()):
        if not isinstance(operation, dict) or "responses" not in operation:
            continue
        body = operation.get("requestBody")
        if body and not narrowed(body["content"]):
            print(f"left out: {operation['operationId']}", file=sys.stderr)
            del operations[method]
            continue
        if body:
            body["content"] = narrowed(body["content"])
        for response in operation["responses"].values():
            if response.get("content"):
                response["content"] = narrowed(response["content"]) or BYTES
    if not operations:
        del document["paths"][path]
json.dump(document, sys.stdout)
