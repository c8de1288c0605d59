"""The feature sets that are served: the built-in ones, and screened ones from a folder."""

import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from services.common.errors import FailedPrecondition, InvalidInput, Unavailable, Violation
from services.features import feature_sets
from services.features.feature_sets import FeatureSet
from services.features.screening.screened import DocumentError, ScreenedSet, from_document, to_document

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")


class Library:
    """Built-in feature sets and the documents of a folder, read again whenever they are asked for.

    A document that cannot be served is refused with the reason and stops no other.
    """

    def __init__(self, folder: Path | None) -> None:
        """Serve the documents of a folder, `{name}@{version}.json`; None where there is none."""
        self._folder = folder

    def read(self) -> tuple[dict[str, FeatureSet], dict[str, str]]:
        """The feature sets by id, ordered by name and version, and the documents refused with the reason."""
        found, refused = dict(feature_sets.FEATURE_SETS), {}
        for path in sorted(self._folder.glob("*@*.json")) if self._folder else ():
            try:
                screened = from_document(path.read_text())
                if screened.id != path.stem or screened.name in _BUILT_IN:
                    raise DocumentError(f"names itself {screened.id}")
            except (DocumentError, OSError) as error:
                refused[path.stem] = f"{path.name} {error}"
            else:
                found[screened.id] = screened
        return dict(sorted(found.items(), key=lambda item: (item[1].name, item[1].version))), refused

    def get(self, feature_set_id: str) -> FeatureSet:
        """The feature set of an id.

        Raises:
            NotFound: there is none.
            FailedPrecondition: there is a document, but it cannot be served.
        """
        if feature_set_id in feature_sets.FEATURE_SETS:
            return feature_sets.FEATURE_SETS[feature_set_id]
        found, refused = self.read()
        if feature_set_id in refused:
            raise FailedPrecondition("FEATURE_SET_UNUSABLE", refused[feature_set_id], feature_set_id)
        return found[feature_set_id] if feature_set_id in found else feature_sets.get(feature_set_id)

    def check_name(self, name: str, field: str) -> None:
        """Check that a screened feature set can be kept under a name.

        Raises:
            FailedPrecondition: there is no folder to keep it in.
            InvalidInput: the name is out of form, or that of a built-in set.
        """
        if self._folder is None:
            raise FailedPrecondition("FEATURE_SETS_NOT_KEPT", "this server has no folder to keep feature sets in", name)
        if not _NAME.fullmatch(name) or name in _BUILT_IN:
            description = f"{name!r} must be 1 to 63 small letters, digits and - that name no built-in feature set"
            raise InvalidInput("NAME_INVALID", [Violation(field, description)])

    def add(self, name: str, make: Callable[[int], ScreenedSet]) -> ScreenedSet:
        """Keep a new version of a feature set; it is whole in the folder, or not there.

        Args:
            name: its name.
            make: gives the feature set of a version.

        Raises:
            Unavailable: the folder cannot be written.
        """
        assert self._folder is not None  # noqa: S101
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._folder, prefix=".") as aside:
                while True:
                    versions = [path.stem.rsplit("@", 1)[1] for path in self._folder.glob(f"{name}@*.json")]
                    screened = make(max((int(version) for version in versions if version.isdigit()), default=0) + 1)
                    document = Path(aside) / screened.id
                    document.write_text(to_document(screened))
                    try:
                        os.link(document, self._folder / f"{screened.id}.json")
                    except FileExistsError:
                        continue
                    return screened
        except OSError as error:
            raise Unavailable("STORAGE_UNAVAILABLE", f"{self._folder} cannot be written: {error.strerror}") from None


_BUILT_IN = {each.name for each in feature_sets.FEATURE_SETS.values()}
