#!/usr/bin/env python3
"""Holds the layer table: who may include whom. --self-test checks the checker."""

import re
import sys
from pathlib import Path

# What a layer may include besides itself. This is the table of docs/architecture.md, written out.
LAYERS = {
    "base": set(),
    "model": {"base"},
    "io": {"base"},
    "cache": {"base"},
    "trace": {"base"},
    "store": {"base", "model"},
    "machine": {"base", "io"},
    "plan": {"base", "machine", "model"},
    "residency": {"base", "cache", "io", "model"},
    "backend": {"base", "cache", "io", "machine", "model", "residency", "trace"},
    "engine": {"base", "backend", "cache", "io", "machine", "model", "plan", "residency", "trace"},
    "server": {"base", "engine", "machine", "model", "plan", "store", "trace"},
    "plugin": {"base", "backend", "cache", "io", "machine", "model", "plan", "residency", "trace"},
    "cli": {"base", "engine", "machine", "model", "plan", "server", "store", "trace"},
}

# Values in, values out: no files, clocks or threads.
PURE_LAYERS = {"cache", "plan"}
IMPURE = re.compile(r"fstream|iostream|filesystem|cstdio|thread|chrono|.*\.h")
IMPURE_OF_BASE = {"base/clock.h", "base/replace_file.h", "base/thread_urgency.h"}
SYSTEM = re.compile(r"[a-z0-9_]+|[a-z0-9_]+\.h|(sys|linux|asm|netinet|arpa|mach|mach-o|dispatch)/.*\.h")

LLAMA_COMMON = """arg base64 build-info chat chat-auto-parser chat-peg-parser common console debug
    download fit hf-cache json-schema-to-grammar json-schema log ngram-cache ngram-map
    ngram-mod peg-parser preset reasoning-budget sampling speculative subproc trie unicode""".split()

# (headers, which layers or files may include them, why). "model:one" is one file of model.
THIRD_PARTY = [
    (r"liburing\.h", ["io/uring_device.cpp"], "liburing lies behind the block device"),
    (r"gguf\.h", ["model:one"], "one file of src/model reads GGUF"),
    (r"ggml-backend\.h", ["backend", "plugin/entry.cc", "plugin/plugin.h"],
     "ggml lies behind the backend"),
    (r"ggml.*\.h", ["backend", "model:one"], "ggml lies behind the backend"),
    (r"llama.*\.h", ["engine", "server", "cli"], "llama.cpp lies behind the engine"),
    (rf"({'|'.join(LLAMA_COMMON)})\.h(pp)?|jinja/.*", ["engine", "server", "cli"],
     "llama.cpp's common lies behind the engine"),
    (r"mtmd\.h", ["engine/projector.cpp"], "llama.cpp's server loads projectors"),
    (r"server-[a-z]+\.h", ["server"], "the inside of llama.cpp's server"),
    (r"cpp-httplib/httplib\.h", ["server", "cli"], "HTTP is for the edges"),
    (r"nlohmann/.*", ["machine", "plan", "store", "trace", "engine", "server", "cli"],
     "JSON is for the edges"),
    (r"curl/.*", ["store/curl_library.h"], "one file loads it"),
    (r"hash/.*", ["store/digest.cpp"], "one file hashes what is downloaded"),
    (r"CLI/.*", ["cli"], "options are parsed in the commands"),
    (r"(gtest|gmock)/.*", [], "tests only"),
    (r"fmt/.*", list(LAYERS), ""),
]

INCLUDE = re.compile(r'^\s*#\s*(?:include|import)\s*([<"])([^>"]+)[>"]')
SUFFIXES = {".h", ".hpp", ".c", ".cc", ".cpp", ".mm"}


def includes(text):
    """(line number, header, quoted) of every include."""
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match[2], match[1] == '"'


def known(header):
    return any(re.fullmatch(pattern, header) for pattern, _, _ in THIRD_PARTY)


def is_impure(header):
    return IMPURE.fullmatch(header) and not known(header)


def refuse_third_party(place, header):
    """Why `place`, a path below src/, may not include `header`; None where it may."""
    for pattern, owners, why in THIRD_PARTY:
        if re.fullmatch(pattern, header):
            layer = place.split("/")[0]
            if layer in owners or place in owners or f"{layer}:one" in owners:
                return None
            return why
    return None if SYSTEM.fullmatch(header) else "an unknown library"


def check_file(files, path, text):
    """The broken rules of one file of src/. `files` are all paths below the root."""
    place = path.removeprefix("src/")
    layer = place.split("/")[0]
    if layer not in LAYERS:
        yield f"{path}: src/{layer} is not in the layer table"
        return
    is_test = path.endswith("_test.cpp")
    for number, header, quoted in includes(text):
        where = f"{path}:{number}: {header}"
        if "src/" + header in files:
            target = header.split("/")[0]
            if target != layer and target not in LAYERS[layer]:
                yield f"{where}: {layer} may not include {target}"
            if target == layer and header.endswith(".cpp"):
                yield f"{where}: includes a .cpp"
            if layer in PURE_LAYERS and not is_test and header in IMPURE_OF_BASE:
                yield f"{where}: {layer} is pure"
        elif header.startswith("hypura/"):
            if "include/" + header not in files:
                yield f"{where}: no such header"
        elif header.split("/")[0] in LAYERS or header.startswith("."):
            yield f"{where}: no such header; write it from src/ on"
        elif is_test and header.startswith(("gtest/", "gmock/")):
            pass
        elif why := refuse_third_party(place, header):
            yield f"{where}: not in {place}: {why}"
        elif layer in PURE_LAYERS and not is_test and is_impure(header):
            yield f"{where}: {layer} is pure"
        elif quoted and not known(header):
            yield f"{where}: no such header"


def check_single_file(sources):
    """One file of src/model, and no second, knows ggml."""
    users = [path for path, text in sources.items() if path.startswith("src/model/")
             and any(re.fullmatch(r"gguf\.h|ggml.*\.h", header) for _, header, _ in includes(text))
             and not path.endswith("_test.cpp")]
    if len(users) > 1:
        yield f"{', '.join(sorted(users))}: only one file of src/model may include ggml"
    for path in users:
        if path.endswith(".h"):
            yield f"{path}: ggml belongs in a .cpp"


def check_cycles(sources):
    """Every include cycle among the files of src/, once."""
    edges = {path: [f"src/{header}" for _, header, _ in includes(text)
                    if f"src/{header}" in sources] for path, text in sources.items()}
    done, chain = set(), []

    def visit(path):
        if path in chain:
            yield "cycle: " + " -> ".join(chain[chain.index(path):] + [path])
            return
        if path in done:
            return
        chain.append(path)
        for target in edges[path]:
            yield from visit(target)
        chain.pop()
        done.add(path)

    for path in sorted(edges):
        yield from visit(path)


def check_installed(files, path, text):
    """include/hypura/ stands alone: the standard library and itself."""
    for number, header, quoted in includes(text):
        own = header.startswith("hypura/") and "include/" + header in files
        if (quoted and not own) or (not quoted and "." in header):
            yield f"{path}:{number}: {header}: an installed header includes only its own kind"


def check_links(layer, text):
    """The LINKS of src/LAYER/CMakeLists.txt say the same as the table."""
    call = re.search(r"hypura_layer\(\w+(.*?)\)", text, re.S)
    for name in re.findall(r"\bhypura_(\w+)", call[1] if call else ""):
        if name in LAYERS and name not in LAYERS[layer]:
            yield f"src/{layer}/CMakeLists.txt: {layer} may not link {name}"


def check(files):
    """All broken rules. `files`: path below the root -> text."""
    sources = {path: text for path, text in files.items()
               if path.startswith("src/") and Path(path).suffix in SUFFIXES}
    for path, text in sorted(files.items()):
        if path in sources:
            yield from check_file(files, path, text)
        elif path.startswith("include/hypura/"):
            yield from check_installed(files, path, text)
        elif match := re.fullmatch(r"src/(\w+)/CMakeLists\.txt", path):
            yield from check_links(match[1], text) if match[1] in LAYERS else ()
    yield from check_single_file(sources)
    yield from check_cycles(sources)


def read_tree(root):
    return {str(path.relative_to(root)): path.read_text(encoding="utf-8")
            for top in ("src", "include") for path in (root / top).rglob("*")
            if path.suffix in SUFFIXES or path.name == "CMakeLists.txt"}


def self_test():
    good = {
        "include/hypura/hypura.h": "#include <cstdint>\n",
        "src/base/status.h": "#include <string>\n",
        "src/base/clock.h": "#include <chrono>\n",
        "src/base/status.cpp": '#include "base/status.h"\n#include <fmt/format.h>\n',
        "src/cache/lru.h": '#include <vector>\n#include "base/status.h"\n',
        "src/cache/lru_test.cpp": '#include "cache/lru.h"\n#include <gtest/gtest.h>',
        "src/io/uring_device.cpp": "#include <liburing.h>\n#include <unistd.h>\n",
        "src/model/gguf_file.cpp": "#include <gguf.h>\n#include <ggml.h>\n",
        "src/backend/device.cpp": '#include "ggml-backend-impl.h"\n#include "cache/lru.h"\n',
        "src/cli/main.cc": '#include "llama.h"\n#include "chat.h"\n#include <CLI/CLI.hpp>\n',
        "src/cache/CMakeLists.txt": "hypura_layer(cache LINKS hypura_base)",
    }
    assert list(check(good)) == [], list(check(good))

    bad = {
        "a layer above": ("src/base/a.h", '#include "cache/lru.h"'),
        "a layer beside": ("src/cache/a.h", '#include "io/uring_device.cpp"'),
        "io in a pure layer": ("src/cache/a.cpp", "#include <fstream>"),
        "a system header in a pure layer": ("src/plan/a.cpp", "#include <sys/mman.h>"),
        "a clock in a pure layer": ("src/plan/a.cpp", '#include "base/clock.h"'),
        "liburing elsewhere": ("src/io/a.cpp", "#include <liburing.h>"),
        "gguf elsewhere": ("src/residency/a.cpp", "#include <gguf.h>"),
        "gguf twice": ("src/model/a.cpp", "#include <gguf.h>"),
        "ggml in the engine": ("src/engine/a.cpp", '#include "ggml.h"'),
        "llama in the backend": ("src/backend/a.cpp", "#include <llama.h>"),
        "common in the backend": ("src/backend/a.cpp", '#include "sampling.h"'),
        "gtest outside a test": ("src/io/a.cpp", "#include <gtest/gtest.h>"),
        "CLI outside a command": ("src/engine/a.cpp", "#include <CLI/CLI.hpp>"),
        "curl elsewhere": ("src/cli/run.cpp", "#include <curl/curl.h>"),
        "json in a low layer": ("src/io/a.cpp", "#include <nlohmann/json.hpp>"),
        "an unknown library": ("src/io/a.cpp", "#include <boost/asio.hpp>"),
        "a missing header": ("src/io/a.cpp", '#include "io/none.h"'),
        "a short path": ("src/cache/a.cpp", '#include "lru.h"'),
        "an unknown layer": ("src/extra/a.h", ""),
        "a cycle": ("src/base/status.h", '#include "base/status.h"'),
        "an installed header": ("include/hypura/a.h", '#include "base/status.h"'),
        "a link": ("src/cache/CMakeLists.txt", "hypura_layer(cache LINKS hypura_io)"),
        "a test's layer above": ("src/base/a_test.cpp", '#include "cache/lru.h"'),
    }
    for name, (path, text) in bad.items():
        assert list(check({**good, path: text})), f"not caught: {name}"
    print(f"check_includes: self-test passed, {len(bad)} broken rules caught")


def main():
    if "--self-test" in sys.argv[1:]:
        return self_test()
    problems = list(check(read_tree(Path(__file__).resolve().parent.parent)))
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        sys.exit(1)
    print("check_includes: the layers hold")


if __name__ == "__main__":
    main()
