"""Edits of the contract: what each breaks, and which checks must catch it."""

from dataclasses import dataclass
from pathlib import Path

INGEST = "ingest/v1/ingest_service.proto"
PREDICT = "predict/v1/predict_service.proto"
ROLLOUT = "predict/v1/rollout_service.proto"
SCORE = "score/v1/score_service.proto"
FEATURES = "features/v1/features_service.proto"
OPERATION = "tracking/v1/operation_service.proto"
PLAY = "tracking/v1/play.proto"
REASON = "tracking/v1/error_reason.proto"
SAMPLES = "tracking/v1/samples.proto"
SOURCE = "tracking/v1/source.proto"


@dataclass(frozen=True)
class Edit:
    """A text that is replaced in a file of the contract."""

    name: str
    """What is done."""
    file: str
    """The file it is done in."""
    before: str
    """What is replaced, wherever it stands in the file."""
    after: str
    """What it is replaced with."""
    breaks: str = ""
    """What it breaks for consumers, of `wire`, `JSON`, `source` and `meaning`; nothing if it is harmless."""
    caught: str = ""
    """The checks that find it: `buf`, `messages` (real ones, written and read both ways), `units`."""
    then: "Edit | None" = None
    """What is done with it."""

    def apply(self, protos: Path) -> None:
        """Do it to the protos in a folder."""
        path = protos / "ghostback" / self.file
        text = path.read_text()
        if self.before not in text:
            raise ValueError(f"{self.before!r} is not in {self.file}")
        path.write_text(text.replace(self.before, self.after))
        if self.then:
            self.then.apply(protos)


def then(file: str, before: str, after: str) -> Edit:
    """The rest of an edit."""
    return Edit("", file, before, after)


ALL = "wire JSON source"
BOTH = "buf messages"
GET_GAME = "rpc GetGame(GetGameRequest) returns (GetGameResponse);"
STREAM_TAGS = "rpc StreamTags(stream StreamTagsRequest) returns (stream StreamTagsResponse);"

BREAKING = [
    Edit("a field gets another number", SAMPLES, "float x = 4;", "float x = 11;", ALL, BOTH),
    Edit(
        "two fields trade numbers",
        SAMPLES,
        "float x = 4;",
        "float x = 5;",
        ALL,
        BOTH,
        then(SAMPLES, "float y = 5;", "float y = 4;"),
    ),
    Edit("a field is renamed", PLAY, "offense_team = 4;", "team = 4;", "JSON source", BOTH),
    Edit("a field is removed", PLAY, "  string display_name = 3;\n", "", ALL, BOTH),
    Edit(
        "a field is removed and reserved",
        PLAY,
        "string display_name = 3;",
        'reserved 3;\n  reserved "display_name";',
        "source",
        "buf",
    ),
    Edit(
        "a number is used for something else", PLAY, "string league_player_id = 8;", "uint64 height_cm = 8;", ALL, BOTH
    ),
    Edit("a column gets wider", SAMPLES, "sfixed32 frame = 3;", "sfixed64 frame = 3;", ALL, BOTH),
    Edit("a column becomes one of doubles", SAMPLES, "float speed = 6;", "double speed = 6;", ALL, BOTH),
    Edit("an integer becomes a zigzag one", PLAY, "int32 frame = 2;", "sint32 frame = 2;", ALL, BOTH),
    Edit("an integer gets narrower", INGEST, "uint64 sequence = 2;", "uint32 sequence = 2;", ALL, BOTH),
    Edit("a string becomes bytes", PLAY, "string description = 12;", "bytes description = 12;", "JSON source", BOTH),
    Edit("an enum becomes a number", PLAY, "PlayState state = 3;", "int32 state = 3;", "JSON source", BOTH),
    Edit("a field gets another message", SOURCE, "Path receiver = 4;", "Covariance receiver = 4;", ALL, "buf"),
    Edit("a field becomes repeated", PLAY, "string target_id = 2;", "repeated string target_id = 2;", ALL, BOTH),
    Edit("a column becomes a single value", SAMPLES, "repeated float y = 5;", "float y = 5;", ALL, BOTH),
    Edit("absent and zero become the same", PLAY, "optional int32 jersey", "int32 jersey", ALL, "buf"),
    Edit(
        "fields move into a oneof",
        PLAY,
        "  Pass forward_pass = 10;",
        "  oneof more {\n  Pass forward_pass = 10;",
        ALL,
        BOTH,
        then(PLAY, "situation = 11;", "situation = 11;\n  }"),
    ),
    Edit(
        "a oneof is dissolved",
        SOURCE,
        "  oneof source {\n",
        "",
        ALL,
        BOTH,
        then(SOURCE, "Play play = 2;\n  }", "Play play = 2;"),
    ),
    Edit(
        "a field gets another JSON name",
        PLAY,
        "offense_team = 4;",
        'offense_team = 4 [json_name = "team"];',
        "JSON source",
        BOTH,
    ),
    Edit(
        "a message is removed",
        PREDICT,
        "  repeated BrokenPlugin broken_plugins = 3;",
        "",
        ALL,
        BOTH,
        then(PREDICT, "repeated BrokenPlugin broken_plugins = 4;", ""),
    ),
    Edit("a message is renamed", PREDICT, "BrokenPlugin ", "RefusedPlugin ", "wire JSON source", "buf"),
    Edit("a method is removed", INGEST, GET_GAME, "", "wire source", "buf"),
    Edit("a method is renamed", INGEST, "rpc GetGame(", "rpc ReadGame(", "wire source", "buf"),
    Edit(
        "a method takes another request",
        INGEST,
        "rpc GetGame(GetGameRequest)",
        "rpc GetGame(GetPlayRequest)",
        ALL,
        "buf",
    ),
    Edit(
        "a method gives another response",
        INGEST,
        "returns (GetGameResponse)",
        "returns (UpdateGameResponse)",
        ALL,
        "buf",
    ),
    Edit(
        "responses are no longer a stream",
        INGEST,
        STREAM_TAGS,
        STREAM_TAGS.replace("(stream StreamTagsResponse)", "(StreamTagsResponse)"),
        ALL,
        "buf",
    ),
    Edit(
        "requests are no longer a stream",
        INGEST,
        STREAM_TAGS,
        STREAM_TAGS.replace("(stream StreamTagsRequest)", "(StreamTagsRequest)"),
        ALL,
        "buf",
    ),
    Edit("a service is renamed", SCORE, "service ScoreService", "service ScoringService", "wire source", "buf"),
    Edit("a package is renamed", SCORE, "package ghostback.score.v1;", "package ghostback.scoring.v1;", ALL, "buf"),
    Edit("a reason is removed", REASON, "  ERROR_REASON_PLAY_UNKNOWN = 12;", "", ALL, "buf"),
    Edit(
        "a reason is removed and reserved",
        REASON,
        "  ERROR_REASON_PLAY_UNKNOWN = 12;",
        '  reserved 12;\n  reserved "ERROR_REASON_PLAY_UNKNOWN";',
        "source",
        "buf",
    ),
    Edit("a reason is renamed", REASON, "ERROR_REASON_PLAY_UNKNOWN", "ERROR_REASON_NO_PLAY", "JSON source", "buf"),
    Edit("a value of an enum gets another number", PLAY, "BALL = 2;", "BALL = 4;", ALL, BOTH),
    Edit(
        "two values of an enum trade numbers",
        PLAY,
        "PLUS_X = 1;",
        "PLUS_X = 2;",
        ALL,
        BOTH,
        then(PLAY, "MINUS_X = 2;", "MINUS_X = 1;"),
    ),
    Edit(
        "an enum is renamed",
        FEATURES,
        "enum TensorRow {",
        "enum RowKind {",
        ALL,
        "buf",
        then(FEATURES, "  TensorRow tensor_row", "  RowKind tensor_row"),
    ),
    Edit("yards become metres in a comment", SAMPLES, "the field, yards", "the field, metres", "meaning", "units"),
    Edit("a comment no longer says a unit", PREDICT, "microseconds", "a while", "meaning", "units"),
    Edit("angles turn the other way", SAMPLES, "clockwise", "counterclockwise", "meaning", "units"),
    Edit(
        "a share becomes a percentage",
        SCORE,
        "spoiled run, 0 to 1;",
        "spoiled run, 0 to 100 percent;",
        "meaning",
        "units",
    ),
]

HARMLESS = [
    Edit("a comment is reworded", SAMPLES, "Where the chest faces", "The way the chest points"),
    Edit("a comment names one unit more", PLAY, "// Kick-off.", "// Kick-off, to 0.1 seconds."),
    Edit("a field is added", PLAY, "Samples samples = 13;", "Samples samples = 13;\n  // New.\n  string weather = 14;"),
    Edit(
        "a column is added",
        SAMPLES,
        "direction = 10;",
        "direction = 10;\n  // Height, yards.\n  repeated float z = 11;",
    ),
    Edit("a message is added", PLAY, "// One play.", "// New.\nmessage Weather {}\n\n// One play."),
    Edit("a method is added", INGEST, GET_GAME, GET_GAME + GET_GAME.replace("rpc Get", "rpc Read")),
    Edit("a method is deprecated", INGEST, GET_GAME, GET_GAME.replace(";", "{ option deprecated = true; }")),
    Edit("a field is deprecated", PLAY, "description = 12;", "description = 12 [deprecated = true];"),
    Edit("a value is added to an enum", PLAY, "NULLIFIED = 3;", "NULLIFIED = 3;\n  PLAY_STATE_REPLAYED = 4;"),
    Edit("a member is added to a oneof", SOURCE, "Play play = 2;", "Play play = 2;\n    string url = 3;"),
    Edit("a number is reserved", PLAY, "  // One line in plain", "  reserved 14;\n  // One line in plain"),
]

UNSEEN = [
    Edit("a limit is lowered in a comment", INGEST, "1 to 1,000", "1 to 10", "meaning"),
    Edit("counting starts elsewhere", PLAY, "counted from 1. 0", "counted from 0. -1", "meaning"),
    Edit("what empty means is changed", PREDICT, "empty means every defensive back", "empty means none", "meaning"),
]
