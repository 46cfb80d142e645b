"""Fetching from the hub, for real: huggingface_hub against a small server on this machine, then without it."""

import hashlib
import io
import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import numpy as np
import pytest
import torch
from safetensors.numpy import save

COMMIT = {"main": "a" * 40, "old": "b" * 40, "refs/pr/1": "c" * 40}


def tensors(value):
    return save({"a": np.full((2, 2), value, np.float32)})


def pickled(value):
    buffer = io.BytesIO()
    torch.save({"a": torch.full((2, 2), float(value))}, buffer)
    return buffer.getvalue()


def index(*shards):
    return json.dumps({"weight_map": dict(zip("ab", shards, strict=False))}).encode()


BESIDE = {"config.json": b'{"n_head": 2}', "README.md": b"# hello", "tokenizer.json": b"{}", "tf_model.h5": b"x"}
MODELS = {
    ("org/both", "main"): BESIDE | {"model.safetensors": tensors(1), "pytorch_model.bin": pickled(2)},
    ("org/pickled", "main"): BESIDE | {"pytorch_model.bin": pickled(2)},
    ("org/sharded", "main"): BESIDE
    | {
        "model.safetensors.index.json": index("one.safetensors", "two.safetensors"),
        "one.safetensors": tensors(3),
        "two.safetensors": save({"b": np.full((2, 2), 4, np.float32)}),
        "three.safetensors": tensors(9),
        "pytorch_model.bin": pickled(2),
    },
    ("org/files", "main"): BESIDE
    | {"q4/model.safetensors": tensors(8), "m-00001-of-00002.gguf": b"GGUF", "m-00002-of-00002.gguf": b"GGUF again"},
    ("org/versions", "main"): {"model.safetensors": tensors(5)},
    ("org/versions", "old"): {"model.safetensors": tensors(6)},
    ("org/versions", "refs/pr/1"): {"model.safetensors": tensors(7)},
    ("org/bare", "main"): {"README.md": b"no weights here"},
    ("org/hole", "main"): {"model.safetensors.index.json": index("one.safetensors", "gone.safetensors")}
    | {"one.safetensors": tensors(3)},
    ("org/outside", "main"): {"model.safetensors.index.json": index("../../../../escaped.safetensors")},
    ("org/no-map", "main"): {"model.safetensors.index.json": b'{"weight_map": {"a": ["x"]}}'},
    ("org/no-json", "main"): {"model.safetensors.index.json": b"<html>"},
}


@dataclass
class Hub:
    """A server of MODELS and a log of the files it was asked for, `METHOD file`."""

    cache: str
    asked: list[str] = field(default_factory=list)
    gets_cut_short: bool = False

    def __post_init__(self):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"hub": self}))
        self.server.daemon_threads = True
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(timeout=10)

    def fetched(self):
        return sorted(line.removeprefix("GET ") for line in self.asked if line.startswith("GET "))


class Handler(BaseHTTPRequestHandler):
    """`/{org}/{name}/resolve/{revision}/{file}` with the headers huggingface_hub looks for."""

    hub: Hub
    timeout = 10

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def answer(self):
        parts = self.path.split("?")[0].split("/")
        if len(parts) < 6 or parts[3] != "resolve":
            return self.refuse("RepoNotFound")  # calls besides files are huggingface_hub's own business
        repository, revision, name = f"{parts[1]}/{parts[2]}", unquote(parts[4]), unquote("/".join(parts[5:]))
        self.hub.asked.append(f"{self.command} {name}")
        if repository == "org/gated":
            return self.refuse("GatedRepo", 403)
        if repository not in {model for model, _ in MODELS}:
            return self.refuse("RepoNotFound")
        if (repository, revision) not in MODELS:
            return self.refuse("RevisionNotFound")
        if name not in MODELS[repository, revision]:
            return self.refuse("EntryNotFound", commit=COMMIT[revision])
        return self.send(MODELS[repository, revision][name], COMMIT[revision])

    def send(self, content, commit):
        self.send_response(200)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", commit)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content[:3] if self.hub.gets_cut_short else content)

    def refuse(self, code, status=404, commit=None):
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        if commit:
            self.send_header("X-Repo-Commit", commit)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(tmp_path):
    hub = Hub(str(tmp_path / "cache"))
    yield hub
    hub.stop()


OPEN = """
import json, sys
import spinspectra
try:
    weights = spinspectra.open_weights(sys.argv[1])
    answer = {name: weights.read(name).tolist() for name in weights.names()}
    answer = {"tensors": answer, "config": weights.config, "source": weights.source}
except spinspectra.SpinSpectraError as error:
    answer = {"error": type(error).__name__, "text": str(error)}
print("ANSWER", json.dumps(answer))
"""


def open_in_fresh_process(hub, model, folder, **environment):
    """What `open_weights(model)` gives where huggingface_hub is configured from the environment alone."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    own = {"HF_ENDPOINT": f"http://127.0.0.1:{hub.port}", "HF_HUB_CACHE": hub.cache, "HF_HOME": f"{hub.cache}-home"}
    done = subprocess.run(
        [sys.executable, "-c", OPEN, model],
        env=clean | own | {"NO_PROXY": "127.0.0.1"} | environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.partition("ANSWER ")[2])


def filled(value):
    return [[value, value], [value, value]]


@pytest.mark.parametrize(
    ("model", "held", "files"),
    [
        ("org/both", {"a": 1}, ["config.json", "model.safetensors"]),
        ("org/pickled", {"a": 2}, ["config.json", "pytorch_model.bin"]),
        (
            "org/sharded",
            {"a": 3, "b": 4},
            ["config.json", "model.safetensors.index.json", "one.safetensors", "two.safetensors"],
        ),
    ],
    ids=["safetensors-first", "pickle-if-need-be", "shards"],
)
def test_only_configuration_and_weights_are_fetched(hub, tmp_path, model, held, files):
    answer = open_in_fresh_process(hub, model, tmp_path)
    assert answer["tensors"] == {name: filled(value) for name, value in held.items()}
    assert answer["config"] == {"n_head": 2}
    assert answer["source"].startswith(hub.cache)
    assert hub.fetched() == files
    assert not {"README.md", "tokenizer.json", "tf_model.h5", "three.safetensors"} & {
        line.split()[1] for line in hub.asked
    }


@pytest.mark.parametrize(
    ("model", "value"),
    [("org/versions", 5), ("org/versions@old", 6), ("org/versions@refs/pr/1", 7)],
    ids=["default", "tag", "pull-request"],
)
def test_a_revision_follows_the_at_sign(hub, tmp_path, model, value):
    assert open_in_fresh_process(hub, model, tmp_path)["tensors"] == {"a": filled(value)}


@pytest.mark.parametrize(
    ("model", "value"), [("org/sharded:three.safetensors", 9), ("org/files@main:q4/model.safetensors", 8)]
)
def test_a_file_follows_the_colon(hub, tmp_path, model, value):
    assert open_in_fresh_process(hub, model, tmp_path)["tensors"] == {"a": filled(value)}
    assert hub.fetched() == ["config.json", model.partition(":")[2]]


def test_all_parts_of_a_split_file_are_fetched(hub, tmp_path):
    open_in_fresh_process(hub, "org/files:m-00001-of-00002.gguf", tmp_path)
    assert hub.fetched() == ["config.json", "m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]


def test_a_local_folder_of_that_name_comes_first(hub, tmp_path):
    (tmp_path / "org" / "both").mkdir(parents=True)
    (tmp_path / "org" / "both" / "model.safetensors").write_bytes(tensors(8))
    assert open_in_fresh_process(hub, "org/both", tmp_path)["tensors"] == {"a": filled(8)}
    assert hub.asked == []


def test_switched_off_the_cache_is_enough_and_all_there_is(hub, tmp_path):
    for model in ("org/both", "org/sharded"):
        open_in_fresh_process(hub, model, tmp_path)
    hub.stop()
    offline = {"HF_HUB_OFFLINE": "1"}
    assert open_in_fresh_process(hub, "org/both", tmp_path, **offline)["tensors"] == {"a": filled(1)}
    assert open_in_fresh_process(hub, "org/sharded", tmp_path, **offline)["tensors"]["b"] == filled(4)
    assert_one_line(
        open_in_fresh_process(hub, "org/pickled", tmp_path, **offline),
        "org/pickled: no such file or folder, and the hub is out of reach and its cache lacks its weights",
    )


def test_out_of_reach_the_cache_is_enough(hub, tmp_path):
    open_in_fresh_process(hub, "org/both", tmp_path)
    hub.stop()
    assert open_in_fresh_process(hub, "org/both", tmp_path)["tensors"] == {"a": filled(1)}


@pytest.mark.parametrize(
    ("model", "text"),
    [
        ("org/absent", "org/absent: no such file or folder, and no such model on the hub"),
        ("org/both@nowhere", "org/both@nowhere: the model has no revision nowhere"),
        ("org/gated", "org/gated: the model is gated; accept its terms on the hub and log in"),
        ("org/bare", "org/bare: no such file or folder, and neither the hub nor its local cache gave its weights"),
        ("org/files:gone.gguf", "org/files:gone.gguf: no such file or folder, and the model has no file gone.gguf"),
        ("org/files:../escaped.gguf", "../escaped.gguf is no file inside a model; name one"),
        ("org/files", "name another file as org/files:FILE"),
        ("org/hole", "names the shard gone.safetensors, which is not in the folder"),
        ("org/outside", "names the shard '../../../../escaped.safetensors', which is outside its folder; refused"),
        ("org/no-map", "the shard of a is no file name"),
        ("org/no-json", "not readable as JSON"),
    ],
    ids=lambda value: value.partition("/")[2] if value.startswith("org/") and " " not in value else "",
)
def test_what_the_hub_cannot_give_is_told_in_one_line(hub, tmp_path, model, text):
    assert_one_line(open_in_fresh_process(hub, model, tmp_path), text)
    assert not any("escaped" in line for line in hub.asked)


def test_a_transfer_cut_short_is_told_in_one_line(hub, tmp_path):
    hub.gets_cut_short = True
    assert_one_line(open_in_fresh_process(hub, "org/both", tmp_path), "org/both: no such file or folder, and the hub")


def assert_one_line(answer, text):
    assert answer.get("error") == "WeightsError", answer
    assert text in answer["text"]
    assert len(answer["text"].splitlines()) == 1
