//! The embedded S3-compatible server.
