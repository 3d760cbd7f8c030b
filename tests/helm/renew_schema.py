"""Puts the program's own schema of node.toml into the chart's schema: `concordat config schema | renew_schema.py`.

With `--check` it changes nothing and fails where the two differ.
"""

import json
import sys
from pathlib import Path

SCHEMA = Path(__file__).parents[2] / "helm/concordat/values.schema.json"
OWN = {"duration", "secretFile"}


def merged(chart: dict, program: dict) -> dict:
    definitions = program.pop("$defs", {})
    for key in ("$schema", "$id", "title"):
        program.pop(key, None)
    definitions["Config"] = program
    # What the chart adds to these is missing in the values.
    complete_by_chart = [program]
    for section in program["properties"].values():
        reference = section.get("$ref") or next((part["$ref"] for part in section.get("allOf", [])), None)
        if reference:
            complete_by_chart.append(definitions[reference.rsplit("/", 1)[1]])
    for part in complete_by_chart:
        part.pop("required", None)
    kept = {name: text for name, text in chart["$defs"].items() if name in OWN}
    return {**chart, "$defs": {**kept, **dict(sorted(definitions.items()))}}


def main() -> int:
    old = SCHEMA.read_text()
    new = json.dumps(merged(json.loads(old), json.load(sys.stdin)), indent=2) + "\n"
    if "--check" not in sys.argv:
        SCHEMA.write_text(new)
    elif new != old:
        print(f"{SCHEMA}: not the program's schema any more: `just chart` renews it", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
