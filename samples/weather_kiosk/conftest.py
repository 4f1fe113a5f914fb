"""Loads the fixtures ``rt_emulator`` and ``rt_replay``."""

pytest_plugins = ["azure_rt_audio.testing"]
