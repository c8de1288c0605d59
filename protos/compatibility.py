"""Whether the contract keeps what its releases promised: `python -m protos.compatibility`, or `make contract`.

`buf breaking` compares the protos with the image of the last release and with the previous commit. It
also compares them with every earlier release, for numbers and names that were given up and come back.
The units that comments name are compared with those of the last release. Each finding says what to do
instead.
"""

import json
import re
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from protos import images, units

BUF = Path(sysconfig.get_path("scripts")) / "buf"
CONFIG = images.PROTOS / "buf.yaml"
GIVEN_UP = '{"version":"v2","breaking":{"use":["WIRE_JSON","FIELD_SAME_TYPE","FIELD_SAME_CARDINALITY"]}}'

_LAYERS = {"WIRE": "wire", "WIRE_JSON": "JSON", "FILE": "source"}
_CALLS = {"RPC_NO_DELETE", "SERVICE_NO_DELETE"}
_NEW_FIELD = "add a field with a new name and the next free number, and mark this one `[deprecated = true]`"
_INSTEAD = (
    (r"RESERVED", "reserve its number and its name for ever; nothing may use them again"),
    (r"(FIELD|ENUM_VALUE)_NO_DELETE", "keep it, marked `[deprecated = true]`; only a new package `v2` may do without"),
    (r"ENUM_VALUE_", "keep name and number, and add a value with the next free number"),
    (r"FIELD_SAME_(NAME|JSON_NAME)", f"keep the name; or {_NEW_FIELD}"),
    (r"FIELD_|ONEOF_", _NEW_FIELD),
    (r"RPC_SAME_", "keep the method as it is, and add one with a new name"),
    (r"FILE_SAME_PACKAGE", "leave the package as it is, and put a new one, such as `v2`, beside it"),
    (r"_NO_DELETE", "keep it, with `option deprecated = true;`; only a new package `v2` may do without"),
    (units.RULE, f"say it in the released units; for another unit, {_NEW_FIELD}"),
    (r"", "undo it, or do it in a new package `v2`"),
)


@dataclass(frozen=True)
class Finding:
    """A promise that is not kept."""

    subject: str
    """Full name of what was promised, as released."""
    rules: tuple[str, ...]
    """The rules of buf that are broken, or the one of `protos.units`; the plainest first."""
    breaks: frozenset[str]
    """What it breaks for consumers: `wire`, `JSON`, `source` or `meaning`."""
    place: str
    """`file:line` of the change; the line of what surrounded it where it is gone."""
    message: str
    """What was changed."""
    against: str
    """What it was compared with: a release or a commit."""

    @property
    def instead(self) -> str:
        """What to do instead."""
        return next(advice for pattern, advice in _INSTEAD if re.search(pattern, self.rules[0]))

    def __str__(self) -> str:
        breaks = ", ".join(sorted(self.breaks))
        return (
            f"{self.place}: {self.subject}: {self.message}\n"
            f"  rule {self.rules[0]}, against {self.against}; breaks {breaks}\n"
            f"  instead: {self.instead}"
        )


def breaking(current: Path, against: Path, config: Path | str = CONFIG) -> list[Finding]:
    """What `buf breaking` finds in an image, one finding for each thing that was promised."""
    arguments: list[str | Path] = [BUF, "breaking", current, "--against", against, "--config", config]
    arguments += ["--path", "ghostback", "--error-format", "json"]
    run = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if run.returncode not in (0, 100):
        raise RuntimeError(run.stderr)
    numbered = _numbered(against)
    groups: dict[str, list[dict[str, str]]] = {}
    for line in run.stdout.splitlines():
        entry = json.loads(line)
        groups.setdefault(_subject(entry, numbered), []).append(entry)
    return [_finding(subject, entries, against.stem) for subject, entries in groups.items()]


def _finding(subject: str, entries: list[dict[str, str]], against: str) -> Finding:
    """One finding of what buf says of one thing, in the words of its plainest rule."""
    entries.sort(key=lambda entry: "FILE" not in _categories()[entry["type"]])
    rules = tuple(dict.fromkeys(entry["type"] for entry in entries))
    breaks = {_LAYERS[category] for rule in rules for category in _categories()[rule] & _LAYERS.keys()}
    if _CALLS & set(rules):
        breaks.add("wire")
    place = f"{entries[0].get('path', subject)}:{entries[0].get('start_line', 1)}"
    return Finding(subject, rules, frozenset(breaks), place, entries[0]["message"], against)


@cache
def _categories() -> dict[str, set[str]]:
    rules = subprocess.run(
        [BUF, "config", "ls-breaking-rules", "--version", "v2", "--format", "json"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {rule["id"]: set(rule["categories"]) for rule in map(json.loads, rules.stdout.splitlines())}


def _numbered(image: Path) -> dict[tuple[str, int], str]:
    """Full names of fields and enum values by those of message or enum, and number."""
    found = {}
    for file in images.read(image).file:
        for message in file.message_type:
            for field in message.field:
                owner = f"{file.package}.{message.name}"
                found[owner, field.number] = f"{owner}.{field.name}"
        for enum in file.enum_type:
            for value in enum.value:
                owner = f"{file.package}.{enum.name}"
                found[owner, value.number] = f"{owner}.{value.name}"
    return found


def _subject(entry: dict[str, str], numbered: dict[tuple[str, int], str]) -> str:
    """What an entry of buf is about: its sentence names owner and number or name, its file the package."""
    if "path" not in entry:
        return entry["message"].split('"')[1]
    package = str(Path(entry["path"]).parent).replace("/", ".")
    named = dict(re.findall(r'\b(field|enum value|rpc|message|enum|service|oneof) "(.+?)"', entry["message"], re.I))
    named = {kind.lower(): name for kind, name in named.items()}
    owner = ".".join([package, *(named[kind] for kind in ("message", "enum", "service") if kind in named)])
    member = next((named[kind] for kind in ("field", "enum value", "rpc", "oneof") if kind in named), "")
    known = numbered.get((owner, int(member))) if member.isdigit() else None
    return known or f"{owner}.{member}".removesuffix(".")


def units_changed(current: Path, release: Path) -> list[Finding]:
    """What no longer says a unit that its comment in a release named."""
    said = images.comments(current)
    findings = []
    for name, comment in images.comments(release).items():
        change = units.changed(comment.text, said[name].text) if name in said else ""
        if change:
            breaks = frozenset({"meaning"})
            findings.append(Finding(name, (units.RULE,), breaks, said[name].place, change, release.stem))
    return findings


def check(current: Path, releases: Sequence[Path], commit: Path | None = None) -> list[Finding]:
    """What an image breaks of releases, the last first, and of the previous commit; each thing once."""
    findings = []
    for last in releases[:1]:
        findings += breaking(current, last) + units_changed(current, last)
    for release in releases:
        findings += breaking(current, release, GIVEN_UP)
    if commit:
        findings += breaking(current, commit)
    return list({finding.subject: finding for finding in reversed(findings)}.values())[::-1]


def main() -> None:
    """Print what is broken; exit with 1 when anything is."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        current = images.compile_protos(images.PROTOS, folder / "current.binpb")
        findings = check(current, images.releases(), images.compile_commit("HEAD~1", folder))
    print("\n".join(map(str, findings)) or "nothing that was released is broken")  # noqa: T201
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
