"""What can go wrong that a user can mend.

Every message names what was wrong, what was expected and what to do. A command prints it without a
traceback and exits with code 2; anything that is not an `OracleError` is a bug of this package.
"""


class OracleError(Exception):
    """The parent of every error that a user can mend."""


class ModelError(OracleError):
    """A model cannot be loaded, or has no single residual stream to read or write."""


class ConfigError(OracleError):
    """A setting is impossible, or contradicts another one."""


class MismatchError(OracleError):
    """Things that must belong together do not: an adapter and a model, vectors and an oracle."""


class DataError(OracleError):
    """A file, a text or a position in it is not what was asked for."""
