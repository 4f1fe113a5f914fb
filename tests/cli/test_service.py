"""How the commands name the service that they talk to."""

from __future__ import annotations

import argparse

import pytest

from azure_rt_audio import SessionConfig
from azure_rt_audio._cli.service import VARIABLES, add_service_arguments, open_service


@pytest.mark.parametrize(
    ("endpoint", "label"),
    [
        ("https://my-resource.openai.azure.com", "my-resource · gpt-realtime"),
        ("https://my-resource.services.ai.azure.com/", "my-resource · gpt-realtime"),
        ("https://gateway.example.com/my-api/openai", "gateway.example.com · gpt-realtime"),
        ("http://127.0.0.1:8765", "this machine · gpt-realtime"),
    ],
)
def test_the_label_is_the_name_of_the_resource(
    endpoint: str, label: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A title has the resource and the deployment, never a loopback address and its port."""
    for variable, value in zip(VARIABLES, (endpoint, "a-key", "gpt-realtime"), strict=True):
        monkeypatch.setenv(variable, value)
    parser = argparse.ArgumentParser()
    add_service_arguments(parser)

    with open_service(parser.parse_args([]), SessionConfig(), {}) as service:
        assert service.label == label
