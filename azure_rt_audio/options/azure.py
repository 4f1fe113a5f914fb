"""What the user configures; checked when it is made, immutable afterwards, silent about secrets."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, cast

import attrs
from attrs import Factory, field, frozen

from ..errors import AUTHENTICATION_ERROR, ConnectError
from ..protocol.codec import build
from ..protocol.dialects import Dialect, DialectName, choose_dialect
from ..protocol.endpoint import Endpoint, parse_endpoint
from ..protocol.session import SessionConfig
from ..protocol.session_defaults import with_defaults, with_transcription
from .proxy_url import parse_proxy

__all__ = ["AzureRealTimeOptions", "Credential", "TokenCredential", "WebSocketOptions"]

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
    return build(SessionConfig, value, "session_config")


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
            ``https://`` or ``wss://``, with or without ``/openai/v1``, ``"localhost:8080"``. What the
            query of a URL says of deployment and version need not be said again, and must not differ.
        deployment: Name of the model's deployment.
        api_key: Sent in a header, never in a URL; over plain ``ws://`` only to this machine.
        credential: In place of a key: a credential of ``azure-identity``, or a function that
            returns a token. Asked once for each connection, on the reader thread.
        api_version: ``"v1"``, the default, for GA, or a date such as ``"2025-04-01-preview"`` for the
            preview protocol, which Azure retired on 2026-04-30.
        dialect: ``"ga"`` or ``"preview"``, to override what the version says.
        session_config: A :class:`SessionConfig` or a mapping, flat or in GA's nested form. What it does not
            mention has the library's defaults, field by field: voice alloy, PCM16, server VAD (threshold
            0.4, silence 600 ms), no transcription of the user.
        session_defaults: ``False`` sends ``session_config`` as it is and leaves the rest to the service.
        credential_scope: What to ask the credential for.

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
    api_key: str | None = field(default=None, repr=lambda key: "None" if key is None else "'***'")
    credential: Credential | None = field(default=None, repr=lambda c: "None" if c is None else "<set>")
    api_version: str = field(
        converter=_version, default=Factory(lambda self: self.endpoint.api_version or "v1", takes_self=True)
    )
    dialect: DialectName | None = None
    session_config: SessionConfig = field(default=None, converter=_session_config, repr=False)
    session_defaults: bool = True
    credential_scope: str = DEFAULT_SCOPE
    resolved_dialect: Dialect = field(
        init=False,
        repr=False,
        default=Factory(lambda self: choose_dialect(self.api_version, self.dialect), takes_self=True),
    )

    @api_key.validator
    def _check_api_key(self, attribute: attrs.Attribute[Any], value: object) -> None:
        _one_line(self, attribute, value)

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
            callable(self.credential) or hasattr(self.credential, "get_token")
        ):
            raise TypeError("credential must have get_token(scope) or be a function that returns a token")
        if self.endpoint.scheme == "ws" and not self.endpoint.is_loopback:
            raise ValueError(
                f"host_name {self.endpoint.authority} would send the key over an unencrypted connection; "
                "use wss:// (plain ws:// is for this machine only)"
            )

    @classmethod
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
        or has ``None`` for ``input_audio_transcription``.

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
        if host and not found["AZURE_OPENAI_DEPLOYMENT"]:
            found["AZURE_OPENAI_DEPLOYMENT"] = parse_endpoint(host).deployment
        missing = [
            variable
            for variable, value in found.items()
            if not value and not (credential is not None and variable == "AZURE_OPENAI_API_KEY")
        ]
        if missing:
            raise ValueError(f"set {', '.join(missing)} in the environment, or pass the value as an argument")
        config = _session_config(session_config)
        transcribes = os.environ.get("AZURE_OPENAI_TRANSCRIPTION_DEPLOYMENT")
        return cls(
            host_name=host,
            deployment=found["AZURE_OPENAI_DEPLOYMENT"] or "",
            api_key=found["AZURE_OPENAI_API_KEY"],
            credential=credential,
            dialect=dialect,
            session_config=with_transcription(config, transcribes) if transcribes else config,
            session_defaults=session_defaults,
            credential_scope=credential_scope,
            **({} if api_version is None else {"api_version": api_version}),
        )

    @property
    def url(self) -> str:
        """Where it connects to; holds no credential."""
        return self.endpoint.url(self.resolved_dialect, self.deployment)

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


def _seconds(low: float, *, or_none: bool = False) -> Any:
    """Return a validator of a number of seconds, from *low* to a week."""
    otherwise = " or None" if or_none else ""

    def check(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value is None and or_none:
            return
        name = attribute.name
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError(f"{name} must be a number of seconds{otherwise}, not {type(value).__name__}")
        # Beyond a week there is no use in a limit, and far beyond it the system's clock has none.
        if not low <= value <= 604800:  # not a number is neither
            raise ValueError(f"{name} must be from {low:g} to 604800 seconds{otherwise}, not {value!r}")

    return check


def _bytes(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{attribute.name} must be a whole number of bytes, not {type(value).__name__}")
    if value < 1024:
        raise ValueError(f"{attribute.name} must be at least 1024 bytes, not {value!r}")


_HANDSHAKE_HEADERS = ("host", "connection", "upgrade", "content-length", "transfer-encoding")


def _headers(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Refuse what could not stand in a header, without repeating it: the values may be secrets."""
    if not isinstance(value, Mapping):
        raise TypeError(f"headers must be a mapping of names to values, not {type(value).__name__}")
    for name, content in value.items():
        if not isinstance(name, str) or not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
            raise ValueError("headers has a name that no header can have: use letters, digits and hyphens")
        if name.lower() in _HANDSHAKE_HEADERS or name.lower().startswith("sec-websocket-"):
            raise ValueError(f"headers[{name!r}] is a part of the handshake itself; leave it out")
        if not isinstance(content, str) or not re.fullmatch(r"[\t\x20-\x7e]*", content):
            raise ValueError(
                f"headers[{name!r}] holds line breaks, characters outside ASCII, or is no text at all"
            )


def _trust(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is None or value == "truststore":
        return
    if not isinstance(value, ssl.SSLContext):
        raise TypeError(
            'ssl_context must be an ssl.SSLContext, "truststore" or None, '
            f"not {'another text' if isinstance(value, str) else type(value).__name__}"
        )
    if value.protocol == ssl.PROTOCOL_TLS_SERVER:
        raise ValueError("ssl_context is one for servers; make it with ssl.create_default_context()")


def _proxy_url(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Refuse what is not the URL of a proxy, without repeating it: it may hold a password."""
    if value is None:
        return
    if not isinstance(value, str):
        raise TypeError(f"http_proxy must be a URL as text, or None, not {type(value).__name__}")
    try:
        parse_proxy(value)
    except ValueError as exc:
        reason = str(exc)
    else:
        return
    raise ValueError(f"http_proxy {reason}")  # out here, so that it has no context


def _sockopt(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    remedy = (
        "sockopt must be triples (level, option, value), such as (socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)"
    )
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
        raise TypeError(f"{remedy}, not {type(value).__name__}")
    for option in value:
        if not isinstance(option, Sequence) or isinstance(option, (str, bytes)) or len(option) != 3:
            raise ValueError(f"{remedy}, not {option!r}")
        level, number, setting = option
        if not (isinstance(level, int) and isinstance(number, int) and isinstance(setting, (int, bytes))):
            raise TypeError(f"{remedy}: level and option as int, value as int or bytes, not {option!r}")


@frozen(kw_only=True)
class WebSocketOptions:
    """
    How the connection is made and watched. Each is checked when it is given; times are in seconds.

    Attributes:
        connect_timeout: For the whole of the opening, name look-up, TCP, proxy, TLS and HTTP; also how
            long a method that is called early waits for the session. From 0.001; 10 by default.
        close_timeout: What ``close()`` gives the service to say goodbye, if it is not told otherwise.
            With 0 the connection just ends. 5 by default.
        ping_interval: After how long a silence we ask whether the service is still there. It also keeps
            proxies from cutting a quiet connection, many of which do so after 60 s. ``None`` never asks.
            From 0.01; 20 by default.
        ping_timeout: How much longer the silence may last before the connection counts as lost; on Linux, if
            nobody asks, how long what we send may stay unacknowledged. From 0.01; 20 by default.
        send_timeout: How long a method waits for room when the send backlog is full; then it
            raises :class:`TimeoutError`, and nothing was sent. With 0 it never waits. 10 by default.
        max_message_bytes: The largest event that is accepted, in bytes of JSON; a larger one ends the
            connection with code 1009. From 1024; 16 MiB by default: the service names no limit, and its
            largest events are items with all of their sound, which have room there for 4 minutes.
        max_send_backlog_bytes: How much may wait to be sent before methods wait, in bytes of JSON.
            From 1024; 32 MiB by default, two of the largest pieces of audio that the service takes
            (15 MiB in one ``append_audio``).
        headers: Additional headers of the handshake, such as one for a gateway. Never shown. None by
            default.
        ssl_context: Whom to trust, and who we are; see below. ``None``, the default, trusts what OpenSSL
            finds on the system, and what ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` name.
        http_proxy: ``"http://user:password@host:port"``, or ``socks5h://`` with the extra ``socks``
            (also ``socks5://``, ``socks4a://`` and ``socks4://``: without the letter at the end the name is
            looked up here and not at the proxy). Special characters in user and password are
            percent-encoded. The port is 80 by default, 1080 for SOCKS. Never shown. ``None``, the
            default, follows the variables ``HTTPS_PROXY``, or else ``ALL_PROXY``, and ``NO_PROXY``, which
            lists hosts, domains, networks (``10.0.0.0/8``) or ``*``, each with a port or without.
        sockopt: ``(level, option, value)`` triples of ints, the value may be bytes; set before the
            connection is made, on top of ``TCP_NODELAY`` and keep-alive. None by default.

    Raises:
        TypeError: If a value is of the wrong type; names the field.
        ValueError: If it cannot be right; names the field, and repeats no secret.

    A certificate authority of one's own, and a client certificate::

        context = ssl.create_default_context(cafile="company-ca.pem")
        context.load_cert_chain("client.pem", "client.key")
        WebSocketOptions(ssl_context=context)

    With the extra ``truststore``, ``WebSocketOptions(ssl_context="truststore")`` has the system
    itself check certificates, on macOS and Windows too, where a company's authority is not known to OpenSSL.
    A ``truststore.SSLContext`` of one's own is taken as well. Make a context once and share it: it takes
    a megabyte, and 20 ms to make.
    """

    connect_timeout: float = field(default=10.0, validator=_seconds(0.001))
    close_timeout: float = field(default=5.0, validator=_seconds(0.0))
    ping_interval: float | None = field(default=20.0, validator=_seconds(0.01, or_none=True))
    ping_timeout: float = field(default=20.0, validator=_seconds(0.01))
    send_timeout: float = field(default=10.0, validator=_seconds(0.0))
    max_message_bytes: int = field(default=16 * 2**20, validator=_bytes)
    max_send_backlog_bytes: int = field(default=32 * 2**20, validator=_bytes)
    headers: Mapping[str, str] = field(factory=dict, repr=False, validator=_headers)
    ssl_context: ssl.SSLContext | Literal["truststore"] | None = field(default=None, validator=_trust)
    http_proxy: str | None = field(default=None, repr=False, validator=_proxy_url)
    sockopt: Sequence[tuple[int, int, int | bytes]] = field(default=(), validator=_sockopt)
