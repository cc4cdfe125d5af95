"""The one error a user is meant to read.

Bad input ends in a single message that names the file, the record's id, the field and the command that mends it:

    /data/mmvu/MMR-benchmark.json: record context/abstract/22 (index 404): field "question": no options found
    → fetch it again: mmjudge doctor
"""

from __future__ import annotations

from pathlib import Path


class UserError(Exception):
    """Input that the user can mend. The command line prints it and exits with 2; adapters turn it into their own."""

    def __init__(
        self,
        problem: str,
        *,
        file: str | Path | None = None,
        record: str | None = None,
        field: str | None = None,
        fix: str | None = None,
    ) -> None:
        where = [str(file)] if file else []
        if record is not None:
            where.append(f"record {record}")
        if field is not None:
            where.append(f'field "{field}"')
        message = ": ".join([*where, problem])
        super().__init__(message + (f"\n→ {fix}" if fix else ""))
        self.problem, self.file, self.record, self.field, self.fix = problem, file, record, field, fix
