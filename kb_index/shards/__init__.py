"""An index in several shards, each an ordinary index of the entities that fall to it; `build.py` makes one."""
