"""Anybody may ask whether the server is ready, so the answer costs the same however often it is asked for."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2
import psycopg
from support.server_of_its_own import SLEEP, one_more_tool, server_of_its_own

CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app_user'"


def test_r135_many_readiness_requests_open_no_connections(stack, admin: psycopg.Connection) -> None:
    """R135."""

    def connections() -> int:
        (row,) = admin.execute(CONNECTIONS).fetchall()
        return row[0]

    with server_of_its_own(stack, pool_size=8) as server:

        def ask(_number: int) -> int:
            with httpx2.Client(timeout=20) as http:
                return max(http.get(f"{server.url}/readyz").status_code for _ in range(5))

        assert ask(0) == 200
        time.sleep(1.1)
        before = connections()
        with ThreadPoolExecutor(24) as threads:
            assert set(threads.map(ask, range(24))) == {200}
        assert connections() <= before


def test_r135_a_server_whose_pool_is_busy_is_ready(stack, tmp_path) -> None:
    """R135: a load balancer must not take it away because it has work."""
    with one_more_tool(tmp_path / "tools", "sleep", SLEEP), server_of_its_own(stack, pool_size=1) as server:
        server.call("whoami")
        busy = threading.Thread(target=server.call, args=("sleep",), kwargs={"seconds": 4.0})
        busy.start()
        time.sleep(0.5)
        assert httpx2.get(f"{server.url}/readyz", timeout=20).status_code == 200
        assert busy.is_alive()
        busy.join()


def test_r136_no_cache_keeps_an_answer(served) -> None:
    """R136, RFC 9111: but for the public metadata, which say how long."""
    url, token = f"http://{served.host}", served.strict.token()
    answers = {
        "a result": served.post(token),
        "a list": served.post(token, method="tools/list", params={}),
        "a failure": served.post(token, "query_claims", limit=0),
        "no token": served.post(None),
        "no scope": served.post(served.plain.token(), "search_policies", query="x"),
        "a foreign host": served.http.post(served.url, headers={"host": "evil.example"}),
        "a notification": served.send(token, b'{"jsonrpc": "2.0", "method": "notifications/initialized"}'),
        "another path": served.http.get(f"{url}/other"),
        "another method": served.http.get(served.url),
        "health": served.http.get(f"{url}/healthz"),
        "readiness": served.http.get(f"{url}/readyz"),
    }
    said = {name: answer.headers.get_list("cache-control") for name, answer in answers.items()}
    assert said == {name: ["no-store"] for name in answers}
    document = served.http.get(f"{url}/.well-known/oauth-protected-resource")
    assert document.headers.get_list("cache-control") == ["public, max-age=300"]
