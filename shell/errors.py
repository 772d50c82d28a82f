"""The two ways a command can fail because of its user, and their exit codes."""


class UserError(Exception):
    """The work failed for a reason the user can mend. The message says what, where and what to do. Exit code 1."""

    exit_code = 1


class UsageError(UserError):
    """The command was called wrongly (unknown name, impossible combination). Exit code 2."""

    exit_code = 2
