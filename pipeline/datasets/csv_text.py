"""CSV files as users write them: every cell is text."""

import unicodedata
from pathlib import Path

import pandas as pd

from commandline import RequestError


def read_csv(path: Path, rows: int | None = None) -> pd.DataFrame:
    """Every cell as text, exactly as written; comma, semicolon or tab between them."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            header = file.readline()
        separator = max(",;\t", key=header.count)
        return pd.read_csv(
            path,
            sep=separator,
            dtype=str,
            keep_default_na=False,
            encoding="utf-8-sig",
            nrows=rows,
            skipinitialspace=True,
        )
    except UnicodeDecodeError:
        raise RequestError(f"{path} is not UTF-8 text: save it as UTF-8 CSV") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, OSError) as error:
        raise RequestError(f"{path} cannot be read as a CSV: {str(error).strip()}") from None


def sound_path(audio: Path, name: str) -> str:
    """The absolute path of a sound that a table names; accents may be composed otherwise on the disk."""
    path = audio.absolute() / name
    spellings = (path, *(Path(unicodedata.normalize(form, str(path))) for form in ("NFC", "NFD")))
    return str(next((spelling for spelling in spellings if spelling.exists()), path))


def whole_folds(frame: pd.DataFrame) -> pd.Series:
    """The column `fold` as whole numbers from 1."""
    folds = pd.to_numeric(frame["fold"], errors="coerce")
    wrong = frame[~((folds >= 1) & (folds % 1 == 0))]
    if len(wrong):
        row = wrong.iloc[0]
        raise RequestError(f"{row['filename']} has fold {row['fold']!r}; expected a whole number from 1")
    return folds.astype(int)
