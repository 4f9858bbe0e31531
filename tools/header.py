"""keel.h as data: what it declares and what its docs say of it. Read by tools/abi-gate, tools/bindings and the tests in C.

A doc has one form, which this file asks for: paragraphs that say what the thing does, and of a function a last one that
explains its parameters ("name: ..."), its threads, its statuses and since when it exists. What does not have it is a Fault.
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = ROOT / "include/keel/keel.h"
# Numbers that another parameter's explanation tells, such as the count of an array.
TOLD_ELSEWHERE = re.compile(r"\w+_length|count|capacity|size|groups|\w+_count|\w+_bytes")

# What becomes of what is given, by the words that a doc has for it.
OWNERSHIP = {"taken": r"keel owns it|taken over", "kept": r"kept alive|must stay valid|valid as long", "changed": r"\bchanged\b",
             "copied": r"\bcopied\b", "borrowed": r"\bborrowed\b"}


class Fault(Exception):
    """The header is not as its readers need it."""


class Header:
    """What the text of a header declares; each list in the order of the text."""

    def __init__(self, text):
        self.text = text
        code = re.sub(r"//[^\n]*|/\*.*?\*/", " ", text, flags=re.S)
        plain = re.sub(r"^#.*$", "", code, flags=re.M)
        self.prototypes = [" ".join(found.split()) for found in re.findall(r"\bKEEL_API\s+([^;]+);", plain)]
        self.functions = {re.search(r"(keel_\w+)\s*\(", one).group(1): one for one in self.prototypes}
        named = re.findall(r"^#define (KEEL_\w+) ([-(\w].*)$", code, flags=re.M)
        self.constants = {name: int(value.strip("()")) for name, value in named if re.fullmatch(r"\(?-?\d+\)?", value.strip())}
        self.typedefs = {name: kind for kind, name in re.findall(r"typedef (u?int\d+_t) (keel_\w+);", code)}
        self.callbacks = [" ".join(found.split()) for found in re.findall(r"typedef ([^;{]*\(KEEL_CALL \*keel_\w+\)[^;]*);", code)]
        self.structs = {name: members(body) for name, body in re.findall(r"struct (keel_\w+) \{([^}]*)\}", code)}
        self.nouns = [name for name, kind in self.typedefs.items() if kind == "uint64_t"]
        self.called = [re.search(r"\*(keel_\w+)\)", one).group(1) for one in self.callbacks]
        if len(self.functions) < 50 or len(self.constants) < 30 or len(self.structs) < 2:
            raise Fault("the header was not understood: too few functions, constants or structs were found")

    def doc(self, declaration):
        """The comment that stands above a declaration, its paragraphs; declaration: a pattern of how its line begins."""
        found = re.search(rf"((?:^//[^\n]*\n)+)^{declaration}", self.text, flags=re.M)
        if not found:
            raise Fault(f"{declaration}: no doc stands above it")
        lines = [line[3:] for line in found.group(1).splitlines()]
        return [" ".join(paragraph.split()) for paragraph in "\n".join(lines).split("\n\n")]

    def described(self):
        """Everything with its docs: what include/keel/abi.json holds."""
        version = self.constants["KEEL_ABI_VERSION"]
        return {
            "abi": {"major": version >> 16, "minor": version & 0xFFFF},
            "types": [{"name": name, "type": kind, "doc": self.doc(rf"typedef {kind} {name};")}
                      for name, kind in self.typedefs.items() if name not in self.nouns],
            "handles": [{"name": name, "noun": name.removeprefix("keel_"), "type": "uint64_t", "destroy": f"{name}_destroy",
                         "doc": self.doc(rf"typedef uint64_t {name};")} for name in self.nouns],
            "constants": [{"name": name, "value": value, "doc": self.doc(rf"#define {name} ")}
                          for name, value in self.constants.items()],
            "structs": [self.structure(name) for name in self.structs],
            "callbacks": [self.callback(one) for one in self.callbacks],
            "functions": [self.function(one) for one in self.prototypes],
        }

    def structure(self, name):
        body = re.search(rf"struct {name} \{{(.*?)^\}}", self.text, flags=re.S | re.M).group(1)
        found = re.findall(r"((?:^\s*//[^\n]*\n)+)\s*([\w ]+?) (\w+)(?:\[(\d+)\])?;", body, flags=re.M)
        told = [{"name": member, "type": kind, "count": int(count or 1), "doc": " ".join(re.sub(r"^\s*//", "", doc, flags=re.M).split())}
                for doc, kind, member, count in found]
        if [member["name"] for member in told] != self.structs[name]:
            raise Fault(f"struct {name}: a member has no doc")
        return {"name": name, "doc": self.doc(rf"typedef struct {name} "), "members": told}

    def callback(self, text):
        returned, name, listed = re.match(r"(.*?)\s*\(KEEL_CALL \*(keel_\w+)\)\s*\((.*)\)$", text).groups()
        doc = self.doc(rf"typedef .*\(KEEL_CALL \*{name}\)")
        return {"name": name, "returns": returned, "parameters": [{"name": one, "type": kind} for kind, one in parameters(listed)],
                "doc": doc}

    def function(self, prototype):
        returned, name, listed = re.match(r"(.*?)\s*(?:KEEL_CALL )?(keel_\w+)\s*\((.*)\)$", prototype).groups()
        returned = returned.replace(" KEEL_CALL", "")
        *description, contract = self.doc(rf"KEEL_API [^\n]*\b{name}\(")
        tail = re.fullmatch(r"(.*?)\s*Threads: (.*?)\.? Status: (.*?)\.? Since (\d+\.\d+)\.", contract)
        if not description or not tail:
            raise Fault(f"{name}: its doc does not end with Threads, Status and Since")
        explained, threads, status, since = tail.groups()
        told = explanations(name, explained, [one for _, one in parameters(listed)])
        return {
            "name": name,
            "noun": next((noun.removeprefix("keel_") for noun in self.nouns if name.startswith(noun + "_")), ""),
            "returns": returned.replace(" *", "*"),
            "fallible": returned == "keel_status",
            "parameters": [self.parameter(name, kind, one, told.get(one, "")) for kind, one in parameters(listed)],
            "threads": threads, "statuses": re.findall(r"KEEL_(?!OK)[A-Z_]+", status), "since": since, "status": status,
            "doc": description,
        }

    def parameter(self, function, kind, name, doc):
        """A parameter with its direction (in, out, inout), whether it may be NULL, and what becomes of what it points to."""
        opaque = kind == "void *" and name in ("user_data", "stream", "argument")
        noun = kind.rstrip(" *")
        ends = re.search(r"ends it with (keel_\w+)", doc)
        direction = "in" if opaque else way(function, kind, name, doc)
        ownership = None
        if ends:
            ownership = "caller"
        elif kind.endswith("**"):
            ownership = "view" if kind.startswith("const") else "caller"
        elif kind.endswith("*") or noun in self.nouns or opaque:
            found = [(match.start(), word) for word, pattern in OWNERSHIP.items() if (match := re.search(pattern, doc))]
            ownership = min(found)[1] if found else "borrowed" if kind.endswith("*") and direction == "in" and not opaque else None
        return {
            "name": name, "type": kind, "direction": direction,
            "nullable": "nullable" in doc and (kind.endswith("*") or kind in self.called),
            "handle": noun.removeprefix("keel_") if noun in self.nouns else None, "ownership": ownership, "doc": doc,
        }


def members(body):
    return [re.search(r"(\w+)\s*(\[\d+\])?$", one.strip()).group(1) for one in body.split(";") if one.strip()]


def parameters(listed):
    """(type, name) of each parameter in a prototype's parentheses."""
    for one in [] if listed == "void" else listed.split(", "):
        kind, name = re.match(r"(?:struct )?(.*?)(\w+)$", one.strip()).groups()
        kind = kind.replace("struct ", "").strip()
        yield re.sub(r"\s+(\*+)$", r" \1", kind), name


def explanations(function, text, names):
    """What the contract says of each parameter that it names."""
    one = "|".join(names)
    marks = list(re.finditer(rf"(?:^|(?<=[.;] ))((?:{one})(?:, (?:{one}))*): ", text)) if names else []
    if names and (not marks or marks[0].start() != 0):
        if not text.startswith("The result is"):
            raise Fault(f"{function}: its contract does not begin with its parameters")
    told = {}
    for mark, end in zip(marks, [*(mark.start() for mark in marks[1:]), len(text)]):
        for name in mark.group(1).split(", "):
            told[name] = text[mark.end():end].strip()
    for name in names:
        if name not in told and not TOLD_ELSEWHERE.fullmatch(name):
            raise Fault(f"{function}: its doc does not explain {name}")
    return told


def way(function, kind, name, doc):
    if re.match(r"in and out", doc) or "written, or read" in doc:
        return "inout"
    if not kind.endswith("*") or kind.startswith("const ") and not kind.endswith("**") or "*const" in kind:
        return "in"
    if "taken" in doc or "keel owns it" in doc:
        return "in"
    if name not in ("error", "needed") and not re.search(r"\bout\b|room for|where ", doc):
        raise Fault(f"{function}: {name} is written, but its doc does not say so")
    return "out"


def read(path=HEADER):
    return Header(Path(path).read_text(encoding="utf-8"))
