#!/usr/bin/env python3
"""tools/lint.py held to tables: what each rule must catch, and what it must leave alone."""

import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import lint  # noqa: E402

HEAD = "// What it is for.\n#pragma once\n"


def body(statement):
    return "Task<void> f() {\n  " + statement + "\n}\n"


# rule, path, text, lines where it must speak
CASES = [
    (lint.folder_order, "src/base/a.h", '#include "io/b.h"\n', [1]),
    (lint.folder_order, "src/proto/a.cc", '#include "io/b.h"\n', [1]),
    (lint.folder_order, "src/route/a.cc", '#include "base/b.h"\n#include "proto/b.h"\n', []),
    (lint.folder_order, "src/route/a_test.cc", '#include "io/sim_network.h"\n', [1]),
    (lint.folder_order, "src/io/a.cc", '#include "proto/b.h"\n', [1]),
    (lint.folder_order, "src/upstream/a.cc", '#include <io/b.h>\n#include "apps/config/c.h"\n', [2]),
    (lint.folder_order, "src/io/a.cc", "#include <sys/socket.h>\n#include <vector>\n", []),
    (lint.folder_order, "src/extra/a.cc", "", [1]),
    (lint.folder_order, "apps/balancer/a.cc", '#include "io/b.h"\n', []),
    (lint.header_form, "src/io/a.h", HEAD, []),
    (lint.header_form, "src/io/a.h", "#pragma once\n// late\n", [1]),
    (lint.header_form, "src/io/a.h", "// no guard\n", [1]),
    (lint.header_form, "src/io/a.cc", "int x;\n", []),
    (lint.lengths, "src/io/a.cc", "int x;\n" * 650, []),
    (lint.lengths, "tests/socket/a.py", "x = 1\n" * 651, [650]),
    (lint.lengths, "src/io/a.cc", "\nvoid f() {\n" + "  g();\n" * 88 + "}\n", []),
    (lint.lengths, "src/io/a.cc", "\nvoid f() {\n" + "  g();\n" * 89 + "}\n", [2]),
    (lint.lengths, "src/io/a.cc", "namespace rejoin {\n" + "int x;\n" * 200 + "}\n", []),
    (lint.heavy_headers, "apps/config/a.h", "#include <toml++/toml.h>\n", [1]),
    (lint.heavy_headers, "apps/config/a.cc", "#include <toml++/toml.h>\n", []),
    (lint.heavy_headers, "src/base/a.h", "#include <nlohmann/json_fwd.hpp>\n", []),
    (lint.coroutine_waits, "src/io/a.cc", body("co_await read(socket, deadline);"), []),
    (lint.coroutine_waits, "src/io/a.cc", body("const Status done = co_await read(socket);\n  if (!done) co_return;"), []),
    (lint.coroutine_waits, "src/io/a.cc", body("if (const Woken woken = co_await waiter.until(at); woken != x) {\n  }"), []),
    (lint.coroutine_waits, "src/io/a.cc", body("if (!queue.empty()) co_await flush(queue);"), []),
    (lint.coroutine_waits, "src/io/a.cc", body("co_return co_await next(std::move(socket), \"a, b; c?\", 10'000);"), []),
    (lint.coroutine_waits, "src/io/a.cc", body("(void)co_await next();"), []),
    (lint.coroutine_waits, "src/io/a.cc", body("switch (kind) {\n    case Kind::a: co_await f(); break;\n  }"), []),
    (lint.coroutine_waits, "src/base/task.h", "Awaiter operator co_await() const noexcept;\n", []),
    (lint.coroutine_waits, "src/io/a.cc", "// never `co_await (a ? b : c)`\n", []),
    (lint.coroutine_waits, "src/io/a.cc", body("co_await (c ? f() : g());"), [2]),
    (lint.coroutine_waits, "src/io/a.cc", body("auto x = c ? co_await f() : co_await g();"), [2, 2, 2]),
    (lint.coroutine_waits, "src/io/a.cc", body("if (co_await a() || co_await b()) return;"), [2, 2, 2, 2]),
    (lint.coroutine_waits, "src/io/a.cc", body("if (co_await a()) return;"), [2]),
    (lint.coroutine_waits, "src/io/a.cc", body("while (co_await a()) g();"), [2]),
    (lint.coroutine_waits, "src/io/a.cc", body("co_await f({1, 2, 3});"), [2]),
    (lint.coroutine_waits, "src/io/a.cc", body("co_await f(Options{.x = 1});"), [2]),
    (lint.coroutine_waits, "src/io/a.cc", body("Pair p{co_await f(), 1};"), [2]),
    (lint.coroutine_waits, "src/io/a.cc", body("Pair p = {.a = co_await f(), .b = 1};"), [2]),
    (lint.coroutine_waits, "src/io/a.cc", body("g(co_await f());"), [2]),
    (lint.coroutine_waits, "src/io/a.cc", body("auto n = (co_await f()).value();"), [2]),
    (lint.coroutine_waits, "src/io/a.cc", body("auto n = 1 + co_await f();"), [2]),
    (lint.coroutine_waits, "src/io/a.cc", body("bool same = x == co_await f();"), [2]),
    (lint.coroutine_waits, "src/io/a.cc", body("co_await f([&] { return 1; });"), [2, 2]),
    (lint.coroutine_lambdas, "src/io/a.cc", body("auto t = [&](int x) -> Task<void> { co_await f(x); };"), [2]),
    (lint.coroutine_lambdas, "src/io/a.cc", body("spawn([x = 1]() -> Task<int> {\n    co_return x; });"), [2]),
    (lint.coroutine_lambdas, "src/io/a.cc", body("auto t = [](Loop& loop) -> Task<void> { co_await loop.f(); };"), []),
    (lint.coroutine_lambdas, "src/io/a.cc", body("auto t = [&] { g(); };\n  co_await f(t);"), []),
    (lint.coroutine_lambdas, "src/io/a.cc", body("run([&] {\n    spawn([](int x) -> Task<void> { co_return; }(1)); });"), []),
    (lint.coroutine_lambdas, "src/io/a.cc", body("table[index](1);\n  { co_await f(); }"), []),
    (lint.no_sleeps, "src/io/a_test.cc", "std::this_thread::sleep_for(1ms);\n", [1]),
    (lint.no_sleeps, "tests/socket/a.cc", "::usleep(10);\n", [1]),
    (lint.no_sleeps, "tests/socket/a.py", "import time\ntime.sleep(1)\n", [2]),
    (lint.no_sleeps, "tests/browser/a.mjs", "await new Promise((r) => setTimeout(r, 50));\n", [1]),
    (lint.no_sleeps, "tests/sim/a.cc", "co_await io::sleep_until(world, until, stop);\n", []),
    (lint.no_sleeps, "src/io/a.cc", "::usleep(10);\n", []),
    (lint.no_leftovers, "src/io/a.cc", "// TO" "DO: later\n", [1]),
    (lint.no_leftovers, "docs/a.md", "a FIX" "ME\n", [1]),
    (lint.no_prints, "src/io/a.cc", 'std::cout << 1;\nprintf("x");\n', [1, 2]),
    (lint.no_prints, "src/io/a.cc", "snprintf(to, size, form);\n// std::cout\n", []),
    (lint.no_prints, "src/io/a.cc", 'std::fprintf(stderr, "a bug");\nstd::abort();\n', []),
    (lint.no_prints, "apps/demo/a.cc", "std::cout << 1;\n", []),
    (lint.words, "src/route/a.h", "// the backend of his choice\n", [1, 1]),
    (lint.words, "src/route/a.cc", "int backends_max; // this history\n", [1]),
    (lint.words, "apps/config/a.cc", '{"backend", "pool"},\n', []),
    (lint.words, "docs/a.md", "HAProxy calls it a backend\n", []),
    (lint.no_registries, "tests/browser/package-lock.json", '"resolved": "x"\n', [1]),
    (lint.no_registries, "docs/a.md", "https://reg" "istry.example.org/x\n", [1]),
    (lint.plain_text, "src/io/a.cc", "int x; \n\tint y;\nint z;", [1, 2, 3]),
    (lint.plain_text, "docs/a.md", "two spaces  \n", []),
]


class Rules(unittest.TestCase):
    def test_each_case(self):
        for rule, path, text, lines in CASES:
            with self.subTest(rule=rule.__name__, path=path, text=text):
                found = sorted(line for line, _ in rule(lint.Source(path, text)))
                self.assertEqual(found, lines)

    def test_a_reason_on_the_line_answers_a_finding(self):
        sleeping = "time.sleep(1)"  # lint-ok: text, not a sleep
        self.assertTrue(list(lint.check(lint.Source("tests/a.py", sleeping + "\n"))))
        self.assertTrue(list(lint.check(lint.Source("tests/a.py", sleeping + "  # lint-ok:\n"))))
        self.assertFalse(list(lint.check(lint.Source("tests/a.py", sleeping + "  # lint-ok: a poll with a deadline\n"))))

    def test_a_heavy_header_belongs_to_one_source(self):
        text = "#include <CLI/CLI.hpp>\n"
        files = ["apps/a.cc", "apps/b.cc", "apps/b_test.cc"]
        found = list(lint.heavy_headers_once([lint.Source(path, text) for path in files]))
        self.assertEqual([(path, line) for path, line, _ in found], [("apps/b.cc", 1)])

    def test_blanking_keeps_every_offset(self):
        text = 'a("x // y", \'"\', 10\'000); /* ; \n { */ R"(a")" // end\nb\n'
        blank = lint.blank_cpp(text)
        self.assertEqual(len(blank), len(text))
        self.assertEqual(blank.count("\n"), text.count("\n"))
        for gone in ("//", "/*", "{", "end", "y"):
            self.assertNotIn(gone, blank)

    def test_every_rule_has_a_case(self):
        self.assertEqual(set(lint.RULES), {rule for rule, *_ in CASES})


if __name__ == "__main__":
    unittest.main()
