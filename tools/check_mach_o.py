#!/usr/bin/env python3
"""tools/check_mach_o.py PROGRAM: whether a file is a whole hypura for macOS on Apple silicon.

Reads the Mach-O file itself, so that it needs no tool of Apple's. --self-test checks the checker.
"""

import struct
import sys

MAGIC_64 = 0xFEEDFACF
CPU_ARM64 = 0x0100000C
EXECUTE, NO_UNDEFINED = 2, 0x1
SYMTAB, LOAD_DYLIB, CODE_SIGNATURE, BUILD_VERSION, MAIN = 0x2, 0xC, 0x1D, 0x32, 0x80000028
PLATFORM_MACOS = 1
DYNAMIC_LOOKUP = 0xFE  # the library of a symbol that nobody was asked for

LIBRARIES = {"/usr/lib/libSystem.B.dylib"}
# What only the code for macOS calls: thread classes, memory in use, cores.
OWN_CALLS = {"_pthread_set_qos_class_self_np", "_host_statistics64", "_task_info", "_sysctlbyname"}


def text_at(data, at):
    return data[at:data.index(b"\0", at)].decode()


def commands(data):
    """(kind, where it begins) of every load command."""
    count = struct.unpack_from("<I", data, 16)[0]
    at = 32
    for _ in range(count):
        kind, size = struct.unpack_from("<II", data, at)
        yield kind, at
        at += size


def symbols(data, command):
    """(name, library or None if it is defined here) of every global symbol."""
    first, count, strings, _ = struct.unpack_from("<IIII", data, command + 8)
    for i in range(count):
        name, kind, _, description, _ = struct.unpack_from("<IBBHQ", data, first + 16 * i)
        if kind & 0xE0 or not kind & 0x01:
            continue  # for debuggers, or local
        yield text_at(data, strings + name), None if kind & 0x0E else description >> 8


def check(data):
    """What is wrong with the program. Empty: nothing."""
    if len(data) < 32:
        return ["it is no Mach-O file"]
    magic, cpu, _, kind, _, _, flags = struct.unpack_from("<7I", data)
    if magic != MAGIC_64:
        return ["it is no Mach-O file of 64 bits"]
    problems = []
    if cpu != CPU_ARM64:
        problems.append(f"it is for processor {cpu:#x}, not arm64")
    if kind != EXECUTE:
        problems.append(f"it is of kind {kind}, not a program")
    if not flags & NO_UNDEFINED:
        problems.append("its linker left symbols undefined")

    found = {}
    for command, at in commands(data):
        found.setdefault(command, []).append(at)
    for command, what in ((MAIN, "entry"), (CODE_SIGNATURE, "signature, so Apple silicon ends it"),
                          (SYMTAB, "symbols")):
        if command not in found:
            problems.append(f"it has no {what}")
    platforms = [struct.unpack_from("<I", data, at + 8)[0] for at in found.get(BUILD_VERSION, [])]
    if platforms != [PLATFORM_MACOS]:
        problems.append(f"it is for the platforms {platforms}, not macOS")
    libraries = {text_at(data, at + struct.unpack_from("<I", data, at + 8)[0])
                 for at in found.get(LOAD_DYLIB, [])}
    if libraries != LIBRARIES:
        problems.append(f"it loads {sorted(libraries)}, not just {sorted(LIBRARIES)}")

    library_of = {}
    for at in found.get(SYMTAB, []):
        library_of.update(symbols(data, at))
    imported = {name for name, library in library_of.items() if library is not None}
    if "_main" not in library_of or "_main" in imported:
        problems.append("it has no main")
    loose = sorted(name for name in imported if library_of[name] in (0, DYNAMIC_LOOKUP))
    if loose:
        problems.append(f"no library is named for {', '.join(loose)}")
    if missing := OWN_CALLS - imported:
        problems.append(f"the code for macOS is not in it: no calls of {', '.join(sorted(missing))}")
    return problems


def sample(cpu=CPU_ARM64, flags=NO_UNDEFINED, library=b"/usr/lib/libSystem.B.dylib", main=b"_main",
           ordinal=1, platform=PLATFORM_MACOS, commands_left_out=()):
    """The smallest program that passes, or one with a fault."""
    names = [main] + [name.encode() for name in sorted(OWN_CALLS)]
    strings, table = b"\0", []
    for name in names:
        kind, description = (0x0F, 0) if name == main else (0x01, ordinal << 8)
        table.append((len(strings), kind, description))
        strings += name + b"\0"
    library += b"\0" * (8 - len(library) % 8)
    parts = {
        MAIN: struct.pack("<IIQQ", MAIN, 24, 0, 0),
        CODE_SIGNATURE: struct.pack("<IIII", CODE_SIGNATURE, 16, 0, 0),
        BUILD_VERSION: struct.pack("<IIIIII", BUILD_VERSION, 24, platform, 0, 0, 0),
        LOAD_DYLIB: struct.pack("<IIIIII", LOAD_DYLIB, 24 + len(library), 24, 0, 0, 0) + library,
        SYMTAB: b"\0" * 24,
    }
    for command in commands_left_out:
        del parts[command]
    begin = 32 + sum(map(len, parts.values()))
    if SYMTAB in parts:
        parts[SYMTAB] = struct.pack("<IIIIII", SYMTAB, 24, begin, len(table),
                                    begin + 16 * len(table), len(strings))
    body = b"".join(parts.values())
    header = struct.pack("<8I", MAGIC_64, cpu, 0, EXECUTE, len(parts), len(body), flags, 0)
    entries = b"".join(struct.pack("<IBBHQ", name, kind, 0, description, 0)
                       for name, kind, description in table)
    return header + body + entries + strings


def self_test():
    assert check(sample()) == [], check(sample())
    bad = {
        "nothing": b"",
        "a program for Linux": b"\x7fELF" + b"\0" * 60,
        "another processor": sample(cpu=0x01000007),
        "undefined symbols": sample(flags=0),
        "another library": sample(library=b"/usr/lib/libcurl.4.dylib"),
        "no main": sample(main=b"_start"),
        "a symbol to be looked up anywhere": sample(ordinal=DYNAMIC_LOOKUP),
        "another platform": sample(platform=2),
        "no entry": sample(commands_left_out=[MAIN]),
        "no signature": sample(commands_left_out=[CODE_SIGNATURE]),
        "no symbols": sample(commands_left_out=[SYMTAB]),
    }
    for name, data in bad.items():
        assert len(check(data)) > 0, f"not caught: {name}"
    print(f"check_mach_o: self-test passed, {len(bad)} bad programs caught")


def main():
    if "--self-test" in sys.argv[1:]:
        return self_test()
    path = sys.argv[1]
    with open(path, "rb") as file:
        data = file.read()
    problems = check(data)
    for problem in problems:
        print(f"{path}: {problem}", file=sys.stderr)
    if problems:
        sys.exit(1)
    print(f"check_mach_o: {path}: a whole program for arm64 macOS, {len(data) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
