//! The real process on veth pairs in network namespaces: what a user is promised, seen from
//! outside. Needs root; without it every test says that it was skipped.

mod captures;
mod control;
mod frames;
mod gateway;
mod lab;
mod life;
mod model;
mod people;
mod policy;
mod traffic;
