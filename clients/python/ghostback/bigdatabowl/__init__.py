"""Reading and writing the file formats of the Big Data Bowl.

Written is the layout of 2021; read are those of all years from 2019 to 2026. Nothing is cleaned here: a row
with a missing position, an unknown tag or a repetition stays as it is, for `ingest` to judge.
"""

from ghostback.bigdatabowl.files import BigDataBowlError
from ghostback.bigdatabowl.reader import read
from ghostback.bigdatabowl.writer import write

__all__ = ["BigDataBowlError", "read", "write"]
