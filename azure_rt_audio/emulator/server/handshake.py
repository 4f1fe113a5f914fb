"""
The door: which requests become connections, and the HTTP answers of those that do not.

Pure: a target and headers in, a verdict out. Order of judgement: path, credential, then the
query, as a gateway in front of the models would have it.

Two choices where sources differ. ``deployment`` (or ``model``) together with ``intent`` is
refused with 400 in both dialects. A GA request with ``OpenAI-Beta: realtime=v1`` is let in, told
``beta_api_shape_disabled`` and closed with 4000.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from ..dialects.schema import RefusalError

__all__ = ["Accepted", "Authenticator", "Refused", "redacted_target"]

_GA_PATH: Final = "/openai/v1/realtime"
_PREVIEW_PATH: Final = "/openai/realtime"
_API_VERSION: Final = re.compile(r"\d{4}-\d{2}-\d{2}(-preview)?")
_SECRET_PARAMETERS: Final = frozenset({"api-key", "authorization"})
_PREVIEW_MODEL: Final = "gpt-4o-realtime-preview-2025-06-03"
_GA_MODELS: Final = {
    "gpt-realtime": "gpt-realtime-2025-08-28",
    "gpt-realtime-mini": "gpt-realtime-mini-2025-12-15",
}

_UNAUTHORIZED: Final = {
    "error": {
        "code": "401",
        "message": (
            "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a "
            "valid key for an active subscription and use a correct regional API endpoint for your resource."
        ),
    }
}
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
    Come in.

    Attributes:
        dialect: ``"ga"`` or ``"preview"``.
        kind: ``"realtime"`` or ``"transcription"``.
        deployment: As the client named it; ``""`` for a transcription session.
        model: What ``session.model`` will show.
        fatal: Said in an ``error`` event before the connection is closed with 4000.
    """

    dialect: str
    kind: str
    deployment: str
    model: str
    fatal: RefusalError | None = None


@dataclass(frozen=True)
class Refused:
    """An HTTP answer instead of a connection; *body* is sent as JSON."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Authenticator:
    """
    Who may come in.

    Attributes:
        api_key: Accepted as ``api-key`` header or parameter and as a bearer token.
        tokens: Further bearer tokens, such as an Entra ID token or an ``ek_`` secret.
        deployments: Their names.
        dialects: Those that this service still speaks.
    """

    api_key: str
    tokens: frozenset[str]
    deployments: tuple[str, ...]
    dialects: tuple[str, ...] = ("ga", "preview")

    def judge(self, target: str, headers: Iterable[tuple[str, str]]) -> Accepted | Refused:
        """Decide on one request by its target (path and query) and its headers."""
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        named = {name.lower(): value for name, value in headers}
        path = parts.path.rstrip("/")
        if path == _GA_PATH and "ga" in self.dialects:
            return self._judge_ga(query, named)
        if path == _PREVIEW_PATH and "preview" in self.dialects:
            return self._judge_preview(query, named)
        return Refused(404, _NOT_FOUND)

    def _judge_ga(self, query: Mapping[str, str], headers: Mapping[str, str]) -> Accepted | Refused:
        # The documented symptom of a dated api-version on the GA path is a 401, whatever the key.
        if "api-version" in query or not self._is_known(query, headers):
            return Refused(401, _UNAUTHORIZED)
        if "call_id" in query:
            return Refused(404, _NOT_FOUND)
        fatal = None
        if "realtime=v1" in headers.get("openai-beta", ""):
            fatal = RefusalError(
                "beta_api_shape_disabled",
                "The Realtime Beta API is no longer supported. Please use /v1/realtime for the GA API.",
            )
        name = query.get("model") or query.get("deployment")
        verdict = self._choose(name, query.get("intent"), "ga")
        if isinstance(verdict, Accepted) and fatal is not None:
            return Accepted(verdict.dialect, verdict.kind, verdict.deployment, verdict.model, fatal)
        return verdict

    def _judge_preview(self, query: Mapping[str, str], headers: Mapping[str, str]) -> Accepted | Refused:
        if not self._is_known(query, headers):
            return Refused(401, _UNAUTHORIZED)
        if not _API_VERSION.fullmatch(query.get("api-version", "")):
            return Refused(404, _NOT_FOUND)
        return self._choose(query.get("deployment"), query.get("intent"), "preview")

    def _choose(self, name: str | None, intent: str | None, dialect: str) -> Accepted | Refused:
        wants_transcription = intent == "transcription"
        if bool(name) == wants_transcription:
            parameter = "model" if dialect == "ga" else "deployment"
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
        if wants_transcription:
            return Accepted(dialect, "transcription", "", "")
        if name not in self.deployments:
            return Refused(404, _NO_DEPLOYMENT)
        model = _PREVIEW_MODEL if dialect == "preview" else _GA_MODELS.get(name, _GA_MODELS["gpt-realtime"])
        return Accepted(dialect, "realtime", name, model)

    def _is_known(self, query: Mapping[str, str], headers: Mapping[str, str]) -> bool:
        lowered = {name.lower(): value for name, value in query.items()}
        keys = (headers.get("api-key"), lowered.get("api-key"))
        bearers = (_bearer(headers.get("authorization")), _bearer(lowered.get("authorization")))
        if any(_same(given, self.api_key) for given in (*keys, *bearers)):
            return True
        # A minted ek_ secret may come in the api-key header too, as some clients send it.
        return any(_same(given, token) for token in self.tokens for given in (*keys, *bearers))


def _bearer(value: str | None) -> str | None:
    scheme, _, token = (value or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _same(given: str | None, expected: str) -> bool:
    return given is not None and hmac.compare_digest(given.encode(), expected.encode())


def redacted_target(target: str) -> str:
    """The request target with every credential in its query replaced by ``***``."""
    parts = urlsplit(target)
    pairs = [
        (name, "***" if name.lower() in _SECRET_PARAMETERS else value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    ]
    return f"{parts.path}?{urlencode(pairs, safe='*')}" if pairs else parts.path
