"""The custom resource definitions of the operators that environments use, pinned by version and SHA-256.

The embedded cluster serves these definitions so that its API server validates every custom resource as a real cluster
would. The operators themselves are not installed: they would manage real processes, and simulated nodes run none.
The files come from the operators' Go modules, or from their repositories at the same tag where Go is not installed;
either way they are compared with the sums below and kept in the cache. Nothing of them is committed here.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from toolchain import paths
from toolchain.errors import ToolchainError
from toolchain.kube_api import APPLY, METADATA_ONLY, ApiError, KubeApi
from toolchain.locking import complete_folder, exclusive
from toolchain.waiting import wait_until

Log = Callable[[str], None]

CLOUDNATIVE_PG = ("github.com/cloudnative-pg/cloudnative-pg", "v1.30.0")
BARMAN_PLUGIN = ("github.com/cloudnative-pg/plugin-barman-cloud", "v0.15.0")
CRD_API = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
SUM_ANNOTATION = "groundwork.dev/definition-sha256"
DOWNLOAD_SECONDS = 10
SERVED_SECONDS = 30


@dataclass(frozen=True)
class Definition:
    """One definition: the module and version it comes from, API group, plural name and the SHA-256 of its file."""

    source: tuple[str, str]
    group: str
    plural: str
    sha256: str

    @property
    def file(self) -> str:
        """File name, the same in the module, in the repository and in the cache."""
        return f"{self.group}_{self.plural}.yaml"

    @property
    def name(self) -> str:
        """Name of the CustomResourceDefinition object."""
        return f"{self.plural}.{self.group}"


def _cnpg(plural: str, sha256: str) -> Definition:
    return Definition(CLOUDNATIVE_PG, "postgresql.cnpg.io", plural, sha256)


DEFINITIONS: tuple[Definition, ...] = (
    _cnpg("backups", "694bafce2eda4603629657c2141a89189c15250c74215002a6987538d3d78ff5"),
    _cnpg("clusterimagecatalogs", "a409d4e9418110672d14c263793d0458dd328f794caac668671c08c257e762ae"),
    _cnpg("clusters", "ae47f4a00f6e998faef57e480f9a3960cd48ea16a79270861fc7442601507472"),
    _cnpg("databaseroles", "bbe900fb057c5ea29bb3f41537b941eee80f528f22733e54a5b2704c4bd9516d"),
    _cnpg("databases", "53f7dfca6d23eb70246f41f1e7db596f8782341cd4fffb6ad990107cc8a588e7"),
    _cnpg("imagecatalogs", "dce0b11005f65a4728144c155a78183169eeb63d42c57b6af6270b4fbdf2b8aa"),
    _cnpg("poolers", "9e0dad05355f72dceb154a12b43ebe8a410d470133ad228bf711c1fdee221124"),
    _cnpg("scheduledbackups", "1dffb969a92ed6b09abe59d9c848ff97c6646c7824e75f8e0b8379df8473a145"),
    Definition(
        BARMAN_PLUGIN,
        "barmancloud.cnpg.io",
        "objectstores",
        "2d8be9265b99571a560e80f2a54dbbcc19cbfb2254575ff2e7bba9dc4429e99e",
    ),
)


def fetch(log: Log) -> Path:
    """The cache folder that holds every definition; fills it when it is not there.

    Raises ToolchainError when a file cannot be had or is not the pinned one.
    """
    key = hashlib.sha256("".join(definition.sha256 for definition in DEFINITIONS).encode()).hexdigest()[:12]
    folder = paths.cache_folder() / "definitions" / key
    if folder.is_dir():
        return folder
    with exclusive(folder.parent / "lock", lambda: log("waiting for another process that fetches definitions")):
        if not folder.is_dir():
            log("fetching the operators' resource definitions")
            with complete_folder(folder) as partial:
                _fill(partial)
    return folder


def _fill(folder: Path) -> None:
    go = shutil.which("go")
    sources = _module_folders(go) if go else {}
    for definition in DEFINITIONS:
        module = definition.source[0]
        file = f"config/crd/bases/{definition.file}"
        content = (sources[module] / file).read_bytes() if module in sources else _download(definition, file)
        found = hashlib.sha256(content).hexdigest()
        if found != definition.sha256:
            raise ToolchainError(
                f"{definition.file}: SHA-256 {found} given, {definition.sha256} is pinned; "
                "the file was changed on its way or the version in toolchain/operators.py needs its new sum"
            )
        (folder / definition.file).write_bytes(content)


def _module_folders(go: str) -> dict[str, Path]:
    """Unpacked module folders in Go's own cache; go.sum of toolchain/go/crds pins their content."""
    command = [go, "mod", "download", "-json", CLOUDNATIVE_PG[0], BARMAN_PLUGIN[0]]
    done = subprocess.run(command, cwd=paths.modules() / "crds", capture_output=True, text=True, check=False)
    if done.returncode != 0:
        words = (done.stdout + done.stderr).strip()
        raise ToolchainError(f"crds: `go mod download` failed ({done.returncode}):\n    {words}")
    decoder, text, folders = json.JSONDecoder(), done.stdout.strip(), {}
    while text:
        module, end = decoder.raw_decode(text)
        folders[str(module["Path"])] = Path(module["Dir"])
        text = text[end:].strip()
    return folders


def _download(definition: Definition, file: str) -> bytes:
    module, version = definition.source
    url = f"https://raw.githubusercontent.com/{module.removeprefix('github.com/')}/{version}/{file}"
    try:
        with urllib.request.urlopen(url, timeout=DOWNLOAD_SECONDS) as response:
            return bytes(response.read())
    except (urllib.error.URLError, TimeoutError, OSError) as error:
        raise ToolchainError(
            f"{definition.file}: {url} could not be read ({error}) and Go is not installed. Install Go 1.26 or newer, "
            "or allow that address, and run the same command again"
        ) from error


def missing(api: KubeApi) -> list[Definition]:
    """The definitions that the cluster does not serve in the pinned version."""
    listed = api.get(CRD_API, accept=METADATA_ONLY)["items"] or []
    sums = {item["metadata"]["name"]: item["metadata"].get("annotations", {}).get(SUM_ANNOTATION) for item in listed}
    return [definition for definition in DEFINITIONS if sums.get(definition.name) != definition.sha256]


def install(api: KubeApi, log: Log) -> int:
    """Apply what is missing (server-side apply); returns how many were applied. They are served a moment later."""
    wanted = missing(api)
    if wanted:
        folder = fetch(log)
        log(f"installing {len(wanted)} resource definitions of operators")
        with ThreadPoolExecutor(max_workers=4) as pool:
            list(pool.map(lambda definition: _apply(api, definition, folder), wanted))
    return len(wanted)


def wait_until_served(api: KubeApi) -> None:
    """Wait until every kind can be used; needed after a start too, when the API server refuses that for a moment."""
    wait_until("the custom resources", SERVED_SECONDS, lambda: _served(api), lambda: "look at `kubectl get crd`")


def _apply(api: KubeApi, definition: Definition, folder: Path) -> None:
    body = marked((folder / definition.file).read_bytes(), definition)
    path = f"{CRD_API}/{definition.name}?fieldManager=groundwork&force=true"
    api.send("PATCH", path, body, content=APPLY)


def marked(content: bytes, definition: Definition) -> bytes:
    """The file with one annotation more, which tells later which version the cluster has.

    It is put in as text: each further write of a definition costs the API server a rebuild of its schemas, and there
    is no YAML in the standard library.
    """
    head, line, rest = content.partition(b"\n  annotations:\n")
    if not line:
        raise ToolchainError(f"{definition.file}: its metadata has no annotations, so the sum has no place to go")
    return head + line + f"    {SUM_ANNOTATION}: {definition.sha256}\n".encode() + rest


def _served(api: KubeApi) -> bool:
    """Whether every kind can be listed: 404 before it is known, 429 while its storage starts."""
    try:
        for definition in DEFINITIONS:
            api.get(f"/apis/{definition.group}/v1/{definition.plural}?limit=1")
    except ApiError as error:
        if error.status in (404, 429, 503):
            return False
        raise
    return True
