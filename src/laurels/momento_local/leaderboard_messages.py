"""The messages of Momento's service ``leaderboard.Leaderboard``, which the package of its wire types does not have.

They are declared here as its protocol declares them, in a pool of their own: a later version of that package may have
them, too.
"""

from __future__ import annotations

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from momento_wire_types import common_pb2

BOARD = "string leaderboard = 2"
RANKED = ("repeated _RankedElement elements = 1",)

MESSAGES: dict[str, tuple[str, ...]] = {
    "_Element": ("uint32 id = 1", "double score = 3"),
    "_RankedElement": ("uint32 id = 1", "uint32 rank = 3", "double score = 4"),
    "_RankRange": ("uint32 start_inclusive = 1", "uint32 end_exclusive = 2"),
    "_ScoreRange": (
        "min: common._Unbounded unbounded_min = 1",
        "min: double min_inclusive = 5",
        "max: common._Unbounded unbounded_max = 3",
        "max: double max_exclusive = 6",
    ),
    "_DeleteLeaderboardRequest": (BOARD,),
    "_UpsertElementsRequest": (BOARD, "repeated _Element elements = 3"),
    "_RemoveElementsRequest": (BOARD, "repeated uint32 ids = 3"),
    "_GetLeaderboardLengthRequest": (BOARD,),
    "_GetLeaderboardLengthResponse": ("uint32 count = 1",),
    "_GetByRankRequest": (BOARD, "_RankRange rank_range = 3", "_Order order = 4"),
    "_GetByRankResponse": RANKED,
    "_GetRankRequest": (BOARD, "repeated uint32 ids = 3", "_Order order = 4"),
    "_GetRankResponse": RANKED,
    "_GetByScoreRequest": (
        BOARD,
        "_ScoreRange score_range = 3",
        "uint32 offset = 4",
        "uint32 limit_elements = 5",
        "_Order order = 6",
    ),
    "_GetByScoreResponse": RANKED,
    "_GetCompetitionRankRequest": ("string leaderboard = 1", "repeated uint32 ids = 2", "_order: _Order order = 3"),
    "_GetCompetitionRankResponse": RANKED,
}
"""The fields of each message. Before a colon is the name of its oneof, or of an optional field after a ``_``."""

METHODS = {
    "DeleteLeaderboard": "common._Empty",
    "UpsertElements": "common._Empty",
    "RemoveElements": "common._Empty",
    "GetLeaderboardLength": "_GetLeaderboardLengthResponse",
    "GetByRank": "_GetByRankResponse",
    "GetRank": "_GetRankResponse",
    "GetByScore": "_GetByScoreResponse",
    "GetCompetitionRank": "_GetCompetitionRankResponse",
}
"""What each call answers; it takes the request of its own name."""

ASCENDING, DESCENDING = 0, 1

PACKAGE = "leaderboard"
SCALARS = {
    "string": FieldDescriptorProto.TYPE_STRING,
    "uint32": FieldDescriptorProto.TYPE_UINT32,
    "double": FieldDescriptorProto.TYPE_DOUBLE,
    "_Order": FieldDescriptorProto.TYPE_ENUM,
}


def _full_name(name: str) -> str:
    return f".{name}" if "." in name else f".{PACKAGE}.{name}"


def _add_field(message: DescriptorProto, declaration: str) -> None:
    words, _, number = declaration.partition(" = ")
    *before, kind, name = words.split()
    field = message.field.add(name=name, number=int(number), label=FieldDescriptorProto.LABEL_OPTIONAL)
    field.type = SCALARS.get(kind, FieldDescriptorProto.TYPE_MESSAGE)
    if kind not in SCALARS or kind == "_Order":
        field.type_name = _full_name(kind)
    if before == ["repeated"]:
        field.label = FieldDescriptorProto.LABEL_REPEATED
    elif before:
        oneof = before[0].removesuffix(":")
        if all(known.name != oneof for known in message.oneof_decl):
            message.oneof_decl.add(name=oneof)
        field.oneof_index = len(message.oneof_decl) - 1
        field.proto3_optional = oneof.startswith("_")


def _declare() -> FileDescriptorProto:
    file = FileDescriptorProto(name="leaderboard.proto", package=PACKAGE, syntax="proto3", dependency=["common.proto"])
    order = file.enum_type.add(name="_Order")
    order.value.add(name="ASCENDING", number=ASCENDING)
    order.value.add(name="DESCENDING", number=DESCENDING)
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for declaration in fields:
            _add_field(message, declaration)
    service = file.service.add(name="Leaderboard")
    for name, answer in METHODS.items():
        service.method.add(name=name, input_type=_full_name(f"_{name}Request"), output_type=_full_name(answer))
    return file


POOL = DescriptorPool()
POOL.AddSerializedFile(common_pb2.DESCRIPTOR.serialized_pb)
POOL.Add(_declare())
DESCRIPTOR = POOL.FindFileByName("leaderboard.proto")

Empty = GetMessageClass(POOL.FindMessageTypeByName("common._Empty"))
LengthResponse = GetMessageClass(DESCRIPTOR.message_types_by_name["_GetLeaderboardLengthResponse"])
ByRankResponse = GetMessageClass(DESCRIPTOR.message_types_by_name["_GetByRankResponse"])
RankResponse = GetMessageClass(DESCRIPTOR.message_types_by_name["_GetRankResponse"])
ByScoreResponse = GetMessageClass(DESCRIPTOR.message_types_by_name["_GetByScoreResponse"])
CompetitionRankResponse = GetMessageClass(DESCRIPTOR.message_types_by_name["_GetCompetitionRankResponse"])
