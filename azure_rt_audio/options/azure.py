"""What the user configures; checked when it is made, immutable afterwards, silent about secrets."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar, cast

import attrs
from attrs import Factory, field, frozen

from ..errors import AUTHENTICATION_ERROR, ConnectError
from ..protocol.codec import build
from ..protocol.dialects import Dialect, DialectName, choose_dialect
from ..protocol.endpoint import Endpoint, parse_endpoint
from ..protocol.session import SessionConfig, default_session_config

__all__ = ["AzureRealTimeOptions", "Credential", "TokenCredential", "make_options"]

T = TypeVar("T", bound=attrs.AttrsInstance)

DEFAULT_SCOPE = "https://cognitiveservices.azure.com/.default"


class AccessToken(Protocol):
    """What a :class:`TokenCredential` gives."""

    @property
    def token(self) -> str:
        """The token itself."""
        ...


class TokenCredential(Protocol):
    """Anything that behaves like the credentials of ``azure-identity``."""

    def get_token(self, *scopes: str) -> AccessToken:
        """Return a valid token; may block."""
        ...


Credential = TokenCredential | Callable[[], str]


def _session_config(value: SessionConfig | Mapping[str, Any] | None) -> SessionConfig:
    return default_session_config() if value is None else build(SessionConfig, value, "session_config")


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


def _one_line(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Refuse what could not stand in a header, without repeating it."""
    if value is None:
        return
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{attribute.name} is empty; give it as text")
    if not re.fullmatch(r"[\x21-\x7e]+", value):
        raise ValueError(
            f"{attribute.name} holds spaces, line breaks or characters outside ASCII; copy it again"
        )


def _a_name(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{attribute.name} is empty; give the name of your deployment in Azure")


@frozen(kw_only=True)
class AzureRealTimeOptions:
    """
    Which service to talk to, as whom, and how the session shall be.

    Attributes:
        host_name: The endpoint in any spelling: ``"my-resource.openai.azure.com"``, with
            ``https://`` or ``wss://``, with or without ``/openai/v1``, ``"localhost:8080"``.
        deployment: Name of the model's deployment.
        api_key: Sent in a header, never in a URL; over plain ``ws://`` only to this machine.
        credential: In place of a key: a credential of ``azure-identity``, or a function that
            returns a token. Asked once for each connection, on the reader thread.
        api_version: ``"v1"`` for GA, or a date such as ``"2025-04-01-preview"`` for the
            preview protocol, which Azure retired on 2026-04-30.
        dialect: ``"ga"`` or ``"preview"``, to override what the version says.
        session_config: A :class:`SessionConfig` or a mapping; ``None`` for the defaults: voice alloy,
            PCM16, transcription by whisper-1, server VAD (threshold 0.4, silence 600 ms).
        credential_scope: What to ask the credential for.

    Raises:
        ValueError: If something is missing or cannot be right; names the field.
    """

    host_name: str = field(validator=_text)
    deployment: str = field(validator=_a_name)
    api_key: str | None = field(default=None, repr=lambda key: "None" if key is None else "'***'")
    credential: Credential | None = field(default=None, repr=lambda c: "None" if c is None else "<set>")
    api_version: str = field(default="v1", converter=_version)
    dialect: DialectName | None = None
    session_config: SessionConfig = field(default=None, converter=_session_config, repr=False)
    credential_scope: str = DEFAULT_SCOPE
    endpoint: Endpoint = field(
        init=False, repr=False, default=Factory(lambda self: parse_endpoint(self.host_name), takes_self=True)
    )
    wire: Dialect = field(
        init=False,
        repr=False,
        default=Factory(lambda self: choose_dialect(self.api_version, self.dialect), takes_self=True),
    )

    @api_key.validator
    def _check_api_key(self, attribute: attrs.Attribute[Any], value: object) -> None:
        _one_line(self, attribute, value)

    def __attrs_post_init__(self) -> None:
        if self.api_key is None and self.credential is None:
            raise ValueError("api_key is missing; give it, or a credential in its place")
        if self.api_key is not None and self.credential is not None:
            raise ValueError("api_key and credential exclude each other; give one of them")
        if self.credential is not None and not (
            callable(self.credential) or hasattr(self.credential, "get_token")
        ):
            raise TypeError("credential must have get_token(scope) or be a function that returns a token")
        if self.endpoint.scheme == "ws" and not self.endpoint.is_loopback:
            raise ValueError(
                f"host_name {self.endpoint.authority} would send the key over an unencrypted connection; "
                "use wss:// (plain ws:// is for this machine only)"
            )

    @classmethod
    def from_env(cls, **options: Any) -> AzureRealTimeOptions:
        """
        Take endpoint, key and deployment from the environment.

        ``AZURE_OPENAI_ENDPOINT``, ``AZURE_OPENAI_API_KEY`` and ``AZURE_OPENAI_DEPLOYMENT`` are read;
        what is given as an argument wins, and a ``credential`` replaces the key.

        Raises:
            ValueError: Names the variables that are missing.
        """
        variables = {
            "host_name": "AZURE_OPENAI_ENDPOINT",
            "api_key": "AZURE_OPENAI_API_KEY",
            "deployment": "AZURE_OPENAI_DEPLOYMENT",
        }
        if options.get("credential") is not None:
            del variables["api_key"]
        found = {
            name: os.environ[variable] for name, variable in variables.items() if os.environ.get(variable)
        }
        missing = [v for name, v in variables.items() if name not in found and name not in options]
        if missing:
            raise ValueError(f"set {', '.join(missing)} in the environment, or pass the value as an argument")
        return cls(**{**found, **options})

    @property
    def url(self) -> str:
        """Where it connects to; holds no credential."""
        return self.endpoint.url(self.wire, self.deployment)

    def authorization(self) -> dict[str, str]:
        """
        Return the header that proves who we are. May block: a credential may ask the network.

        Raises:
            ConnectError: If the credential gave no usable token. What it raises itself goes through.
        """
        if self.api_key is not None:
            return {"api-key": self.api_key}
        credential = self.credential
        if hasattr(credential, "get_token"):
            token = cast(TokenCredential, credential).get_token(self.credential_scope).token
        else:
            token = cast("Callable[[], str]", credential)()
        if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
            raise ConnectError(
                "The credential returned something that is not a token: it must be the bare token as text, "
                'on one line, without "Bearer" before it.',
                type=AUTHENTICATION_ERROR,
            )
        return {"Authorization": f"Bearer {token}"}


def make_options(cls: type[T], value: T | Mapping[str, Any] | None) -> T:
    """
    Make options from a mapping with the names in snake_case or camelCase.

    Raises:
        ValueError: If a name is unknown, or a value is wrong.
        TypeError: If *value* is neither options nor a mapping.
    """
    if isinstance(value, cls):
        return value
    if value is not None and not isinstance(value, Mapping):
        raise TypeError(f"expected {cls.__name__} or a mapping, not {type(value).__name__}")
    known = [a.name for a in attrs.fields(cls) if a.init]
    chosen: dict[str, Any] = {}
    for name, given in (value or {}).items():
        snake = re.sub(r"(?<=[a-z0-9])([A-Z])", lambda m: "_" + m[1].lower(), name)
        if snake not in known:
            import difflib  # here, because hardly anybody gets here

            close = difflib.get_close_matches(snake, known, n=1)
            remedy = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"
            raise ValueError(f"{name!r} is not an option of {cls.__name__}; {remedy}")
        chosen[snake] = given
    missing = [
        a.name for a in attrs.fields(cls) if a.init and a.default is attrs.NOTHING and a.name not in chosen
    ]
    if missing:
        raise ValueError(f"{cls.__name__} needs {', '.join(missing)}")
    return cls(**chosen)
