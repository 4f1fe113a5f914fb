"""Mappings that the documentation names pass a strict type checker."""

from __future__ import annotations

from azure_rt_audio import AzureRealTimeAudio, AzureRealTimeOptions, ResponseConfig, SessionConfig
from azure_rt_audio.protocol.session import TurnDetection


def session_configs() -> list[SessionConfig]:
    return [
        SessionConfig(turn_detection={"type": "server_vad", "threshold": 0.6}, voice="alloy"),
        SessionConfig(turn_detection=TurnDetection(threshold=0.6), voice={"id": "voice_1"}),
        SessionConfig(turn_detection=None, input_audio_transcription=None, input_audio_noise_reduction=None),
        SessionConfig(
            input_audio_transcription={"model": "my-whisper"},
            input_audio_noise_reduction={"type": "near_field"},
            tools=[{"type": "function", "name": "f", "parameters": {"type": "object"}}],
            tool_choice={"type": "function", "name": "f"},
            prompt={"id": "p"},
        ),
        SessionConfig(turn_detection=5),  # type: ignore[arg-type]
    ]


def response_configs(client: AzureRealTimeAudio) -> None:
    client.create_response(ResponseConfig(input=[{"type": "message", "role": "user"}], tools=[]))
    client.create_response({"audio": {"output": {"voice": "marin"}}, "extra": {"new_field": 1}})
    client.ask("Hello", response={"output_modalities": ["text"]})


def environment() -> None:
    AzureRealTimeOptions.from_env(
        session_config={"type": "realtime", "audio": {"output": {"voice": "marin"}}}
    )
    AzureRealTimeOptions.from_env(deployment="d", dialect="ga", credential=lambda: "token")
    AzureRealTimeOptions.from_env(voice="alloy")  # type: ignore[call-arg]
    AzureRealTimeOptions.from_env(dialect="gaa")  # type: ignore[arg-type]
