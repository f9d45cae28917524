"""The script that completes nginx.conf where it runs, with a stand-in for nginx; and nginx itself, if it is there."""

import datetime as dt
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from components.core.scripting import scripts
from components.nginx.render import ETC, RUN
from tests.components.nginx_conf import PlainNames, plan, spec_of, text_of

ROUTES: tuple[dict[str, Any], ...] = (
    {"path": "/", "to": "web", "cache": {"max_age": "5m"}},
    {"path": "/api", "to": "api", "balance": "least-conn", "rate_limit": {"requests": 5}, "strip_prefix": True},
    {"path": "/sticky", "to": "api", "balance": "ip-hash"},
    {"path": "/live", "to": "api", "websocket": True},
)
KUBERNETES = "search a.svc.corp.internal svc.corp.internal corp.internal\nnameserver 10.96.0.10\noptions ndots:5\n"
NGINX = f"""#!{sys.executable}
import os, signal, sys, time
if sys.argv[1] == "-V":
    sys.exit(print("nginx version: nginx/1.30.0\\nconfigure arguments:", os.environ["CONFIGURED"], file=sys.stderr))
record = open(os.environ["RECORD"], "w", buffering=1)
def finish(number, frame):
    print(signal.Signals(number).name, file=record)
    sys.exit(number == signal.SIGTERM)
signal.signal(signal.SIGQUIT, finish)
signal.signal(signal.SIGTERM, finish)
print(*sys.argv[1:], file=record)
time.sleep(float(os.environ.get("STAY", 0)))
sys.exit(int(os.environ.get("CODE", 0)))
"""


class Pod:
    """A folder in which the script finds what it would find in a container."""

    def __init__(self, folder: Path, spec: dict[str, Any], resolv: str, names: PlainNames | None = None) -> None:
        self.folder, self.run = folder, folder / "run"
        for name in ("etc", "run", "bin", "modules"):
            (folder / name).mkdir()
        (folder / "resolv.conf").write_text(resolv)
        (folder / "etc" / "nginx.conf").write_text(text_of(plan(spec_of(*ROUTES, **spec), names)))
        script = scripts("nginx", "start.sh")["start.sh"].replace("/etc/resolv.conf", str(folder / "resolv.conf"))
        script = script.replace(ETC, str(folder / "etc")).replace(RUN, str(self.run)).replace("sleep 5", "sleep 0.1")
        (folder / "etc" / "start.sh").write_text(script)
        (folder / "bin" / "nginx").write_text(NGINX)
        (folder / "bin" / "nginx").chmod(0o755)
        self.record = folder / "record"

    def start(self, **environment: str) -> subprocess.Popen[str]:
        configured = environment.pop("CONFIGURED", f"--modules-path={self.folder}/modules --with-http_v2_module")
        variables = {"PATH": f"{self.folder}/bin:{os.environ['PATH']}", "RECORD": str(self.record)}
        return subprocess.Popen(
            ["/bin/sh", str(self.folder / "etc" / "start.sh")],
            env={**variables, "CONFIGURED": configured, **environment},
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self, **environment: str) -> tuple[int, str]:
        process = self.start(**environment)
        _, errors = process.communicate(timeout=20)
        return process.returncode, errors

    @property
    def written(self) -> str:
        return (self.run / "nginx.conf").read_text()


def test_names_are_completed_by_the_domain_that_this_cluster_has(tmp_path: Path) -> None:
    pod = Pod(tmp_path, {"brotli": False}, KUBERNETES)
    assert pod.finish() == (0, "")
    servers = set(re.findall(r"^ *server (\S+) service=", pod.written, re.MULTILINE))
    assert servers == {f"{name}-peers.groundwork-test.svc.corp.internal" for name in ("api", "web")}
    assert "resolver 10.96.0.10 valid=5s;" in pod.written
    assert "@" not in pod.written
    assert "proxy_ssl_name api.groundwork-test.svc;" in pod.written, "certificates bear the short name"


def test_complete_names_and_ipv6_name_servers_are_left_as_they_are(tmp_path: Path) -> None:
    resolv = "nameserver 127.0.0.11\nnameserver fd00::a\noptions ndots:0\n"
    pod = Pod(tmp_path, {"brotli": False}, resolv, PlainNames())
    assert pod.finish() == (0, "")
    assert "resolver 127.0.0.11 [fd00::a] valid=5s;" in pod.written
    assert "server api-1:8443 resolve" in pod.written


@pytest.mark.parametrize(
    ("resolv", "message"),
    [
        ("search x\n", "names no name server"),
        ("nameserver 10.0.0.1\nsearch corp.internal\n", "has no svc.DOMAIN in its search list"),
    ],
)
def test_what_can_not_be_known_is_said(tmp_path: Path, resolv: str, message: str) -> None:
    code, errors = Pod(tmp_path, {"brotli": False}, resolv).finish()
    assert code == 1
    assert errors.startswith("gateway: ")
    assert message in errors


def test_the_brotli_module_is_loaded_where_it_is_a_file(tmp_path: Path) -> None:
    pod = Pod(tmp_path, {}, KUBERNETES)
    module = tmp_path / "modules" / "ngx_http_brotli_filter_module.so"
    module.touch()
    assert pod.finish()[0] == 0
    assert f"daemon off; load_module {module};" in pod.record.read_text()


def test_a_built_in_brotli_module_is_not_loaded(tmp_path: Path) -> None:
    pod = Pod(tmp_path, {}, KUBERNETES)
    built = f"--modules-path={tmp_path}/modules --add-module=/usr/src/ngx_brotli"
    assert pod.finish(CONFIGURED=built)[0] == 0
    assert "load_module" not in pod.record.read_text()


def test_brotli_without_its_module_is_an_error_and_not_silence(tmp_path: Path) -> None:
    code, errors = Pod(tmp_path, {}, KUBERNETES).finish()
    assert (code, errors) == (
        1,
        "gateway: this image's nginx has no brotli module: set brotli: false, or another image\n",
    )


def test_its_exit_code_is_that_of_nginx_and_a_left_over_socket_goes(tmp_path: Path) -> None:
    pod = Pod(tmp_path, {"brotli": False}, KUBERNETES)
    (pod.run / "status.sock").touch()
    assert pod.finish(CODE="3")[0] == 3
    assert not (pod.run / "status.sock").exists()


def test_a_termination_lets_nginx_finish_its_requests(tmp_path: Path) -> None:
    """TERM makes nginx drop them; QUIT does not."""
    pod = Pod(tmp_path, {"brotli": False}, KUBERNETES)
    process = pod.start(STAY="15")
    end = time.monotonic() + 10
    while not (pod.record.exists() and pod.record.read_text()):
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    assert process.returncode == 0
    assert pod.record.read_text().splitlines()[1:] == ["SIGQUIT"]


def nginx_or_skip(module: str = "") -> list[str]:
    """The nginx on PATH, with the arguments that load a module of its own."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if not program:
        pytest.skip("nginx is not on PATH")
    about = subprocess.run([program, "-V"], capture_output=True, text=True).stderr
    version = tuple(int(part) for part in re.findall(r"nginx/([\d.]+)", about)[0].split("."))
    if version < (1, 27, 3):
        pytest.skip(f"{program} is {'.'.join(map(str, version))}; `resolve` in an upstream needs 1.27.3")
    folder = (re.findall(r"--modules-path=(\S+)", about) or ["/usr/lib/nginx/modules"])[0]
    return [program, *(["-g", f"load_module {folder}/{module};"] if module else [])]


@pytest.mark.parametrize("brotli", [False, True])
def test_nginx_itself_accepts_the_configuration(tmp_path: Path, brotli: bool) -> None:
    command = nginx_or_skip("ngx_http_brotli_filter_module.so" if brotli else "")
    pod = Pod(tmp_path, {"brotli": False, "trusted_proxies": ["10.0.0.0/8"]}, KUBERNETES)
    assert pod.finish()[0] == 0
    for service in ("tls", "api", "web"):
        write_certificate(tmp_path / "secrets" / service)
    text = pod.written.replace("/run/groundwork", str(tmp_path / "secrets"))
    if brotli:
        text = text.replace("gzip on;", "gzip on; brotli on; brotli_types text/css;", 1)
    (pod.run / "nginx.conf").write_text(text)
    done = subprocess.run(
        [*command, "-t", "-e", "stderr", "-c", str(pod.run / "nginx.conf")], capture_output=True, text=True
    )
    if brotli and "cannot open shared object file" in done.stderr:
        pytest.skip(f"{command[0]} has no brotli module")
    assert done.returncode == 0, done.stderr
    assert not [line for line in done.stderr.splitlines() if "[warn]" in line], done.stderr


def write_certificate(folder: Path) -> None:
    folder.mkdir(parents=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(hours=1))
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for file, content in (("ca.crt", pem), ("tls.crt", pem), ("tls.key", private)):
        (folder / file).write_bytes(content)
