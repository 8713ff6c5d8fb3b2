//! Finds the distribution's libdpdk and libxdp, compiles the shim and generates the bindings.

use std::env;
use std::path::PathBuf;
use std::process::exit;

/// A library looked up through pkg-config, and the Debian package that brings it.
struct Needed {
    name: &'static str,
    at_least: &'static str,
    package: &'static str,
}

const DPDK: Needed = Needed {
    name: "libdpdk",
    at_least: "22.11",
    package: "libdpdk-dev",
};
const XDP: Needed = Needed {
    name: "libxdp",
    at_least: "1.2",
    package: "libxdp-dev",
};
const BPF: Needed = Needed {
    name: "libbpf",
    at_least: "1.0",
    package: "libbpf-dev",
};

/// Everything Rust uses; all else in the headers stays out of the bindings.
const FUNCTIONS: &[&str] = &[
    "shim_.*",
    "rte_version",
    "rte_strerror",
    "rte_eal_init",
    "rte_eal_remote_launch",
    "rte_eal_wait_lcore",
    "rte_get_next_lcore",
    "rte_dev_probe",
    "rte_socket_id",
    "rte_pktmbuf_free_bulk",
    "rte_mempool_avail_count",
    "rte_eth_dev_get_port_by_name",
    "rte_eth_dev_socket_id",
    "rte_eth_dev_info_get",
    "rte_eth_dev_configure",
    "rte_eth_dev_adjust_nb_rx_tx_desc",
    "rte_eth_rx_queue_setup",
    "rte_eth_tx_queue_setup",
    "rte_eth_dev_start",
    "rte_eth_dev_set_mtu",
    "rte_eth_dev_get_vlan_offload",
    "rte_eth_promiscuous_enable",
    "rte_eth_allmulticast_enable",
    "rte_eth_stats_get",
    "bpf_obj_get_info_by_fd",
    "bpf_map_get_fd_by_id",
    "bpf_map_delete_elem",
    "libxdp_get_error",
    "xdp_multiprog__get_from_ifindex",
    "xdp_multiprog__is_legacy",
    "xdp_multiprog__main_prog",
    "xdp_multiprog__next_prog",
    "xdp_multiprog__attach_mode",
    "xdp_multiprog__detach",
    "xdp_multiprog__close",
    "xdp_program__detach",
    "xdp_program__fd",
    "xdp_program__name",
    "xsk_umem__create",
    "xsk_umem__delete",
    "xsk_socket__create",
    "xsk_socket__delete",
];

const TYPES: &[&str] = &[
    "rte_eth_conf",
    "rte_eth_dev_info",
    "rte_eth_stats",
    "bpf_prog_info",
    "bpf_map_info",
    "bpf_map_type",
];

const CONSTANTS: &[&str] = &[
    "SHIM_.*",
    "XSK_LIBBPF_FLAGS__INHIBIT_PROG_LOAD",
    "RTE_LOG_WARNING",
    "RTE_MAX_LCORE",
    "RTE_PKTMBUF_HEADROOM",
    "RTE_ETH_MQ_RX_RSS",
    "RTE_ETH_VLAN_STRIP_OFFLOAD",
    "RTE_ETH_QINQ_STRIP_OFFLOAD",
];

/// Types whose fields nothing here names: those of an mbuf are read at the offsets in shim.h, and
/// `rte_arp_*` are packed structs inside aligned ones, which Rust cannot express (rust-bindgen
/// issue 1538).
const OPAQUE: &[&str] = &["rte_mbuf", "rte_mempool", "rte_device", "rte_arp_.*"];

fn main() {
    for file in ["build.rs", "wrapper.h", "shim.h", "shim.c"] {
        println!("cargo::rerun-if-changed={file}");
    }
    let mut cflags = cflags_of(&DPDK);
    cflags.extend(cflags_of(&XDP));
    cflags.extend(cflags_of(&BPF));
    compile_shim(&cflags);
    generate_bindings(&cflags);
    for needed in [&DPDK, &XDP, &BPF] {
        link(needed);
    }
}

/// The compiler flags as pkg-config prints them: for DPDK they force-include its configuration and
/// name the instruction set its inlines were written for, which the `pkg-config` crate leaves out.
fn cflags_of(needed: &Needed) -> Vec<String> {
    let output = std::process::Command::new(
        env::var_os("PKG_CONFIG").unwrap_or_else(|| "pkg-config".into()),
    )
    .arg("--cflags")
    .arg(format!("{} >= {}", needed.name, needed.at_least))
    .output();
    match output {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout)
            .split_whitespace()
            .map(str::to_owned)
            .collect(),
        Ok(output) => missing(needed, &String::from_utf8_lossy(&output.stderr)),
        Err(error) => missing(needed, &format!("pkg-config cannot be run: {error}")),
    }
}

fn link(needed: &Needed) {
    if let Err(error) = pkg_config::Config::new()
        .atleast_version(needed.at_least)
        .probe(needed.name)
    {
        missing(needed, &error.to_string());
    }
}

fn missing(needed: &Needed, why: &str) -> ! {
    let Needed {
        name,
        at_least,
        package,
    } = needed;
    println!("cargo::error={name} {at_least} or later was not found");
    println!("cargo::error=on Debian: apt-get install {package} pkg-config gcc libclang-dev");
    for line in why.lines().filter(|line| !line.trim().is_empty()) {
        println!("cargo::error=pkg-config says: {}", line.trim());
    }
    exit(1)
}

fn compile_shim(cflags: &[String]) {
    let mut build = cc::Build::new();
    build
        .file("shim.c")
        .opt_level(2)
        .debug(false)
        .flag("-Werror=implicit-function-declaration");
    for flag in cflags {
        build.flag(flag);
    }
    build.compile("wardline_dpdk_shim");
}

fn generate_bindings(cflags: &[String]) {
    let mut builder = bindgen::Builder::default()
        .header("wrapper.h")
        .clang_args(cflags)
        .layout_tests(false)
        .derive_default(true)
        .generate_comments(false)
        .default_enum_style(bindgen::EnumVariation::Consts)
        .prepend_enum_name(false)
        .use_core();
    for name in FUNCTIONS {
        builder = builder.allowlist_function(name);
    }
    for name in TYPES {
        builder = builder.allowlist_type(name);
    }
    for name in CONSTANTS {
        builder = builder.allowlist_var(name);
    }
    for name in OPAQUE {
        builder = builder.opaque_type(name);
    }
    let target =
        PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("bindings.rs");
    let bindings = match builder.generate() {
        Ok(bindings) => bindings,
        Err(error) => {
            println!("cargo::error=the headers of libdpdk could not be read: {error}");
            println!("cargo::error=on Debian: apt-get install libdpdk-dev libclang-dev");
            exit(1)
        }
    };
    if let Err(error) = bindings.write_to_file(&target) {
        println!("cargo::error={}: {error}", target.display());
        exit(1)
    }
}
