"""
Authentication and routing of opening handshakes, and the HTTP answers of those refused.

Pure: a target and headers in, a result out. The order of checks is path, credential, query, as in a gateway
in front of the models.

Two choices where sources differ: ``deployment`` (or ``model``) together with ``intent`` is refused with 400
in both dialects. A GA request with ``OpenAI-Beta: realtime=v1`` is accepted, sent ``beta_api_shape_disabled``
and closed with 4000.
"""

from __future__ import annotations

import hmac
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from ..dialects.base import Dialect
from ..dialects.rules import RefusalError
from ..model.deployments import Deployments

__all__ = [
    "TOKEN_EXPIRED",
    "Accepted",
    "Authenticator",
    "Refused",
    "Secret",
    "SecretRequest",
    "redacted_target",
]

_SECRET_PARAMETERS: Final = frozenset({"api-key", "authorization"})

_UNAUTHORIZED: Final = {
    "error": {
        "code": "401",
        "message": (
            "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a "
            "valid key for an active subscription and use a correct regional API endpoint for your resource."
        ),
    }
}
TOKEN_EXPIRED: Final[Mapping[str, Any]] = {
    "statusCode": 401,
    "message": (
        "Unauthorized. Access token is missing, invalid, audience is incorrect "
        "(https://cognitiveservices.azure.com), or have expired."
    ),
}
"""The body for a token that is not accepted any more."""
_BAD_REQUEST: Final = {"error": {"code": "400", "message": "The request target is no valid URL."}}
_NOT_FOUND: Final = {"error": {"code": "404", "message": "Resource not found"}}
_NO_DEPLOYMENT: Final = {
    "error": {
        "code": "DeploymentNotFound",
        "message": (
            "The API deployment for this resource does not exist. If you created the deployment within the "
            "last 5 minutes, please wait a moment and try again."
        ),
    }
}


@dataclass(frozen=True)
class Accepted:
    """
    An accepted request.

    Attributes:
        dialect: That of its path.
        kind: ``"realtime"`` or ``"transcription"``.
        deployment: As the client named it; ``""`` for a transcription session.
        model: What ``session.model`` will show.
        settings: Of a client secret's session.
        fatal: Sent as an ``error`` event; then the connection is closed with 4000.
    """

    dialect: Dialect
    kind: str
    deployment: str
    model: str
    fatal: RefusalError | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SecretRequest:
    """A request for a client secret, with a key: at which *path*, in which dialect."""

    dialect: Dialect
    path: str


@dataclass(frozen=True)
class Secret:
    """A minted ``ek_`` secret: until when it connects (Unix seconds), and to what session."""

    expires_at: int
    kind: str
    deployment: str
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Refused:
    """An HTTP answer instead of a connection; *body* is sent as JSON."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Authenticator:
    """
    Checks opening handshakes.

    Attributes:
        api_key: Accepted as ``api-key`` header or parameter and as a bearer token.
        tokens: Further bearer tokens, such as an Entra ID token or an ``ek_`` secret, with the Unix seconds
            at which they expire.
        deployments: Which there are.
        dialects: Those that are served.
        secrets: Minted ones, by their value.
    """

    NO_DEPLOYMENT: ClassVar[Mapping[str, Any]] = _NO_DEPLOYMENT

    api_key: str
    tokens: Mapping[str, float]
    deployments: Deployments
    dialects: tuple[Dialect, ...]
    secrets: dict[str, Secret] = field(default_factory=dict)

    def check(self, target: str, headers: Iterable[tuple[str, str]], now: float) -> Accepted | Refused:
        """Accept or refuse by target (path and query) and headers; *now* in Unix seconds."""
        try:
            path, query = _split(target)
        except ValueError:
            return Refused(400, _BAD_REQUEST)
        named = {name.lower(): value for name, value in headers}
        dialect = next((one for one in self.dialects if one.path == path), None)
        if dialect is None:
            return Refused(404, _NOT_FOUND)
        secret = self._secret(query, named, now)
        if dialect.denies(query):
            return Refused(401, _UNAUTHORIZED)
        if secret is None and not self._is_known(query, named, now):
            return self._unauthorized(query, named)
        if not dialect.serves(query):
            return Refused(404, _NOT_FOUND)
        name, fatal = dialect.deployment_of(query), dialect.fatal(named)
        wants_transcription = query.get("intent") == "transcription"
        if secret is not None and secret.kind == "transcription":
            name, wants_transcription = None, True
        elif secret is not None:  # which is refused below, if a transcription is asked for
            name = name or secret.deployment
        if bool(name) == wants_transcription:
            parameter = dialect.deployment_parameter
            return Refused(
                400,
                {
                    "code": "OperationNotSupported",
                    "message": (
                        "The operation is not supported: it requires either "
                        f"{parameter}=<{parameter} name> (or its alias deployment=<deployment name>) or "
                        "intent=transcription present on the querystring."
                    ),
                },
            )
        if not name:
            return Accepted(dialect, "transcription", "", "", fatal, secret.settings if secret else {})
        if not self.deployments.converses(name):
            return Refused(404, _NO_DEPLOYMENT)
        settings = secret.settings if secret else {}
        return Accepted(dialect, "realtime", name, dialect.model_of(name), fatal, settings)

    def check_rest(
        self, method: str, target: str, headers: Iterable[tuple[str, str]], now: float
    ) -> SecretRequest | Refused:
        """Refuse a request that is no handshake, unless it is one for a client secret, with a key."""
        try:
            path, query = _split(target)
        except ValueError:
            return Refused(400, _BAD_REQUEST)
        dialect = next((one for one in self.dialects if path in one.secret_paths), None)
        if dialect is None:
            return Refused(404, _NOT_FOUND)
        if method != "POST":
            return Refused(
                405, {"error": {"code": "405", "message": "Method not allowed"}}, {"Allow": "POST"}
            )
        named = dict(headers)
        if dialect.denies(query):
            return Refused(401, _UNAUTHORIZED)
        if not self._is_known(query, named, now):
            return self._unauthorized(query, named)
        return SecretRequest(dialect, path) if dialect.serves(query) else Refused(404, _NOT_FOUND)

    def _secret(self, query: Mapping[str, str], headers: Mapping[str, str], now: float) -> Secret | None:
        keys, bearers = self._credentials(query, headers)
        found = next((self.secrets[one] for one in (*bearers, *keys) if one in self.secrets), None)
        return found if found is not None and now < found.expires_at else None

    @staticmethod
    def _credentials(
        query: Mapping[str, str], headers: Mapping[str, str]
    ) -> tuple[tuple[str | None, ...], tuple[str | None, ...]]:
        lowered = {name.lower(): value for name, value in query.items()}
        keys = (headers.get("api-key"), lowered.get("api-key"))
        return keys, (_bearer(headers.get("authorization")), _bearer(lowered.get("authorization")))

    def _unauthorized(self, query: Mapping[str, str], headers: Mapping[str, str]) -> Refused:
        has_expired = self._is_known(query, headers, -math.inf)
        return Refused(401, TOKEN_EXPIRED if has_expired else _UNAUTHORIZED)

    def _is_known(self, query: Mapping[str, str], headers: Mapping[str, str], now: float) -> bool:
        keys, bearers = self._credentials(query, headers)
        if any(_same(given, self.api_key) for given in (*keys, *bearers)):
            return True
        # A minted ek_ secret may come in the api-key header too, as some clients send it.
        return any(
            _same(given, token) and now < end
            for token, end in self.tokens.items()
            for given in (*keys, *bearers)
        )


def _split(target: str) -> tuple[str, dict[str, str]]:
    """Path and query of a request's target; ``ValueError`` if it is no URL."""
    parts = urlsplit(target)
    return parts.path.rstrip("/"), dict(parse_qsl(parts.query, keep_blank_values=True))


def _bearer(value: str | None) -> str | None:
    scheme, _, token = (value or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _same(given: str | None, expected: str) -> bool:
    # Bytes that are no text arrive as surrogates.
    return given is not None and hmac.compare_digest(
        given.encode(errors="surrogateescape"), expected.encode()
    )


def redacted_target(target: str) -> str:
    """The request target with every credential in its query replaced by ``***``."""
    try:
        parts = urlsplit(target)
    except ValueError:
        return target.partition("?")[0]
    pairs = [
        (name, "***" if name.lower() in _SECRET_PARAMETERS else value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    ]
    return f"{parts.path}?{urlencode(pairs, safe='*')}" if pairs else parts.path
