"""What the user configures; checked when it is made, immutable afterwards, silent about secrets."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, cast

import attrs
from attrs import Factory, field, frozen

from .._repr import also_half_made
from .._secret import Secret, forgets_locals, made_without_traces
from ..errors import AUTHENTICATION_ERROR, ConnectError
from ..protocol.codec import build, check_expressible
from ..protocol.dialects import Dialect, DialectName, choose_dialect
from ..protocol.endpoint import Endpoint, parse_endpoint
from ..protocol.session import SessionConfig
from ..protocol.session_defaults import with_defaults, with_transcription
from .mapping import with_known_names
from .validators import seconds

__all__ = ["AzureRealTimeOptions", "Credential", "TokenCredential"]

DEFAULT_SCOPE = "https://cognitiveservices.azure.com/.default"


class AccessToken(Protocol):
    """What a :class:`TokenCredential` gives."""

    @property
    def token(self) -> str:
        """The token itself."""


class TokenCredential(Protocol):
    """Anything that behaves like the credentials of ``azure-identity``."""

    def get_token(self, *scopes: str) -> AccessToken:
        """Return a valid token; may block."""


Credential = TokenCredential | Callable[[], str]


def _session_config(value: SessionConfig | Mapping[str, Any] | None) -> SessionConfig:
    config = build(SessionConfig, value, "session_config")
    check_expressible(config, "session_config")  # every new connection would fail at it
    return config


def _version(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(
            'api_version must be "v1" (GA) or a date such as "2025-04-01-preview", '
            f"not {type(value).__name__}"
        )
    return value


def _text(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, str):
        raise ValueError(f"{attribute.name} must be text, not {type(value).__name__}")


def _key(value: str | Secret[str] | None) -> Secret[str] | None:
    return value if value is None or isinstance(value, Secret) else Secret(value)


def _credential(value: Credential | Secret[Credential] | None) -> Secret[Credential] | None:
    return value if value is None or isinstance(value, Secret) else Secret(value)


def _one_line(instance: object, attribute: attrs.Attribute[Any], secret: Secret[str] | None) -> None:
    """Refuse a value that is invalid in a header, without repeating it."""
    if secret is None:
        return
    value: object = secret.reveal()
    if not isinstance(value, str):
        raise ValueError(f"{attribute.name} must be text, not {type(value).__name__}")
    if not value.strip():
        raise ValueError(f"{attribute.name} is empty; give it as text")
    if not re.fullmatch(r"[\x21-\x7e]+", value):
        raise ValueError(
            f"{attribute.name} holds spaces, line breaks or characters outside ASCII; copy it again"
        )


@contextmanager
def _naming(variables: Mapping[str, str]) -> Iterator[None]:
    """Have errors name the variables of the environment from which fields were taken, in their place."""
    try:
        yield
    except ValueError as exc:
        told = str(exc)
        for name, variable in variables.items():
            told = re.sub(rf"^{name}\b", variable, told)
        if "host_name" in variables:
            told = told.replace("the URL in host_name", f"the URL in {variables['host_name']}")
        raise ValueError(told) from None


def _a_name(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    name = attribute.name
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name} must be text, not {type(value).__name__}")
    if value is None or not value.strip():
        raise ValueError(f"{name} is empty; give the name of your deployment in Azure")
    if value != value.strip() or not value.isprintable():
        raise ValueError(
            f"{name} is {value!r}: it has blanks at an end, or characters that no name has; copy it again"
        )


@made_without_traces
@with_known_names
@frozen(kw_only=True)
class AzureRealTimeOptions:
    """
    Endpoint, credential and session configuration.

    ::

        AzureRealTimeOptions(
            host_name="my-resource.openai.azure.com", deployment="gpt-realtime", api_key="..."
        )

    Attributes:
        host_name: The endpoint in any spelling: ``"my-resource.openai.azure.com"``, with
            ``https://`` or ``wss://``, with or without ``/openai/v1``, ``"localhost:8080"``. Deployment
            and version in the query of a URL need not be repeated, and must not differ.
        deployment: Name of the model's deployment.
        api_key: Sent in a header, never in a URL; over plain ``ws://`` only to this machine. Kept as a
            :class:`~azure_rt_audio.Secret`: ``options.api_key.reveal()``.
        credential: In place of a key: a credential of ``azure-identity``, or a function that
            returns a token. Asked once for each connection, on the dial thread. Kept as a secret, too.
        api_version: ``"v1"``, the default, for GA, or a date such as ``"2025-04-01-preview"`` for the
            preview protocol, which Azure retired on 2026-04-30.
        dialect: ``"ga"`` or ``"preview"``, to override what the version says.
        session_config: A :class:`SessionConfig` or a mapping, flat or in GA's nested form. What it does not
            mention has the library's defaults, field by field: voice alloy, PCM16, server VAD (threshold
            0.4, silence 600 ms), no transcription of the user.
        session_defaults: ``False`` sends ``session_config`` as it is and leaves the rest to the service.
        credential_scope: Scope of the token that is requested from the credential.
        response_start_timeout: Seconds that a response which was asked for may take to begin, before it is
            given up with :class:`~azure_rt_audio.errors.ResponseLostError`. 20 by default.
        response_silence_timeout: Seconds that a response may pass without an event, before it is cancelled
            and given up; an MCP call stops the clock for up to 600. 60 by default.
        turn_answer_timeout: Seconds between the end of the user's turn and the beginning of the answer that
            voice activity detection gives. Until then requests wait. 5 by default.
        turn_silence_timeout: Seconds without sound sent that end a turn of the user whose end was not
            reported; five times as many with semantic VAD. 2 by default.
        turn_timeout: Seconds that a turn of the user may keep requests waiting in all. 30 by default.

    Raises:
        ValueError: If something is missing or cannot be right; names the field.
    """

    host_name: str = field(validator=_text)
    endpoint: Endpoint = field(
        init=False, repr=False, default=Factory(lambda self: parse_endpoint(self.host_name), takes_self=True)
    )
    deployment: str = field(
        validator=_a_name, default=Factory(lambda self: self.endpoint.deployment, takes_self=True)
    )
    api_key: Secret[str] | None = field(
        default=None,
        converter=_key,
        validator=_one_line,
        repr=lambda key: "None" if key is None else "'***'",
    )
    credential: Secret[Credential] | None = field(
        default=None, converter=_credential, repr=lambda c: "None" if c is None else "<set>", hash=False
    )
    api_version: str = field(
        converter=_version, default=Factory(lambda self: self.endpoint.api_version or "v1", takes_self=True)
    )
    dialect: DialectName | None = None
    session_config: SessionConfig = field(default=None, converter=_session_config, repr=False, hash=False)
    session_defaults: bool = True
    credential_scope: str = DEFAULT_SCOPE
    response_start_timeout: float = field(default=20.0, validator=seconds(0.01))
    response_silence_timeout: float = field(default=60.0, validator=seconds(0.01))
    turn_answer_timeout: float = field(default=5.0, validator=seconds(0.01))
    turn_silence_timeout: float = field(default=2.0, validator=seconds(0.01))
    turn_timeout: float = field(default=30.0, validator=seconds(0.01))
    resolved_dialect: Dialect = field(
        init=False,
        repr=False,
        hash=False,
        default=Factory(lambda self: choose_dialect(self.api_version, self.dialect), takes_self=True),
    )

    def __attrs_post_init__(self) -> None:
        for name in ("deployment", "api_version"):
            said, given = getattr(self.endpoint, name), getattr(self, name)
            if said is not None and said != given:
                raise ValueError(
                    f"{name} is {given!r}, but the URL in host_name says {said!r}; leave one of them out"
                )
        if self.session_defaults:
            object.__setattr__(self, "session_config", with_defaults(self.session_config))
        if self.api_key is None and self.credential is None:
            raise ValueError("api_key is missing; give it, or a credential in its place")
        if self.api_key is not None and self.credential is not None:
            raise ValueError("api_key and credential exclude each other; give one of them")
        if self.credential is not None and not (
            callable(self.credential.reveal()) or hasattr(self.credential.reveal(), "get_token")
        ):
            raise TypeError("credential must have get_token(scope) or be a function that returns a token")
        if self.endpoint.scheme == "ws" and not self.endpoint.is_loopback:
            raise ValueError(
                f"host_name {self.endpoint.authority} would send the key over an unencrypted connection; "
                "use wss:// (plain ws:// is for this machine only)"
            )

    @classmethod
    @forgets_locals
    def from_env(
        cls,
        *,
        host_name: str | None = None,
        deployment: str | None = None,
        api_key: str | None = None,
        credential: Credential | None = None,
        api_version: str | None = None,
        dialect: DialectName | None = None,
        session_config: SessionConfig | Mapping[str, Any] | None = None,
        session_defaults: bool = True,
        credential_scope: str = DEFAULT_SCOPE,
    ) -> AzureRealTimeOptions:
        """
        Take endpoint, key and deployment from the environment.

        ``AZURE_OPENAI_ENDPOINT``, ``AZURE_OPENAI_API_KEY`` and ``AZURE_OPENAI_DEPLOYMENT`` are read; an
        argument wins, and a ``credential`` replaces the key. ``AZURE_OPENAI_TRANSCRIPTION_DEPLOYMENT``, if
        it is set, turns transcription of the user on with that model, unless ``session_config`` names one
        or has ``None`` for ``input_audio_transcription``. For the arguments see
        :class:`AzureRealTimeOptions`.

        Raises:
            ValueError: Names the variables that are missing.
        """
        found = {
            "AZURE_OPENAI_ENDPOINT": host_name or os.environ.get("AZURE_OPENAI_ENDPOINT"),
            "AZURE_OPENAI_API_KEY": api_key or os.environ.get("AZURE_OPENAI_API_KEY"),
            "AZURE_OPENAI_DEPLOYMENT": deployment or os.environ.get("AZURE_OPENAI_DEPLOYMENT"),
        }
        host = found["AZURE_OPENAI_ENDPOINT"] or ""
        if credential is not None:
            found["AZURE_OPENAI_API_KEY"] = api_key  # both are refused
        fields = {"host_name": host_name, "api_key": api_key, "deployment": deployment}
        variables = {name: key for (name, given), key in zip(fields.items(), found, strict=True) if not given}
        if host and not found["AZURE_OPENAI_DEPLOYMENT"]:
            with _naming(variables):
                found["AZURE_OPENAI_DEPLOYMENT"] = parse_endpoint(host).deployment
        missing = [
            variable
            for variable, value in found.items()
            if not value and not (credential is not None and variable == "AZURE_OPENAI_API_KEY")
        ]
        if missing:
            raise ValueError(f"set {', '.join(missing)} in the environment, or pass the value as an argument")
        config = _session_config(session_config)
        version: dict[str, Any] = {} if api_version is None else {"api_version": api_version}
        transcribes = os.environ.get("AZURE_OPENAI_TRANSCRIPTION_DEPLOYMENT")
        with _naming(variables):
            return cls(
                host_name=host,
                deployment=found["AZURE_OPENAI_DEPLOYMENT"] or "",
                api_key=found["AZURE_OPENAI_API_KEY"],
                credential=credential,
                dialect=dialect,
                session_config=with_transcription(config, transcribes) if transcribes else config,
                session_defaults=session_defaults,
                credential_scope=credential_scope,
                **version,
            )

    @property
    def url(self) -> str:
        """Where it connects to; holds no credential."""
        return self.endpoint.url(self.resolved_dialect, self.deployment)

    @forgets_locals
    def authorization(self) -> dict[str, str]:
        """
        Return the header that proves who we are. May block: a credential may ask the network.

        Raises:
            ConnectError: If the credential gave no usable token. What it raises itself goes through.
        """
        if self.api_key is not None:
            return {"api-key": self.api_key.reveal()}
        assert self.credential is not None
        credential = self.credential.reveal()
        if hasattr(credential, "get_token"):
            token = cast(TokenCredential, credential).get_token(self.credential_scope).token
        else:
            token = credential()
        if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
            raise ConnectError(
                "The credential returned something that is not a token: it must be the bare token as text, "
                'on one line, without "Bearer" before it.',
                type=AUTHENTICATION_ERROR,
            )
        return {"Authorization": f"Bearer {token}"}


AzureRealTimeOptions.__repr__ = also_half_made(AzureRealTimeOptions.__repr__)  # type: ignore[method-assign]
