//! `umcp app`: tools of services, made of manifests and OpenAPI documents.

pub mod known;
