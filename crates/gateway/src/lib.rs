//! The doors: one protocol a module, bytes to `Session` calls and back.
