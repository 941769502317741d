"""How annotations are checked at every call during tests: by beartype, shapes included."""

from beartype import BeartypeConf, beartype

# An int is a float to the static checker; at run time too.
check = beartype(conf=BeartypeConf(is_pep484_tower=True))
