"""The one exception that means "the user can mend this"."""


class UserError(Exception):
    """A mistake in what was asked for, told in one line with the value and the remedy.

    The command line prints it without a traceback and exits with code 2.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(f"{problem}\n  {remedy}" if remedy else problem)
        self.problem = problem
        self.remedy = remedy

    def __reduce__(self) -> tuple[type["UserError"], tuple[str, str]]:
        # Exceptions cross process borders by pickle, which replays __init__ with self.args.
        return type(self), (self.problem, self.remedy)
