"""What an emulator hears and speaks with on this machine: as much as is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from ..errors import BrokenExtraError, MissingExtraError
from . import recordings

if TYPE_CHECKING:
    from ..emulator import Recogniser
    from ..emulator.model.replies import SynthesiserFunction
    from ..emulator.speech.vad import Detector

__all__ = ["Senses", "open_senses"]

_LONGEST_LISTENING: Final = 60.0


@frozen
class Senses:
    """
    Ears, a detector and a voice for an emulator.

    Attributes:
        voice: ``None`` is the emulator's own, made of tones.
        engine: The program that speaks; ``None`` if none does.
        remedies: What to install for what is missing; a sentence each.
    """

    ears: recordings.Ears
    detector: Callable[[], Detector]
    voice: SynthesiserFunction | None
    engine: str | None
    recogniser: Recogniser | None
    remedies: tuple[str, ...]

    @property
    def described(self) -> str:
        """Say how it hears and how it sounds, after "it"."""
        hears = "is told what the recordings say" if self.recogniser is None else "understands spoken English"
        sounds = "has a voice made of tones" if self.engine is None else f"speaks with {self.engine}"
        return f"{hears}, {sounds}"

    @property
    def listen(self) -> Callable[[bytes], str] | None:
        """Tells what it says in PCM16, 24 000 Hz; blocks. ``None`` if nobody can, or there are no words."""
        ears = self.recogniser
        if ears is None or self.engine is None:
            return None
        return lambda pcm: ears(pcm).result(_LONGEST_LISTENING)


@contextmanager
def open_senses(told: Mapping[bytes, str], *, will_hear: bool = True) -> Iterator[Senses]:
    """
    Yield what there is; what runs for it ends with the block.

    Args:
        told: What is said in which PCM16, 24 000 Hz; this is believed, whatever the ears make of it.
        will_hear: Whether somebody will speak soon, so that the recogniser should be ready by then.
    """
    from ..emulator import EnergyDetector, Recogniser, SileroDetector, Synthesiser

    remedies: list[str] = []
    with ExitStack() as stack:
        recogniser: Recogniser | None = None
        detector: Callable[[], Any] = EnergyDetector
        try:
            SileroDetector()  # only to know whether it can be made
            recogniser = stack.enter_context(Recogniser())
            if will_hear:
                recogniser.warm_up()
            detector = SileroDetector
        except BrokenExtraError as exc:
            remedies.append(f"to be understood when you speak: {exc.message}")
        except MissingExtraError:
            remedies.append('to be understood when you speak: pip install "azure-rt-audio[speech]"')
        voice: Synthesiser | None = None
        try:
            voice = Synthesiser()
            if voice.engine.startswith("espeak"):
                remedies.append(
                    f"people understand {voice.engine}, speech recognisers do not; both understand flite: "
                    "apt install flite"
                )
        except MissingExtraError:
            pass  # said above
        except RuntimeError:
            remedies.append(
                "for a voice that speaks words, install a speech synthesiser, best flite: apt install flite"
            )
        known = told if recogniser is not None else {**told, **recordings.shipped()}
        yield Senses(
            ears=recordings.Ears(known, recogniser),
            detector=detector,
            voice=voice,
            engine=voice.engine if voice is not None else None,
            recogniser=recogniser,
            remedies=tuple(remedies),
        )
