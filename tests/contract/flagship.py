"""The flagship question through a client that was generated from the OpenAPI document.

Usage: flagship.py http://127.0.0.1:8080 (with the generated package `chokepoint_client` on the path)
"""

import json
import sys
import urllib.request

from chokepoint_client import Client
from chokepoint_client.api.answer import get_impact, post_impact
from chokepoint_client.api.explore import get_node, list_nodes
from chokepoint_client.models import Problem, ScenarioBody

BASE = sys.argv[1]
GRAPH = "critical-minerals"
QUESTION = {"scenario": "china-refining-stops"}


def plain(path, body=None):
    """The same over bare HTTP."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(BASE + path, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


client = Client(base_url=BASE, raise_on_unexpected_status=True)
answer = post_impact.sync(GRAPH, client=client, body=ScenarioBody.from_dict(QUESTION))
losses = {result.target: result.loss.value for result in answer.results}
expected = {
    result["target"]: result["loss"]["value"]
    for result in plain(f"/v1/graphs/{GRAPH}/impacts", QUESTION)["results"]
}
assert losses == expected, (losses, expected)
assert 0 < losses["semiconductors"] < 1, losses

again = get_impact.sync(answer.id, client=client)
assert again.to_dict() == plain(f"/v1/impacts/{answer.id}"), "the client loses part of an answer"

node = get_node.sync(GRAPH, "gallium.refine.CHN", client=client)
assert (node.country, node.stage, node.product) == ("CHN", "refine", "gallium"), node
page = list_nodes.sync(GRAPH, client=client, limit=5)
assert len(page.results) == 5 and page.meta.next_cursor, page

absent = get_node.sync(GRAPH, "galium.refine.CHN", client=client)
assert isinstance(absent, Problem) and absent.code == "not_found", absent
assert "gallium.refine.CHN" in absent.hint, absent

print(f"generated Python client: {answer.headline}")
