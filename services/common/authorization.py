"""Who may call what: identities have roles by a policy file, and methods are for roles."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

import structlog
import yaml  # type: ignore[import-untyped]
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from services.common import identity
from services.common.errors import PermissionDenied, Unauthenticated
from services.common.identity import Identity, IdentityError, TokenPolicy, Tokens
from services.common.interceptor import Call
from services.common.watched import Watched

ARM_KEY = "x-ghostback-arm"

_MOST_KNOWN = 4096
"""Callers whose identity is remembered; when there are more, all are looked at again."""

_log = structlog.get_logger()


class Role(StrEnum):
    """What an identity is to the suite."""

    READER = "reader"
    """Asks: plays, features, ghosts, scores."""
    PRODUCER = "producer"
    """Feeds games, plays and tags."""
    MODEL_OWNER = "model-owner"
    """Selects features, loads model versions, does rollouts, chooses the arm of a call."""
    SERVICE = "service"
    """A service of the suite: what these ask of each other, and an arm that its own caller was let choose."""
    ADMIN = "admin"
    """Everything."""


_ARM_ROLES = {Role.MODEL_OWNER, Role.SERVICE, Role.ADMIN}
_METHODS = {
    "ghostback.ingest.v1.IngestService": {
        Role.READER: "GetGame ListGames GetPlay ListPlays WatchPlays GetQualityReport ListQuarantinedSamples",
        Role.PRODUCER: "UpdateGame UpdatePlay StreamTags ReplayQuarantine",
        Role.SERVICE: "GetGame GetPlay ListPlays WatchPlays",
    },
    "ghostback.features.v1.FeaturesService": {
        Role.READER: "ListFeatureSets GetFeatureSet ComputeFeatures",
        Role.MODEL_OWNER: "SelectFeatures",
        Role.SERVICE: "GetFeatureSet ComputeFeatures",
    },
    "ghostback.predict.v1.PredictService": {
        Role.READER: "PredictGhosts PredictPassOutcomes PredictYardsAfterCatch PredictTensors",
        Role.SERVICE: "PredictGhosts PredictPassOutcomes PredictYardsAfterCatch",
    },
    "ghostback.predict.v1.ModelService": {
        Role.READER: "ListModels GetModel ListModelVersions GetModelVersion",
        Role.MODEL_OWNER: "LoadModelVersion UnloadModelVersion ReloadModelVersion RescanModels",
        Role.SERVICE: "GetModel",
    },
    "ghostback.predict.v1.RolloutService": {
        Role.READER: "GetRollout ListRollouts WatchRollout PreviewRollout ListRolloutEvents",
        Role.MODEL_OWNER: "CreateRollout PauseRollout ResumeRollout PromoteRollout AbortRollout RollBackRollout",
        Role.SERVICE: "ListRollouts RecordEvidence",
    },
    "ghostback.score.v1.ScoreService": {Role.READER: "ListScoreProfiles ScorePlay EvaluateModel"},
    "ghostback.score.v1.StatisticsService": {
        Role.READER: "RateDecision ComputeStatistics ListStatistics ListLeaders WatchStatistics",
    },
    "ghostback.tracking.v1.OperationService": {
        Role.READER: "GetOperation WaitOperation WatchOperation ListOperations",
        Role.MODEL_OWNER: "CancelOperation",
    },
}


def _default() -> dict[str, frozenset[Role]]:
    roles: dict[str, set[Role]] = {}
    for service, methods in _METHODS.items():
        for role, names in methods.items():
            for name in names.split():
                roles.setdefault(f"/{service}/{name}", {Role.ADMIN}).add(role)
    return {method: frozenset(of) for method, of in roles.items()}


DEFAULT: Mapping[str, frozenset[Role]] = _default()
"""The roles that may call each method, where a policy does not say otherwise."""


class Policy(BaseModel):
    """The policy file: who has which roles."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    certificates: Annotated[
        dict[str, frozenset[Role]], Field(description="Roles by a URI (SPIFFE id) or DNS name of a certificate.")
    ] = {}
    tokens: Annotated[TokenPolicy | None, Field(description="Which tokens are taken; none where this is missing.")] = (
        None
    )
    subjects: Annotated[dict[str, frozenset[Role]], Field(description="Roles by subject (`sub`) of a token.")] = {}
    methods: Annotated[
        dict[str, frozenset[Role]],
        Field(description="Roles that may call a method, /package.Service/Method, in place of those in the code."),
    ] = {}

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if unknown := self.methods.keys() - DEFAULT.keys():
            raise ValueError(f"methods: there is no {', '.join(sorted(unknown))}")
        if self.subjects and not self.tokens:
            raise ValueError("subjects: no token is taken; say which in tokens")
        return self


@dataclass(frozen=True, slots=True)
class _Known:
    name: str
    roles: frozenset[Role]
    expires: float


class _Rules:
    """A policy as it was read, and the callers it was applied to."""

    def __init__(self, policy: Policy, folder: Path) -> None:
        self.policy = policy
        self.methods = dict(DEFAULT) | {name: roles | {Role.ADMIN} for name, roles in policy.methods.items()}
        self.tokens = Tokens(policy.tokens, folder) if policy.tokens else None
        self.keys: Any = None
        self.known: dict[tuple[bytes, str], _Known] = {}

    def known_by(self, certificate: bytes, token: str, shown: Mapping[str, Any]) -> _Known:
        """Who shows a certificate or a token.

        Raises:
            IdentityError: it shows neither, or one that is not to be taken.
        """
        if self.tokens and (keys := self.tokens.keys()) is not self.keys:
            self.keys = keys
            self.known.clear()
        shows = certificate, token
        known = self.known.get(shows)
        if known is None:
            known = self._judge(self._identify(certificate, token, shown))
            if len(self.known) >= _MOST_KNOWN:
                self.known.clear()
            self.known[shows] = known
        if known.expires <= time.time():
            raise IdentityError(f"what {known.name!r} shows has expired")
        return known

    def _identify(self, certificate: bytes, token: str, shown: Mapping[str, Any]) -> Identity:
        if token:
            if self.tokens is None:
                raise IdentityError("the policy takes no tokens")
            return self.tokens.identity(token, certificate)
        if certificate:
            return identity.of_certificate(shown, certificate)
        raise IdentityError("neither a certificate nor a token")

    def _judge(self, who: Identity) -> _Known:
        granted = self.policy.subjects if who.kind == "token" else self.policy.certificates
        names = [name for name in who.names if name in granted] or [*who.names, "(nameless)"][:1]
        roles = frozenset[Role]().union(*(granted.get(name, ()) for name in names))
        return _Known(names[0], roles, who.expires)


class Authorization:
    """A gate that lets callers in by a policy file, which is read again when it changes."""

    def __init__(self, path: Path) -> None:
        """Read a policy.

        Raises:
            OSError: the policy or its keys cannot be read.
            ValueError: they are out of form.
        """
        self._rules = Watched(lambda: _Rules(parse(path.read_text()), path.parent), [path])

    @contextmanager
    def __call__(self, call: Call) -> Iterator[None]:
        """Let a call in whose caller may make it, and note who that is.

        Raises:
            Unauthenticated: its caller did not show who it is.
            PermissionDenied: its caller may not call this method, or not choose the arm.
        """
        rules = self._rules()
        shown = call.context.auth_context()
        certificate = b"".join(shown.get("x509_pem_cert", ()))
        try:
            who = rules.known_by(certificate, _token(call.metadata), shown)
        except IdentityError as error:
            _refused(call, "", str(error))
            raise Unauthenticated(
                "CREDENTIALS_REFUSED",
                "show who you are: a certificate or a token of this deployment, and one that is in force",
            ) from None
        identity.caller.set(who.name)
        if not who.roles & rules.methods.get(call.method, frozenset()):
            _refused(call, who.name, f"its roles are {sorted(who.roles)}")
            raise PermissionDenied(
                "METHOD_REFUSED", f"this identity may not call {call.method}; ask an admin for a role that may"
            )
        if ARM_KEY in call.metadata and not who.roles & _ARM_ROLES:
            _refused(call, who.name, "it chose an arm")
            raise PermissionDenied("ARM_OVERRIDE_REFUSED", f"this identity may not choose the arm by {ARM_KEY}")
        yield


def parse(text: str) -> Policy:
    """The policy in a YAML file, as `docs/access-policy.schema.json` describes it.

    Raises:
        ValueError: it is out of form.
    """
    try:
        return Policy.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise ValueError(f"the access policy is not YAML: {error}") from None
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        raise ValueError(f"the access policy is out of form: {'; '.join(wrong)}") from None


def _token(metadata: Mapping[str, str]) -> str:
    """The bearer token of a call; empty where it carries none.

    Raises:
        IdentityError: it carries something else.
    """
    shown = str(metadata.get("authorization", ""))
    scheme, _, token = shown.partition(" ")
    if shown and (scheme.lower() != "bearer" or not token):
        raise IdentityError("`authorization` is not a bearer token")
    return token


def _refused(call: Call, name: str, why: str) -> None:
    _log.warning("refused", method=call.method, identity=name, why=why, peer=call.context.peer())
