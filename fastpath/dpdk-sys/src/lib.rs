//! Raw bindings to the distribution's libdpdk (22.11 or later) and to the few functions of libxdp
//! and libbpf that manage what DPDK's AF_XDP driver leaves on an interface.
//!
//! Names and meaning are those of the C headers; the functions named `shim_*` stand for static
//! inlines and macros. The safe interface is the crate `wardline-dpdk`.

#[allow(
    clippy::all,
    clippy::undocumented_unsafe_blocks,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unsafe_op_in_unsafe_fn
)]
mod bindings {
    include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
}

pub use bindings::*;
