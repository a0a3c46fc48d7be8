//! The noun `package`: what was installed from a package manager, bundle or repository, at which version.
//! It decides and remembers; what runs the managers' programs is `setup::packages`.

pub mod reference;

pub use reference::{Manager, Reference};
