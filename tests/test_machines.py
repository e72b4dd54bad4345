"""Other machines: nothing of ours needs POSIX, and no file depends on the machine's line ends or encoding."""

import ast
from collections.abc import Iterator
from pathlib import Path

import forked

ROOT = Path(__file__).parent.parent
OURS = [path for folder in ("lmrl_data", "lmrl_eval", "recipes", "cards") for path in (ROOT / folder).rglob("*.py")]
# What Windows does not have.
MODULES = ("crypt", "fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty")
NAMES = {
    "os": "O_DIRECTORY O_NOFOLLOW WNOHANG chown fork forkpty geteuid getgid getloadavg getpgid "
    "getuid initgroups killpg mkfifo mknod nice posix_spawn pread sched_getaffinity setpgid setsid setuid statvfs "
    "sysconf uname wait wait4 waitid",
    "signal": "SIGALRM SIGCHLD SIGCONT SIGHUP SIGKILL SIGQUIT SIGSTOP SIGTSTP SIGUSR1 SIGUSR2 SIGVTALRM alarm pause "
    "pthread_kill pthread_sigmask setitimer sigtimedwait sigwait",
}
# A program that is left with what Windows has, too; our modules are imported after that.
WINDOWS = f"""
import importlib, os, signal, sys

for name in [name for name in sys.modules if name.startswith("lmrl_")]:
    del sys.modules[name]
for name in {MODULES!r}:
    sys.modules[name] = None
for module, names in {NAMES!r}.items():
    for name in names.split():
        if hasattr(sys.modules[module], name):
            delattr(sys.modules[module], name)

def run(module, *arguments):
    try:
        importlib.import_module(module).main(arguments)
    except SystemExit as end:
        print(module, *arguments[:2], end.code)

run("lmrl_data.cli", "build", "maze", "--episodes", "5")
run("lmrl_data.cli", "stats", "maze")
run("lmrl_data.cli", "show", "maze")
run("lmrl_eval.commands.main", "run", "--task", "maze", "--policy", "scripted:random",
    "--episodes", "2", "--out", "r[1]")
run("lmrl_eval.commands.main", "report", "r[1]")
run("lmrl_eval.commands.main", "verify", "r[1]")
"""


def test_commands_need_nothing_that_windows_does_not_have(tmp_path: Path) -> None:
    script = tmp_path / "windows.py"
    script.write_text(WINDOWS, encoding="utf-8")
    program = forked.run([script], folder=tmp_path, output=tmp_path / "log")
    ends = [line for line in program.stdout.splitlines() if line.startswith("lmrl_")]
    assert [line.split()[-1] for line in ends] == ["0"] * 6, program
    assert (tmp_path / "r[1]" / "score.json").is_file()
    assert (tmp_path / "report" / "report.md").is_file()


def posix_names(source: str) -> Iterator[str]:
    """What a source uses of POSIX without asking whether it is there."""
    tree = ast.parse(source)
    tried = {
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.Try)
        and any("ImportError" in ast.unparse(part.type or part) for part in block.handlers)
        for statement in block.body
        for node in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if node in tried:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
            yield str(node.module)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = node.value.id
            if node.attr in NAMES.get(module, "").split() and f'hasattr({module}, "{node.attr}")' not in source:
                yield f"{module}.{node.attr}"


def test_what_only_posix_has_is_asked_for_first() -> None:
    assert list(posix_names("import fcntl\nos.killpg(3, signal.SIGKILL)")) == ["fcntl", "os.killpg", "signal.SIGKILL"]
    assert list(posix_names("try:\n    import resource\nexcept (ImportError, OSError):\n    pass")) == []
    assert list(posix_names('if hasattr(os, "killpg"):\n    os.killpg(3, 9)')) == []
    wrong = {str(path.relative_to(ROOT)): list(posix_names(path.read_text("utf-8"))) for path in OURS}
    assert {path: names for path, names in wrong.items() if names} == {}


def careless_files(source: str) -> Iterator[str]:
    """The calls that leave a text file's encoding, or the line ends of one that is written, to the machine."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
        named = {keyword.arg for keyword in node.keywords}
        if name == "read_text" and not node.args:
            needed = {"encoding"}
        elif name == "write_text" and isinstance(node.func, ast.Attribute):
            needed = {"encoding", "newline"}
        elif name in ("open", "fdopen", "NamedTemporaryFile") and ast.unparse(node.func) != "os.open":
            texts = [value.value for value in node.args if isinstance(value, ast.Constant)]
            mode = next((text for text in texts if isinstance(text, str) and 0 < len(text) <= 3), "r")
            needed = set() if "b" in mode else {"encoding"} if "r" in mode else {"encoding", "newline"}
        else:
            needed = set()
        if not needed <= named:
            yield ast.unparse(node)


def test_no_text_file_depends_on_the_machine() -> None:
    assert len(list(careless_files('path.read_text()\npath.write_text("a", encoding="utf-8")\nopen(path, "w")'))) == 3
    assert list(careless_files('path.read_text("utf-8")\nopen(path, "rb")\nwrite_text(path, "a")')) == []
    paths = [*OURS, *(ROOT / "benchmarks").glob("*.py")]
    wrong = {str(path.relative_to(ROOT)): list(careless_files(path.read_text("utf-8"))) for path in paths}
    assert {path: calls for path, calls in wrong.items() if calls} == {}
