"""The commands: each file is a dataclass that parses, and a `run` that calls the library."""
