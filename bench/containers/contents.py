"""Images of real size, made from Debian's and PyPI's packages: a web server, and Python with what one computes with.

They are kept under build/bench/images, by what they were made from.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.report.results import FOLDER
from tests.images.archives import LayoutWriter

_BASE = (
    "base-files bash coreutils dash debianutils grep gzip libacl1 libattr1 libc-bin libc6 libcrypt1 libgcc-s1 libgmp10"
    " libpcre2-8-0 libselinux1 libssl3 libtinfo6 mawk perl-base sed tar zlib1g"
)
_WEB = "libperl5.36 nginx nginx-common perl perl-modules-5.36"
_PYTHON = (
    "libbz2-1.0 libdb5.3 libexpat1 libffi8 libgomp1 liblzma5 libncursesw6 libpython3.11-minimal libpython3.11-stdlib"
    " libreadline8 libsqlite3-0 libstdc++6 libuuid1 media-types python3.11 python3.11-minimal"
)
_COMPUTING = "numpy==1.26.4 scipy==1.13.1 pandas==2.2.2"
_MORE = "matplotlib==3.9.0 scikit-learn==1.5.0 pyarrow==16.1.0 numba==0.60.0 sympy==1.12.1 statsmodels==0.14.2"
PAGES = 200
PORTS = range(8100, 8150)
_NGINX = """daemon off; user root root; pid /dev/null; error_log stderr;
events {{}}
http {{ access_log off; server {{ listen 127.0.0.1:{port}; root /srv; }} }}
"""
_APP = """import importlib, sys, http.server
sys.path.insert(0, "/opt/site")
sys.dont_write_bytecode = True
import numpy, pandas, scipy.stats

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path != "/":
            importlib.import_module(self.path[1:])
        frame = pandas.DataFrame({"x": numpy.arange(1000.0)})
        body = str(scipy.stats.zscore(frame["x"]).sum()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass

http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""
_WORK = (
    "scipy.optimize scipy.signal scipy.sparse.linalg pandas.io.parquet sklearn.linear_model sklearn.ensemble"
    " matplotlib.pyplot pyarrow.parquet statsmodels.api numba sympy"
)
"""Modules that the program imports when it is asked to, which is its work over the first minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """`command` takes a port that is to be listened at; `work` are paths to be asked for, one after the other."""

    name: str
    layers: tuple[Callable[[Path], None], ...]
    recipe: str
    command: Callable[[int], tuple[str, ...]]
    work: tuple[str, ...]

    def layout(self) -> Path:
        """An OCI layout of it, made when there is none."""
        key = sha256(self.recipe.encode()).hexdigest()[:16]
        folder = FOLDER / "images" / f"{self.name}-{key}"
        if not folder.exists():
            partial = folder.with_suffix(".part")
            shutil.rmtree(partial, ignore_errors=True)
            writer = LayoutWriter(partial)
            writer.image([_archive(layer) for layer in self.layers])
            writer.write().rename(folder)
        return folder


def _archive(fill: Callable[[Path], None]) -> bytes:
    with TemporaryDirectory(prefix="turnout-bench-") as name:
        fill(Path(name))
        command = ("tar", "--sort=name", "--owner=0", "--group=0", "--mtime=@1700000000", "-C", name, "-c", ".")
        return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout


def _debian(names: str) -> Callable[[Path], None]:
    def fill(root: Path) -> None:
        for folder in ("bin", "lib", "lib64", "sbin"):
            (root / "usr" / folder).mkdir(parents=True)
            (root / folder).symlink_to(f"usr/{folder}")
        with TemporaryDirectory(prefix="turnout-bench-") as downloads:
            command = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *names.split()]
            subprocess.run(command, cwd=downloads, check=True)
            for package in sorted(Path(downloads).glob("*.deb")):
                _unpack(package, root)

    return fill


def _unpack(package: Path, root: Path) -> None:
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as archive:
        command = ["tar", "-x", "--keep-directory-symlink", "-C", str(root)]
        subprocess.run(command, stdin=archive.stdout, check=True)


def _pypi(names: str) -> Callable[[Path], None]:
    def fill(root: Path) -> None:
        options = ["--quiet", "--disable-pip-version-check", "--only-binary", ":all:", "--no-deps"]
        options += ["--no-warn-script-location", "--python-version", "3.11", "--target", str(root / "opt" / "site")]
        subprocess.run([sys.executable, "-m", "pip", "install", *options, *names.split()], check=True)

    return fill


def _web_files(root: Path) -> None:
    (root / "srv" / "pages").mkdir(parents=True)
    for number in range(PAGES):
        (root / "srv" / "pages" / f"{number}.html").write_text(f"page {number}\n" * 2000)
    (root / "srv" / "index.html").write_text("it answers\n")
    for folder in ("var/lib/nginx", "var/log/nginx", "run", "dev", "proc", "sys", "etc/bench"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for port in PORTS:
        (root / "etc" / "bench" / f"{port}.conf").write_text(_NGINX.format(port=port))


def _app_files(root: Path) -> None:
    (root / "srv").mkdir()
    (root / "srv" / "app.py").write_text(_APP)
    for folder in ("dev", "proc", "sys", "tmp"):
        (root / folder).mkdir()


def _folders(root: Path) -> None:
    (root / "etc").mkdir(parents=True, exist_ok=True)
    (root / "etc" / "passwd").write_text("root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n")
    (root / "etc" / "group").write_text("root:x:0:\nnogroup:x:65534:\n")


_DEPENDENCIES = (
    "python-dateutil==2.9.0.post0 pytz==2024.1 tzdata==2024.1 six==1.16.0 contourpy==1.2.1 cycler==0.12.1"
    " fonttools==4.53.0 kiwisolver==1.4.5 packaging==24.0 pillow==10.3.0 pyparsing==3.1.2 joblib==1.4.2"
    " threadpoolctl==3.5.0 llvmlite==0.43.0 mpmath==1.3.0 patsy==0.5.6"
)
WEB = Content(
    name="web",
    layers=(_debian(_BASE), _folders, _debian(_WEB), _web_files),
    recipe=f"1 {_BASE} {_WEB} {_NGINX} {PAGES}",
    command=lambda port: ("/usr/sbin/nginx", "-c", f"/etc/bench/{port}.conf"),
    work=tuple(f"/pages/{number}.html" for number in range(PAGES)),
)
PYTHON = Content(
    name="python",
    layers=(_debian(_BASE), _debian(_PYTHON), _pypi(_COMPUTING), _pypi(f"{_MORE} {_DEPENDENCIES}"), _app_files),
    recipe=f"1 {_BASE} {_PYTHON} {_COMPUTING} {_MORE} {_DEPENDENCIES} {_APP}",
    command=lambda port: ("/usr/bin/python3.11", "/srv/app.py", str(port)),
    work=tuple(f"/{module}" for module in _WORK.split()),
)
CONTENTS: Sequence[Content] = (WEB, PYTHON)
