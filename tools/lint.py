#!/usr/bin/env python3
"""The house rules that a compiler does not check. `./dev lint` runs them over every file git knows or would add.

A rule is a function of a Source that yields (line, message); RULES at the end lists them. Where a rule is wrong for one
line, that line says so with its reason: `lint-ok: why`.
"""

import re
import subprocess
import sys
from pathlib import Path

# Inside src/ the order of includes is the path of a byte; the calculators (proto, route, session) never see io.
MAY_INCLUDE = {
    "base": {"base"},
    "io": {"base", "io"},
    "proto": {"base", "proto"},
    "route": {"base", "proto", "route"},
    "session": {"base", "proto", "route", "session"},
    "upstream": {"base", "io", "proto", "route", "session", "upstream"},
    "watch": {"base", "io", "proto", "route", "session", "upstream", "watch"},
}
OUTSIDE_SRC = {"apps", "tests", "bench", "fuzz"}

# Each costs seconds to compile, so one .cc of the program pays for all.
HEAVY_HEADERS = {
    "toml++": r"toml\+\+/",
    "CLI11": r"CLI/",
    "spdlog": r"spdlog/",
    "nlohmann-json": r"nlohmann/json\.hpp",
    "prometheus-cpp": r"prometheus/",
    "c-ares": r"ares\.h",
}

# One word per thing (ARCHITECTURE.md has the list): the word that is not ours, and ours.
WORDS = {
    "backend": "server",
    "frontend": "listener",
    "stickiness": "affinity",
    "vhost": "listener",
    "whitelist": "allow list",
    "blacklist": "deny list",
    "his": "their",
    "him": "them",
}

FILE_LINES_MAX = 650
FUNCTION_LINES_MAX = 90
CODE = {".h", ".cc"}
SCRIPTS = {".py", ".mjs", ".js", ".sh", ".ts"}


class Source:
    """One file: its text, and for C++ the same text with comments, strings and character literals blanked."""

    def __init__(self, path, text):
        self.path = path
        self.text = text
        self.lines = text.split("\n")
        self.parts = Path(path).parts
        self.suffix = Path(path).suffix
        stem = Path(path).stem
        self.is_cpp = self.suffix in CODE
        self.is_test = "tests" in self.parts or stem.endswith("_test")
        self.is_program = self.is_cpp and not self.is_test and not stem.endswith(("_fuzz", "_bench"))
        self.code = blank_cpp(text) if self.is_cpp else text
        self.folder = self.parts[1] if self.parts[0] == "src" and len(self.parts) > 2 else None

    def line_of(self, offset):
        return self.text.count("\n", 0, offset) + 1

    def find(self, pattern, text=None):
        for match in re.finditer(pattern, self.code if text is None else text):
            yield self.line_of(match.start()), match

    def includes(self):
        return ((line, match[1]) for line, match in self.find(r'(?m)^[ \t]*#[ \t]*include[ \t]*[<"]([^>"]+)[>"]', self.text))


def blank_cpp(text):
    token = re.compile(
        r'//(?:\\\n|[^\n])*|/\*.*?\*/|R"([^(\s]*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"'
        r"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'",
        re.S,
    )

    def blank(match):
        found = match[0]
        if found[0] == "/":
            return re.sub(r"[^\n]", " ", found)
        # Quotes stay, so that a string is still seen as one operand.
        return found[0] + re.sub(r"[^\n]", " ", found[1:-1]) + found[-1]

    return token.sub(blank, text)


# ---- folders and headers


def folder_order(source):
    if source.parts[0] != "src" or not source.is_cpp:
        return
    allowed = MAY_INCLUDE.get(source.folder)
    if allowed is None:
        yield 1, f"folder src/{source.folder} has no place in the order of includes (tools/lint.py, MAY_INCLUDE)"
        return
    for line, name in source.includes():
        first = name.split("/")[0]
        if "/" not in name:
            continue
        if first in OUTSIDE_SRC or (first in MAY_INCLUDE and first not in allowed):
            yield line, f"src/{source.folder} may not include {first}/ (the path of a byte goes the other way)"


def header_form(source):
    if source.suffix != ".h":
        return
    if "#pragma once" not in source.text:
        yield 1, "a header says #pragma once"
    if not source.text.startswith(("//", "/*")):
        yield 1, "a header opens with a comment: what it is for, its place on the path, its owner, its thread"


def lengths(source):
    if source.suffix in CODE | SCRIPTS and len(source.lines) - 1 > FILE_LINES_MAX:
        yield FILE_LINES_MAX, f"{len(source.lines) - 1} lines: files end at {FILE_LINES_MAX}; split it by what it does"
    if not source.is_program:
        return
    begin = None
    for number, line in enumerate(source.code.split("\n"), 1):
        if re.match(r"[A-Za-z].*[){]\s*$|[A-Za-z].*\($", line) and not re.match(r"(namespace|class|struct|enum|union|extern)\b", line):
            begin = number
        elif line.startswith("}") and begin:
            if number - begin + 1 > FUNCTION_LINES_MAX:
                yield begin, f"a function of {number - begin + 1} lines: at most {FUNCTION_LINES_MAX}, better 70"
            begin = None


def heavy_headers(source):
    if not source.is_program:
        return
    for line, name in source.includes():
        for library, pattern in HEAVY_HEADERS.items():
            if re.match(pattern, name) and source.suffix == ".h":
                yield line, f"{library} is included by one .cc, never by a header"


def heavy_headers_once(sources):
    """The one rule that needs all files: `path, line, message`."""
    first = {}
    for source in sources:
        if not source.is_program or source.parts[0] not in ("src", "apps"):
            continue
        for line, name in source.includes():
            for library, pattern in HEAVY_HEADERS.items():
                if re.match(pattern, name) and first.setdefault(library, source.path) != source.path:
                    yield source.path, line, f"{library} is already included by {first[library]}: one .cc only"


# ---- coroutines: the forms that GCC 12 miscompiles (docs/decisions), and those that hide a wait


def coroutine_waits(source):
    if not source.is_cpp:
        return
    for line, match in source.find(r"\bco_await\b"):
        if re.search(r"\boperator\s*$", source.code[: match.start()]):
            continue
        for message in judge_wait(source.code, match.start(), match.end()):
            yield line, message


def judge_wait(code, begin, end):
    operand = operand_of_wait(code, end)
    for sign, name in (("?", "`?:`"), ("||", "`||`"), ("&&", "`&&`"), ("{", "braces"), ("co_await", "a second co_await")):
        if sign in operand:
            yield f"co_await with {name} in its expression: name the parts first, then await"
    if re.search(r"(?:^|[(,=\s])\[", operand):
        yield "co_await with a lambda in its expression: name the parts first, then await"
    before = code[:begin].rstrip()
    opener = enclosing_opener(code, begin)
    if opener is not None and code[opener] == "{" and is_list(code, opener):
        yield "co_await inside braces: GCC 12 destroys such an aggregate twice; await into a named local"
    elif opener is not None and code[opener] in "([":
        control = re.search(r"\b(if|switch)\s*$", code[:opener])
        if not (control and re.search(r"[\w>&*]\s+\w+\s*=$", code[opener + 1 : begin].rstrip())):
            yield "co_await inside an expression: await into a named local, then use it"
    elif not re.search(r"(^|[;{})=:]|\belse|\bdo|\bco_return)$", before) or re.search(r"[=!<>]=$|\?[^;{}]*:$", before):
        yield "co_await inside an expression: await into a named local, then use it"


def operand_of_wait(code, end):
    depth = 0
    for position in range(end, len(code)):
        char = code[position]
        if char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
            if depth < 0:
                return code[end:position]
        elif char in ";," and depth == 0:
            return code[end:position]
    return code[end:]


def enclosing_opener(code, begin):
    depth = 0
    for position in range(begin - 1, -1, -1):
        char = code[position]
        if char in ")]}":
            depth += 1
        elif char in "([{":
            if depth == 0:
                return position
            depth -= 1
    return None


def is_list(code, opener):
    """Braces without a `;` or a block of their own are a list or an aggregate, not a block."""
    return ";" not in code[opener : closer_of(code, opener)]


def closer_of(code, opener):
    pairs, depth = {"(": ")", "[": "]", "{": "}"}, 0
    for position in range(opener, len(code)):
        if code[position] in pairs:
            depth += 1
        elif code[position] in pairs.values():
            depth -= 1
            if depth == 0:
                return position
    return len(code)


def coroutine_lambdas(source):
    if not source.is_cpp:
        return
    for line, match in source.find(r"(?<![\w\])\[])\s*\[(?!\[)([^\[\]]+)\]\s*[({]"):
        at = source.code.index("[", match.start())
        body = source.code.find("{", match.end() - 1)
        if body < 0 or ";" in source.code[match.end() - 1 : body]:
            continue
        inside = drop_inner_lambdas(source.code[body + 1 : closer_of(source.code, body)])
        if re.search(r"\bco_(await|return|yield)\b", inside):
            yield source.line_of(at), "a lambda with captures is a coroutine: its captures die before it; pass parameters"


def drop_inner_lambdas(body):
    while match := re.search(r"(?<![\w\])\[])\s*\[(?!\[)[^\[\]]*\]\s*(\([^()]*\))?[^;{}()]*\{", body):
        body = body[: match.start()] + body[closer_of(body, match.end() - 1) + 1 :]
    return body


# ---- habits


def no_sleeps(source):
    if not source.is_test:
        return
    patterns = {
        ".py": r"\btime\.sleep\(",
        ".mjs": r"\bsetTimeout\(|timers/promises|waitForTimeout",
        ".js": r"\bsetTimeout\(",
        ".sh": r"(?m)^\s*sleep\b",
    }
    pattern = patterns.get(source.suffix, r"this_thread::sleep|(?<!co_await )\b(u|nano)?sleep\s*\(" if source.is_cpp else None)
    if pattern:
        for line, _ in source.find(pattern):
            yield line, "a sleep in a test: advance the simulated clock, or poll until a deadline"


def no_leftovers(source):
    for line, match in source.find(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b", source.text):
        yield line, f"{match[0]}: do it, or file an issue"


def no_prints(source):
    if source.parts[0] == "src" and source.is_program:
        for line, match in source.find(r"\bstd::(cout|cerr|clog)\b|(?<!\w)(f?printf|puts)\s*\("):
            last_words = re.match(r"fprintf\(stderr[^;]*;\s*std::abort\(", source.code[match.start() :])
            if not last_words:
                yield line, "src/ never prints: take a Log"


def words(source):
    if not source.is_cpp or source.parts[0] not in ("src", "apps"):
        return
    # Strings may speak to people who come with other words.
    text = re.sub(r'"(?:\\.|[^"\\\n])*"', lambda found: " " * len(found[0]), source.text)
    for line, match in source.find(r"(?i)(?<![A-Za-z])(" + "|".join(WORDS) + r")s?(?![A-Za-z])", text):
        yield line, f"'{match[0]}': our word is '{WORDS[match[1].lower()]}' (ARCHITECTURE.md has the list)"


def no_registries(source):
    if source.path.endswith("package-lock.json"):
        for line, _ in source.find(r'"resolved"', source.text):
            yield line, "a lock file without addresses: npm config set omit-lockfile-registry-resolved true"
    for line, _ in source.find(r"https?://(registry|deb|security|pypi|proxy|mirrors?|npm)\.", source.text):
        yield line, "the address of a package registry: name the package, its client knows from where"


def plain_text(source):
    for number, line in enumerate(source.lines, 1):
        if source.suffix != ".md" and line != line.rstrip() or "\r" in line:
            yield number, "space at the end of the line"
    if source.suffix in CODE | SCRIPTS:
        for line, _ in source.find(r"(?m)^\t", source.text):
            yield line, "a tab at the beginning of a line"
    if source.text and not source.text.endswith("\n"):
        yield len(source.lines), "no line end at the end of the file"


RULES = [
    folder_order,
    header_form,
    lengths,
    heavy_headers,
    coroutine_waits,
    coroutine_lambdas,
    no_sleeps,
    no_leftovers,
    no_prints,
    words,
    no_registries,
    plain_text,
]


def check(source):
    """Every finding in one file that its line does not answer with `lint-ok: reason`."""
    for rule in RULES:
        for line, message in rule(source):
            if not re.search(r"lint-ok: \w", source.lines[min(line, len(source.lines)) - 1]):
                yield line, message


def tracked_files():
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], check=True, capture_output=True)
    for path in sorted(set(listed.stdout.decode().split("\0"))):
        # A corpus and test vectors are bytes, not text of ours.
        if path and Path(path).is_file() and not path.startswith("fuzz/corpus/") and path != "LICENSE":
            yield path


def main():
    sources = []
    for path in tracked_files():
        try:
            sources.append(Source(path, Path(path).read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue
    found = [(source.path, line, message) for source in sources for line, message in check(source)]
    found += heavy_headers_once(sources)
    for path, line, message in sorted(found):
        print(f"{path}:{line}: {message}")
    print(f"lint: {len(sources)} files, {len(found)} findings", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
