"""When and how a lost connection is replaced; checked when it is made, immutable afterwards."""

from __future__ import annotations

from typing import Any, Literal

import attrs
from attrs import field, frozen

from ..protocol.codec import check_expressible
from .mapping import with_known_names
from .validators import choice, count, flag, seconds

__all__ = ["ReconnectPolicy"]


def _note(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is None:
        return
    if not isinstance(value, str):
        raise TypeError(f"note must be text or None, not {type(value).__name__}")
    if not value.strip():
        raise ValueError("note is empty; give a sentence for the model, or None for no note")
    check_expressible(value, "note")


@with_known_names
@frozen(kw_only=True)
class ReconnectPolicy:
    """
    What a client does when its connection is lost, or about to end; times are in seconds.

    Attributes:
        max_attempts: Attempts in a row before it gives up; ``None``, the default, has no limit but
            ``max_seconds``. The count begins anew after a completed response or 60 s of a working connection.
        max_seconds: Time since a loss after which it gives up. ``None`` has no limit. From 0.01; 600 by
            default.
        initial_delay: Upper limit of the first delay; each further one is twice as long. A delay is
            drawn at random between 0 and its limit (full jitter), so that many clients do not come back at
            once. From 0.01; 0.5 by default.
        max_delay: No limit of a delay is longer than this; not shorter than ``initial_delay``. A delay that
            the service asks for (``retry-after``) is kept in any case. 30 by default.
        retry_first: Whether a first connection that cannot be made is tried again as well. By default it
            is an error at once, because it is usually a mistake of configuration. ``with client:`` and
            ``wait_until_ready()`` wait as long as it is tried; all else waits ``connect_timeout`` at most.
        keep_audio_s: The newest sound that is kept while nobody is known to speak, in seconds, and sent when
            there is a connection again. More than that is lost, and ``Reconnected`` says how much. A turn
            that is under way, or without turn detection all that is not committed, is kept up to the longer
            of this and ``keep_turns_s``. From 0 to 600; 10 by default.
        keep_turns_s: The newest turns of the user, in seconds, whose sound is kept to be restored where they
            have no transcript; 120 s of PCM16 take under 6 MB. The last turn is kept in any case, as far as
            it was while it was under way. Older turns, the newest 16, are asked of the old session before it
            is replaced; after a loss they are lost. From 0 to 3600; 120 by default.
        swap_before_s: How long before the end of the session's age another connection is made and takes over
            at a quiet moment. ``None`` waits for the end. 120 by default.
        max_age_s: Age of a session at which it is replaced at the latest, where the service says none, or
            earlier than it says. ``None``, the default, relies on the service. Longer than ``swap_before_s``.
        restore: What a new session is given. ``"text"``, the default: texts, images, calls, transcripts, and
            the sound of what the user said only where it has no transcript. ``"audio"``: the sound of what
            the user said wherever it is kept. ``"none"``: nothing; the conversation begins anew.
        reask: Whether a response that was cut off is asked for again. ``"unheard"``, the default: if the
            program has had nothing of it, neither sound nor an event nor a step of an iteration.
            ``"unstarted"``: only if it had not begun. ``"never"``: not even then. What is not asked for again
            raises :class:`~azure_rt_audio.ResponseLostError`.
        note: A sentence for the model, added as a system message after what was restored, such as
            ``"The connection was interrupted; go on."`` ``None``, the default, adds nothing.
        voice_change: What ``update_session(voice=...)`` does once the model has spoken, when the service
            does not change it any more. ``"refuse"``, the default, lets the service refuse it; ``"swap"``
            changes to a new session.
        max_items: The newest items that are restored; a call and its output are never separated, and system
            messages are kept in any case. From 1; 500 by default.
        max_characters: Characters of text that are restored, in all; what is older is left out. 100 000 by
            default, about what the context of a model holds. From 1.

    Raises:
        TypeError: If a value is of the wrong type; names the field.
        ValueError: If it cannot be right, alone or with another one; names the field.
    """

    max_attempts: int | None = field(default=None, validator=count(1, "attempts", or_none=True))
    max_seconds: float | None = field(default=600.0, validator=seconds(0.01, or_none=True))
    initial_delay: float = field(default=0.5, validator=seconds(0.01))
    max_delay: float = field(default=30.0, validator=seconds(0.01))
    retry_first: bool = field(default=False, validator=flag)
    keep_audio_s: float = field(default=10.0, validator=seconds(0.0, 600))
    keep_turns_s: float = field(default=120.0, validator=seconds(0.0, 3600))
    swap_before_s: float | None = field(default=120.0, validator=seconds(0.01, or_none=True))
    max_age_s: float | None = field(default=None, validator=seconds(0.01, or_none=True))
    restore: Literal["text", "audio", "none"] = field(
        default="text", validator=choice("text", "audio", "none")
    )
    reask: Literal["unheard", "unstarted", "never"] = field(
        default="unheard", validator=choice("unheard", "unstarted", "never")
    )
    note: str | None = field(default=None, validator=_note)
    voice_change: Literal["refuse", "swap"] = field(default="refuse", validator=choice("refuse", "swap"))
    max_items: int = field(default=500, validator=count(1, "items"))
    max_characters: int = field(default=100_000, validator=count(1, "characters"))

    def __attrs_post_init__(self) -> None:
        if self.max_delay < self.initial_delay:
            raise ValueError(
                f"max_delay ({self.max_delay:g}) must not be shorter than initial_delay "
                f"({self.initial_delay:g}); it is the limit of all delays"
            )
        if (
            self.max_age_s is not None
            and self.swap_before_s is not None
            and self.max_age_s <= self.swap_before_s
        ):
            raise ValueError(
                f"max_age_s ({self.max_age_s:g}) must be longer than swap_before_s "
                f"({self.swap_before_s:g}), or a session would be replaced as soon as it begins"
            )
        if self.restore == "none" and self.note is not None:
            raise ValueError('note has no place with restore="none"; use "text", or leave note out')
