/*
 * Plain functions and constants over the static inlines and macros of DPDK that Rust needs.
 * Each function is called at most once per burst, so that the call costs nothing per packet.
 */
#ifndef WARDLINE_DPDK_SHIM_H
#define WARDLINE_DPDK_SHIM_H

#include <stddef.h>
#include <stdint.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

/*
 * Where the fields of an mbuf are. The struct gains and loses anonymous unions between releases of
 * DPDK, which changes the names bindgen gives, never the meaning of these.
 */
enum {
	SHIM_MBUF_BUF_ADDR = offsetof(struct rte_mbuf, buf_addr),
	SHIM_MBUF_DATA_OFF = offsetof(struct rte_mbuf, data_off),
	SHIM_MBUF_NB_SEGS = offsetof(struct rte_mbuf, nb_segs),
	SHIM_MBUF_OL_FLAGS = offsetof(struct rte_mbuf, ol_flags),
	SHIM_MBUF_PKT_LEN = offsetof(struct rte_mbuf, pkt_len),
	SHIM_MBUF_DATA_LEN = offsetof(struct rte_mbuf, data_len),
	SHIM_MBUF_SIZE = sizeof(struct rte_mbuf),
};

static const uint64_t SHIM_MBUF_VLAN_STRIPPED = RTE_MBUF_F_RX_VLAN_STRIPPED;
static const uint64_t SHIM_RSS_WANTED = RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_SCTP;

uint16_t shim_eth_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count);
uint16_t shim_eth_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count);

/*
 * rte_pktmbuf_pool_create without the padding that spreads objects over memory channels: the largest
 * AF_XDP buffer must not exceed a page. The option -n, which would do as well, has no effect together
 * with --no-shconf or --in-memory. With side_by_side, buffers of a page or of an even part of one lie without
 * gaps. NULL with rte_errno set on failure.
 */
struct rte_mempool *shim_pktmbuf_pool_create(const char *name, unsigned int count, unsigned int cache,
					     uint16_t data_room, int side_by_side, int socket);

/* All or nothing: 0, or a negative errno value with no mbuf taken. */
int shim_pktmbuf_alloc_bulk(struct rte_mempool *pool, struct rte_mbuf **mbufs, unsigned int count);

int shim_errno(void);

/* Struct fields of a pool: the number of memory chunks, and bytes from one object to the next. */
uint32_t shim_mempool_chunks(const struct rte_mempool *pool);
uint32_t shim_mempool_stride(const struct rte_mempool *pool);

/* Bytes from the first chunk's start to the end of its last object: with gaps between objects, more
 * than all objects take. */
uint64_t shim_mempool_span(struct rte_mempool *pool);


/* 1 with the speed in Mb/s (0 = unknown) when the driver says the link is up, 0 down, < 0 -errno. */
int shim_eth_link(uint16_t port, uint32_t *speed_mbps);

/*
 * Sends the log lines of DPDK, libxdp and libbpf to `sink` instead of the standard error stream.
 * Levels are DPDK's: RTE_LOG_ERR, RTE_LOG_WARNING, ... The text is not terminated.
 * Returns 0, or -1 with errno set.
 */
typedef void (*shim_log_sink)(uint32_t level, const char *text, size_t len);
int shim_set_log_sink(shim_log_sink sink);

#endif
