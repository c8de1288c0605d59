"""Consumer contracts as YAML files: what a consumer calls, and what it relies on in the answers."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template
from typing import Annotated, Any, Literal, Self, TypeAlias, get_args

import grpc
import yaml  # type: ignore[import-untyped]
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from ghostback.contract import paths

Server: TypeAlias = Literal["ingest", "features", "predict", "score"]
SERVERS: tuple[Server, ...] = get_args(Server)
Scalar: TypeAlias = bool | int | float | str
Range: TypeAlias = tuple[int | float | None, int | float | None]


class ContractError(Exception):
    """A contract cannot be read or checked; the message says which, where and why."""


class Unreachable(ContractError):
    """A server that a contract is held against does not answer."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Close(_Strict):
    """A number and how far from it is still good."""

    to: float = Field(description="The number.")
    within: float = Field(ge=0, description="Largest distance from it.")


class Matcher(_Strict):
    """What a value must be; where several keys are given, all of them."""

    equal: Scalar | list[Scalar] | None = Field(None, description="Exactly this; enum values by name.")
    one_of: list[Scalar] | None = Field(None, min_length=1, description="One of these; enum values by name.")
    type: str | None = Field(
        None,
        description="Type in the contract: a scalar type such as `float`, `number`, `integer`, or the full name of a "
        "message or enum; `repeated float` for a list. Checked against the descriptors; live, the field must be set "
        "where it can be left out.",
    )
    present: bool | None = Field(None, description="Whether it is set, and neither empty nor zero.")
    range: Range | None = Field(None, description="Least and greatest number, both included; null is open.")
    regex: str | None = Field(None, description="Regular expression that the whole text matches.")
    length: int | tuple[int | None, int | None] | None = Field(
        None, description="Number of values of a list, or of characters: exact, or least and greatest."
    )
    close: Close | None = Field(None, description="A number near this one.")
    each: "Matcher | None" = Field(None, description="What every value of a list must be.")

    @field_validator("regex")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                re.compile(value)
            except re.error as error:
                raise ValueError(f"is no regular expression: {error}") from None
        return value

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_dump(exclude_none=True):
            raise ValueError(f"says nothing; give one of {', '.join(type(self).model_fields)}")
        return self


def _shorthand(value: object) -> object:
    return {"equal": value} if isinstance(value, bool | int | float | str) else value


def _path(value: str) -> str:
    paths.parse(value)
    return value


Expected: TypeAlias = Annotated[Matcher, BeforeValidator(_shorthand, json_schema_input_type=Matcher | Scalar)]
Path_: TypeAlias = Annotated[str, BeforeValidator(_path), Field(description="Such as `ghosts[*].path.x`.")]
Variable: TypeAlias = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Refusal(_Strict):
    """An error that the consumer relies on."""

    code: str = Field(description="gRPC status code, such as `NOT_FOUND`.")
    reason: str = Field("", description="Value of `ErrorReason` without its prefix, such as `PLAY_UNKNOWN`.")
    fields: list[str] = Field([], description="Fields that `BadRequest` names.")

    @field_validator("code")
    @classmethod
    def _known(cls, value: str) -> str:
        if value == "OK" or value not in grpc.StatusCode.__members__:
            raise ValueError(f"{value} is no error code of gRPC; NOT_FOUND is one")
        return value


class Interaction(_Strict):
    """One call and what the consumer relies on in its answer."""

    name: str = Field(min_length=1, description="What the consumer relies on, in plain words.")
    call: str = Field(
        pattern=r"^\w+(\.\w+)+/\w+$",
        description="Full name of the service and the method, such as `ghostback.ingest.v1.IngestService/GetPlay`.",
    )
    server: Server | None = Field(
        None, description="Which server to call where the package does not say, such as `score` for its operations."
    )
    request: dict[str, Any] | None = Field(None, description="The request as proto JSON; `$play` is a variable.")
    requests: list[dict[str, Any]] | None = Field(None, description="Instead, the requests of a stream.")
    metadata: dict[str, str] = Field({}, description="Metadata to send.")
    timeout: float = Field(10.0, gt=0, le=600, description="Deadline, seconds.")
    reads: int | None = Field(
        None, ge=1, description="Where the answer is a stream: responses to read before the call is ended."
    )
    response: dict[Path_, Expected] = Field({}, description="What each response must hold, by path.")
    headers: dict[str, Expected] = Field({}, description="What the answer's initial metadata must hold, by key.")
    error: Refusal | None = Field(None, description="Instead, the error that the call must end with.")
    capture: dict[Variable, Path_] = Field({}, description="Values of the last response for the calls that follow.")

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if (self.request is None) == (self.requests is None):
            raise ValueError("give `request`, or `requests` where the method takes a stream")
        if self.error and (self.response or self.headers or self.capture):
            raise ValueError("a call that must fail has no `response`, `headers` or `capture`")
        if any("[*]" in path for path in self.capture.values()):
            raise ValueError("`capture` takes one value: a path with [0], not [*], or a whole list")
        if self.target not in SERVERS:
            raise ValueError(f"say with `server` which of {', '.join(SERVERS)} has {self.call}")
        return self

    @property
    def target(self) -> str:
        """The server to call: the one named, or that of the package."""
        return self.server or self.call.split(".")[1]

    @property
    def sent(self) -> list[dict[str, Any]]:
        """The requests, one unless the method takes a stream."""
        return [self.request] if self.request is not None else self.requests or []

    def variables(self) -> set[str]:
        """Names of the variables that it uses."""
        matchers = (*self.response.values(), *self.headers.values())
        expected = [matcher.model_dump(exclude={"regex"}) for matcher in matchers]
        return {
            name
            for text in _texts([self.sent, list(self.metadata.values()), expected])
            for name in Template(text).get_identifiers()
        }

    def filled(self, values: Mapping[str, Any]) -> "Interaction":
        """The same with values in place of the variables."""
        return Interaction.model_validate(_filled(self.model_dump(exclude_unset=True, exclude_none=True), values))


class Contract(_Strict):
    """What one consumer relies on."""

    consumer: str = Field(pattern=r"^[a-z][a-z0-9-]*$", description="The consumer's name.")
    description: str = Field("", description="What it does with the answers.")
    variables: dict[Variable, str] = Field(
        {}, description="What the provider's state gives, with a word on each; used as `$name`."
    )
    interactions: list[Interaction] = Field(min_length=1, description="The calls, in order.")

    @model_validator(mode="after")
    def _declared(self) -> Self:
        known = set(self.variables)
        for interaction in self.interactions:
            unknown = interaction.variables() - known
            if unknown:
                raise ValueError(
                    f"{interaction.name!r} uses ${min(unknown)}, which is neither in `variables` nor captured before"
                )
            known |= interaction.capture.keys()
        return self


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)


def _filled(value: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(value, dict):
        return {key: each if key == "regex" else _filled(each, values) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, values) for each in value]
    if not isinstance(value, str):
        return value
    whole = value.startswith("$") and value[1:] in values
    return values[value[1:]] if whole else Template(value).safe_substitute(values)


def files(places: list[Path]) -> list[Path]:
    """The contracts of some files and folders, each once, in order of name.

    Raises:
        ContractError: a place is not there, or no contract is in it.
    """
    found: dict[Path, None] = {}
    for place in places:
        inside = sorted(place.rglob("*.yaml")) if place.is_dir() else [place]
        if not place.exists() or not inside:
            raise ContractError(f"no contract is at {place}; name a YAML file, or a folder with some")
        found |= dict.fromkeys(inside)
    return list(found)


def read(path: Path) -> Contract:
    """The contract in a YAML file, as `contract.schema.json` describes it.

    Raises:
        ContractError: the file cannot be read, or is no contract.
    """
    try:
        return Contract.model_validate(yaml.safe_load(path.read_text()))
    except OSError as error:
        raise ContractError(f"{path} cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ContractError(f"{path} is no YAML: {error}") from None
    except ValidationError as error:
        reasons = "; ".join(
            f"{'.'.join(str(part) for part in each['loc']) or 'contract'}: {each['msg']}" for each in error.errors()
        )
        raise ContractError(f"{path} is no contract: {reasons}; `ghostback contract schema` tells the form") from None


def schema() -> dict[str, Any]:
    """JSON Schema of a contract."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Contract.model_json_schema()}
