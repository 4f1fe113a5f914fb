"""Speech recognition and synthesis for the emulator, as far as installed."""

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

__all__ = ["Speech", "open_speech"]

_RECOGNITION_TIMEOUT: Final = 60.0


@frozen
class Speech:
    """
    Recogniser, speech detector and synthesiser for an emulator.

    Attributes:
        voice: The synthesiser; ``None`` for the emulator's tones.
        engine: Name of the synthesiser's program, if there is one.
        recogniser: The recogniser, if there is one.
        remedies: How to install missing parts; a sentence each.
    """

    recognise: recordings.RecordingRecogniser
    detector: Callable[[], Detector]
    voice: SynthesiserFunction | None
    engine: str | None
    recogniser: Recogniser | None
    remedies: tuple[str, ...]

    @property
    def description(self) -> str:
        """Recognition and synthesis, as predicates of "it"."""
        hears = (
            "recognises the bundled recordings" if self.recogniser is None else "recognises spoken English"
        )
        sounds = "answers in tones" if self.engine is None else f"speaks with {self.engine}"
        return f"{hears}, {sounds}"

    @property
    def listen(self) -> Callable[[bytes], str] | None:
        """Recognises its own voice in PCM16, 24 000 Hz; blocks. ``None`` without recogniser or voice."""
        recognise = self.recogniser
        if recognise is None or self.engine is None:
            return None
        return lambda pcm: recognise(pcm).result(_RECOGNITION_TIMEOUT)


@contextmanager
def open_speech(transcripts: Mapping[bytes, str], *, will_hear: bool = True) -> Iterator[Speech]:
    """
    Yield what is installed; its threads end with the block.

    Args:
        transcripts: Transcripts of PCM16 recordings, 24 000 Hz; they take precedence over the recogniser.
        will_hear: Whether speech will be sent soon; loads the recogniser in advance.
    """
    from ..emulator import EnergyDetector, Recogniser, SileroDetector, Synthesiser

    remedies: list[str] = []
    with ExitStack() as stack:
        recogniser: Recogniser | None = None
        detector: Callable[[], Any] = EnergyDetector
        try:
            SileroDetector()  # raises if it is not available
            recogniser = stack.enter_context(Recogniser())
            if will_hear:
                recogniser.warm_up()
            detector = SileroDetector
        except BrokenExtraError as exc:
            remedies.append(f"for speech recognition: {exc.message}")
        except MissingExtraError:
            remedies.append('for speech recognition: pip install "azure-rt-audio[speech]"')
        voice: Synthesiser | None = None
        try:
            voice = Synthesiser()
            if voice.engine.startswith("espeak"):
                remedies.append(
                    f"{voice.engine} is not understood by speech recognisers; flite is: apt install flite"
                )
        except MissingExtraError:
            pass  # reported above
        except RuntimeError:
            remedies.append(
                "for spoken answers, install a speech synthesiser, preferably flite: apt install flite"
            )
        known = transcripts if recogniser is not None else {**transcripts, **recordings.bundled()}
        yield Speech(
            recognise=recordings.RecordingRecogniser(known, recogniser),
            detector=detector,
            voice=voice,
            engine=voice.engine if voice is not None else None,
            recogniser=recogniser,
            remedies=tuple(remedies),
        )
