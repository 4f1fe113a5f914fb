"""How the commands name the service that they talk to."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from azure_rt_audio import SessionConfig
from azure_rt_audio._cli import UsageError
from azure_rt_audio._cli.service import VARIABLES, add_service_arguments, new_client, open_service
from azure_rt_audio.recording import Recording


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


def test_each_client_records_into_a_file_of_its_own(tmp_path: Path) -> None:
    """A command that connects again goes on in another file; one that exists is a wrong command line."""
    parser = argparse.ArgumentParser()
    add_service_arguments(parser)
    arguments = parser.parse_args(["--emulator", "--record", str(tmp_path / "a.rta")])
    with open_service(arguments, SessionConfig(), {}) as service:
        for number in (1, 2):
            with new_client(service, number=number):
                pass
        with pytest.raises(UsageError, match=r"^--record .*a\.rta: the file exists already"):
            new_client(service)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-2.rta", "a.rta"]
    assert all(Recording.load(path).is_complete for path in tmp_path.iterdir())
