//! Messages, subjects, ids, time, error codes, limits and the ports; no IO, no clock, no dependencies on the rest.
