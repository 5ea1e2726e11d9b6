//! Scripts for the session, and a cluster in small.
