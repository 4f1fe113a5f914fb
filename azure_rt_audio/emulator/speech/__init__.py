"""
The replaceable parts: speech in, answers, speech out.

* Recognisers: :mod:`.scripted_recogniser` is told the words, :mod:`.recogniser` understands English;
* responders: :mod:`.rule_responder` answers by rule, :mod:`.chat_model` asks a language model;
* synthesisers: :mod:`.tones` is made of formants, :mod:`.synthesiser` runs an installed program;
* detectors of speech: :mod:`.vad` by level, with the input buffer, and :mod:`.silero` by a network.
"""
