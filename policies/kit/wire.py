"""Reads what the engine sends about a resource as plain data, once for all rules.

The marks are those of Pulumi's protocol (sdk/go/common/resource/plugin, "rpc.go"; sdk/go/common/resource/sig).
Deliberately keeps no mark of secrets: a rule judges a secret value as any other, and messages are guarded elsewhere.
"""

from collections.abc import Mapping
from typing import Any

from google.protobuf.struct_pb2 import Struct, Value

from policies.kit.node import UNKNOWN

SIGNATURE = "4dabf18193072939515e22adb298388d"
"""Name of the field that says what a mapping stands for."""
SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105  a mark, the same everywhere
"""What that field says of a secret."""
NOT_KNOWN = frozenset(
    {
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # a truth value
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # a number
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",  # a text, or anything
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # a list
        "030794c1-ac77-496b-92df-f27374a8bd58",  # a file
        "e48ece36-62e2-4504-bad9-02848725956a",  # an archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # a mapping
    }
)
"""What stands in place of a value that only `up` will know, by the kind of value it will be."""


def plain(struct: Struct) -> Any:
    """Dicts, lists and scalars of a message, whole numbers as such, UNKNOWN in place of each unknown value.

    A mapping that stands for something else, such as a file on disk, can't be judged and is UNKNOWN too.
    """
    return _mapping(struct.fields)


def _mapping(fields: Mapping[str, Value]) -> Any:
    if SIGNATURE in fields:
        return _value(fields["value"]) if fields[SIGNATURE].string_value == SECRET else UNKNOWN
    return {name: _value(value) for name, value in fields.items()}


def _value(value: Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        text = value.string_value
        return UNKNOWN if text in NOT_KNOWN else text
    if kind == "struct_value":
        return _mapping(value.struct_value.fields)
    if kind == "list_value":
        return [_value(one) for one in value.list_value.values]
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    return value.bool_value if kind == "bool_value" else None
