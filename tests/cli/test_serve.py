"""`recsys serve` as a process: output, responses and shutdown."""

import json
import re
import signal
import socket

import httpx
import pytest

from recsys.cli import serve

TOKEN = "only-of-the-tests"
SERVING = re.compile(r"Serving on (http://127\.0\.0\.1:\d+) - Ctrl-C ends it\.\n")


@pytest.fixture
def start(spawn):
    """Start a server on a free port; return the process and its address."""
    processes = []

    def start(*arguments, before=(), **settings):
        process = spawn(*before, "serve", "--port", "0", *arguments, **settings)
        processes.append(process)
        line = process.stderr.readline()
        found = SERVING.fullmatch(line)
        assert found, line + process.stderr.read()
        return process, found[1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_answers_until_it_is_stopped(start, refreshed_database, number):
    settings = {"RECSYS_DATABASE_URL": refreshed_database.url, "RECSYS_API_TOKEN": TOKEN}
    process, url = start(**settings)
    with httpx.Client(base_url=url, trust_env=False) as client:
        assert client.get("/health/ready").json()["run_id"] == 1
        assert len(client.get("/users/1/recommendations").json()) == 10
        path, body = "/users/1/ratings/60", {"rating": 4}
        assert client.put(path, json=body).status_code == 401
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert client.put(path, json=body, headers=headers).status_code == 204
        # Neither an open connection nor a body that is announced keeps the server running.
        with socket.create_connection((client.base_url.host, client.base_url.port)) as waiting:
            waiting.sendall(
                b"POST /recommendations HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                b"Content-Length: 9\r\n\r\n"
            )
            assert client.get("/health/live").status_code == 200
            process.send_signal(number)
            out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "", "")


def test_writing_is_refused_without_a_token(start, published_url):
    _, url = start(RECSYS_DATABASE_URL=published_url)
    answer = httpx.put(f"{url}/users/1/ratings/60", json={"rating": 4}, trust_env=False)
    assert answer.status_code == 403


def test_requests_are_logged_only_if_verbose(start, published_url):
    process, url = start(before=("-v",), RECSYS_DATABASE_URL=published_url)
    assert httpx.get(f"{url}/movies/4711", trust_env=False).status_code == 404
    process.terminate()
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert '"GET /movies/4711 HTTP/1.1" 404' in err


def test_an_object_a_line(spawn, published_url):
    process = spawn(
        "--log-format", "json", "serve", "--port", "0", RECSYS_DATABASE_URL=published_url
    )
    line = json.loads(process.stderr.readline())
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert SERVING.fullmatch(line["message"] + "\n")


def test_the_worker_loads_no_numbers(start, published_url):
    """The packages of the jobs would take 40 MB in every worker."""
    import os
    from pathlib import Path

    process, url = start(RECSYS_DATABASE_URL=published_url)
    assert httpx.get(f"{url}/users/1/recommendations", trust_env=False).status_code == 200
    loaded = Path(f"/proc/{process.pid}/maps")
    if not os.path.exists(loaded):
        pytest.skip("only Linux tells what a process has loaded")
    assert not re.search(r"/(numpy|scipy|pandas|sklearn)/", loaded.read_text())


# --- what keeps it from starting ------------------------------------------------------------------


def test_the_port_is_taken(recsys, published_url):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = recsys("serve", "--port", str(port), RECSYS_DATABASE_URL=published_url)
    assert (done.code, done.out) == (1, "")
    assert done.errors == [
        f"error: cannot listen on 127.0.0.1, port {port}: Address already in use",
        "hint: another program may use it; choose a different port with --port",
    ]


def test_an_unknown_host_is_an_error(recsys):
    done = recsys("serve", "--host", "nowhere.invalid")
    assert done.code == 1
    assert done.errors[0].startswith("error: cannot listen on nowhere.invalid, port 8000: ")


def test_an_unreachable_database_is_reported(recsys):
    url = "postgresql://me:secret@127.0.0.1:9/nowhere"
    done = recsys("serve", "--port", "0", RECSYS_DATABASE_URL=url)
    assert (done.code, done.out) == (1, "")
    message, hint = done.errors
    assert message.startswith("error: no connection to postgresql://me:***@127.0.0.1:9/nowhere")
    assert hint == "hint: is the server running, and are host, port, user and database right?"


def test_a_public_address_is_warned_of(recsys):
    url = "postgresql://me@127.0.0.1:9/nowhere"
    done = recsys("serve", "--host", "0.0.0.0", "--port", "0", RECSYS_DATABASE_URL=url)
    assert done.errors[0] == (
        "warning: every client that reaches 0.0.0.0 can read the recommendations of all users; "
        "allow only a proxy to connect"
    )
    for host in ("127.0.0.1", "localhost"):
        done = recsys("serve", "--host", host, "--port", "0", RECSYS_DATABASE_URL=url)
        assert done.errors[0].startswith("error: no connection")


def test_an_invalid_token_is_refused(recsys, published_url):
    done = recsys("serve", RECSYS_DATABASE_URL=published_url, RECSYS_API_TOKEN="secret")
    assert done.code == 1
    assert done.errors[0].startswith("error: RECSYS_API_TOKEN must have 16 characters or more")
    assert "secret" not in done.err


def test_without_the_parts_of_web(recsys, monkeypatch):
    monkeypatch.setattr(serve, "PARTS_OF_WEB", ("uvicorn", "no_such_module", "nor_this_one"))
    done = recsys("serve")
    assert (done.code, done.out) == (1, "")
    assert done.errors == [
        "error: `recsys serve` needs packages that are not installed: no_such_module, nor_this_one",
        "hint: pip install 'recsys[web]'",
    ]
