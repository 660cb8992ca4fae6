//! One node without IO: the cores wired together, and `Session`, the one way in.
