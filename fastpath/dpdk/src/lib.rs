//! The safe wrapper around DPDK.
