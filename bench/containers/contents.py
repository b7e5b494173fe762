"""Images of real size: a web server, Python with what one computes with, a JDK, and 2 GB in 40 layers on top of Python.

They are kept under build/bench/images, by what they were made from.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from bench.containers.recipes import Layer, debian, files, pypi, remove_partial
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


_DEPENDENCIES = (
    "python-dateutil==2.9.0.post0 pytz==2024.1 tzdata==2024.1 six==1.16.0 contourpy==1.2.1 cycler==0.12.1"
    " fonttools==4.53.0 kiwisolver==1.4.5 packaging==24.0 pillow==10.3.0 pyparsing==3.1.2 joblib==1.4.2"
    " threadpoolctl==3.5.0 llvmlite==0.43.0 mpmath==1.3.0 patsy==0.5.6"
)
_JAVA = "java-common libstdc++6 openjdk-17-jdk-headless openjdk-17-jre-headless"
_JAVA_APP = """import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.util.stream.IntStream;

public class App {
    public static void main(String[] words) throws Exception {
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(words[0])), 16);
        server.createContext("/", exchange -> {
            String path = exchange.getRequestURI().getPath();
            int status = 200;
            try {
                if (path.length() > 1) Class.forName(path.substring(1));
            } catch (ClassNotFoundException error) {
                status = 404;
            }
            byte[] body = String.valueOf(IntStream.range(0, 1000).asDoubleStream().sum()).getBytes();
            exchange.sendResponseHeaders(status, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.start();
    }
}
"""
_JAVA_WORK = (
    "java.net.http.HttpClient java.security.KeyStore java.sql.DriverManager java.util.logging.LogManager"
    " java.util.zip.ZipFile javax.crypto.Cipher javax.management.MBeanServerFactory javax.naming.InitialContext"
    " javax.net.ssl.SSLContext javax.script.ScriptEngineManager javax.tools.ToolProvider"
    " javax.xml.parsers.DocumentBuilderFactory com.sun.tools.javac.Main jdk.jshell.JShell"
)
"""Classes of as many modules, loaded when it is asked to."""
_JAVA_HOME = f"/usr/lib/jvm/java-17-openjdk-{'arm64' if platform.machine() == 'aarch64' else 'amd64'}"
_TOOLS = (
    "libicu72 libllvm14 libclang-cpp14 cpp-12 gcc-12 g++-12 libgcc-12-dev libstdc++-12-dev libnode108 git vim-runtime"
    " postgresql-15 mariadb-server-core r-base-core octave emacs-common emacs-gtk gdb cmake cmake-data libruby3.1"
    " erlang-base locales libopenblas0-pthread libmozjs-102-0 libgl1-mesa-dri samba-libs libx265-199 php8.2-cli"
    " fonts-noto-core texlive-base texlive-fonts-recommended libvtk9.1 qemu-system-x86 qemu-system-arm"
)
"""A layer each. Nothing of them is read: what somebody's image has collected over the years."""
_DAYS = (4, 20)
"""How many layers the oldest part of the large image has, and the oldest two: each was made a week after the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """`command` takes a port that is to be listened at; `work` are paths to be asked for, one after the other. `breaks`
    are the places between layers that its history says were made a week apart."""

    name: str
    layers: tuple[Layer, ...]
    command: Callable[[int], tuple[str, ...]]
    work: tuple[str, ...]
    megabytes: float
    """Of its layers as gzip."""
    cpu_s: float
    """What a container takes until its work is done. Both are for telling how long measuring takes."""
    breaks: tuple[int, ...] = ()

    def layout(self) -> Path:
        """An OCI layout of it, made when there is none."""
        recipe = "\n".join(("2", *(layer.recipe for layer in self.layers), str(self.breaks)))
        folder = FOLDER / "images" / f"{self.name}-{sha256(recipe.encode()).hexdigest()[:16]}"
        if not folder.exists():
            writer = LayoutWriter(remove_partial(folder))
            writer.image([layer.archive() for layer in self.layers], history=self._history() if self.breaks else ())
            writer.write().rename(folder)
        return folder

    def _history(self) -> list[dict[str, str]]:
        weeks = (sum(place <= number for place in self.breaks) for number in range(len(self.layers)))
        return [{"created": f"2023-11-{1 + 7 * week:02}T00:00:00Z"} for week in weeks]


_SYSTEM = files(
    {
        "etc/passwd": "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n",
        "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    }
)
_WEB_FILES = files(
    {
        **{f"srv/pages/{number}.html": f"page {number}\n" * 2000 for number in range(PAGES)},
        **{f"etc/bench/{port}.conf": _NGINX.format(port=port) for port in PORTS},
        "srv/index.html": "it answers\n",
    },
    "var/lib/nginx var/log/nginx run dev proc sys",
)
_EMPTY = "dev proc sys tmp"
_APP_FILES = files({"srv/app.py": _APP}, _EMPTY)
_COMPUTED = (debian(_BASE), debian(_PYTHON), pypi(_COMPUTING), pypi(f"{_MORE} {_DEPENDENCIES}"))
WEB = Content(
    name="web",
    layers=(debian(_BASE), _SYSTEM, debian(_WEB), _WEB_FILES),
    command=lambda port: ("/usr/sbin/nginx", "-c", f"/etc/bench/{port}.conf"),
    work=tuple(f"/pages/{number}.html" for number in range(PAGES)),
    megabytes=41,
    cpu_s=0.3,
)
PYTHON = Content(
    name="python",
    layers=(*_COMPUTED, _APP_FILES),
    command=lambda port: ("/usr/bin/python3.11", "/srv/app.py", str(port)),
    work=tuple(f"/{module}" for module in _WORK.split()),
    megabytes=343,
    cpu_s=7,
)
JDK = Content(
    name="jdk",
    layers=(debian(_BASE), debian(_JAVA), files({"srv/App.java": _JAVA_APP}, _EMPTY)),
    command=lambda port: (f"{_JAVA_HOME}/bin/java", "-XX:-UsePerfData", "/srv/App.java", str(port)),
    work=tuple(f"/{name}" for name in _JAVA_WORK.split()),
    megabytes=177,
    cpu_s=1.2,
)
LARGE = Content(
    name="large",
    layers=(*_COMPUTED, *(debian(name) for name in _TOOLS.split()), _APP_FILES),
    command=PYTHON.command,
    work=PYTHON.work,
    megabytes=874,
    cpu_s=PYTHON.cpu_s,
    breaks=_DAYS,
)
CONTENTS: Sequence[Content] = (WEB, PYTHON, JDK, LARGE)
USUAL: Sequence[Content] = (WEB, PYTHON)
"""What is measured when nothing else is said."""
