#define _GNU_SOURCE
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

#include <bpf/libbpf.h>
#include <xdp/libxdp.h>

#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_log.h>
#include <rte_mbuf.h>
#include <rte_mbuf_pool_ops.h>
#include <rte_mempool.h>

#include "shim.h"

uint16_t
shim_eth_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return rte_eth_rx_burst(port, queue, mbufs, count);
}

uint16_t
shim_eth_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return rte_eth_tx_burst(port, queue, mbufs, count);
}

/*
 * As rte_mempool_populate_default, but beginning at a page: buffers of a page, or of an even part of
 * one, then lie side by side.
 */
static int
populate_pages(struct rte_mempool *pool)
{
	const struct rte_memzone *zone;
	size_t page;
	int ret = rte_mempool_get_page_size(pool, &page);

	if (ret < 0)
		return ret;
	zone = rte_memzone_reserve_aligned(pool->name, (size_t)pool->size * shim_mempool_stride(pool),
					   pool->socket_id,
					   RTE_MEMZONE_1GB | RTE_MEMZONE_SIZE_HINT_ONLY,
					   sysconf(_SC_PAGESIZE));
	if (zone == NULL)
		return -rte_errno;
	if (page == 0)
		ret = rte_mempool_populate_iova(pool, zone->addr, zone->iova, zone->len, NULL, NULL);
	else
		ret = rte_mempool_populate_virt(pool, zone->addr, zone->len, page, NULL, NULL);
	if (ret >= 0 && pool->populated_size < pool->size)
		ret = -ENOMEM;
	return ret;
}

struct rte_mempool *
shim_pktmbuf_pool_create(const char *name, unsigned int count, unsigned int cache, uint16_t data_room,
			 int side_by_side, int socket)
{
	struct rte_mempool *pool =
		rte_mempool_create_empty(name, count, sizeof(struct rte_mbuf) + data_room, cache,
					 sizeof(struct rte_pktmbuf_pool_private), socket,
					 RTE_MEMPOOL_F_NO_SPREAD);
	int ret;

	if (pool == NULL)
		return NULL;
	ret = rte_mempool_set_ops_byname(pool, rte_mbuf_best_mempool_ops(), NULL);
	if (ret == 0) {
		rte_pktmbuf_pool_init(pool, NULL);
		if (side_by_side && shim_mempool_stride(pool) <= sysconf(_SC_PAGESIZE))
			ret = populate_pages(pool);
		else
			ret = rte_mempool_populate_default(pool);
	}
	if (ret < 0) {
		rte_mempool_free(pool);
		rte_errno = -ret;
		return NULL;
	}
	rte_mempool_obj_iter(pool, rte_pktmbuf_init, NULL);
	return pool;
}

int
shim_pktmbuf_alloc_bulk(struct rte_mempool *pool, struct rte_mbuf **mbufs, unsigned int count)
{
	return rte_pktmbuf_alloc_bulk(pool, mbufs, count);
}

int
shim_errno(void)
{
	return rte_errno;
}

uint32_t
shim_mempool_chunks(const struct rte_mempool *pool)
{
	return pool->nb_mem_chunks;
}

uint32_t
shim_mempool_stride(const struct rte_mempool *pool)
{
	return pool->header_size + pool->elt_size + pool->trailer_size;
}

static void
keep_farthest(struct rte_mempool *pool, void *farthest, void *object, unsigned int index)
{
	uintptr_t end = (uintptr_t)object + pool->elt_size + pool->trailer_size;

	(void)index;
	if (end > *(uintptr_t *)farthest)
		*(uintptr_t *)farthest = end;
}

uint64_t
shim_mempool_span(struct rte_mempool *pool)
{
	uintptr_t farthest = 0;

	rte_mempool_obj_iter(pool, keep_farthest, &farthest);
	return farthest - (uintptr_t)STAILQ_FIRST(&pool->mem_list)->addr;
}

int
shim_eth_link(uint16_t port, uint32_t *speed_mbps)
{
	struct rte_eth_link link = {0};
	int ret = rte_eth_link_get_nowait(port, &link);

	if (ret < 0)
		return ret;
	*speed_mbps = link.link_speed == RTE_ETH_SPEED_NUM_UNKNOWN ? 0 : link.link_speed;
	return link.link_status == RTE_ETH_LINK_UP;
}

static shim_log_sink log_sink;

static ssize_t
log_from_dpdk(void *cookie, const char *text, size_t len)
{
	(void)cookie;
	log_sink(rte_log_cur_msg_loglevel(), text, len);
	return len;
}

static void
log_formatted(uint32_t level, const char *format, va_list args)
{
	char text[512];
	int len = vsnprintf(text, sizeof(text), format, args);

	if (len > 0)
		log_sink(level, text, RTE_MIN((size_t)len, sizeof(text) - 1));
}

static int
log_from_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	log_formatted(level == LIBBPF_WARN ? RTE_LOG_WARNING : RTE_LOG_DEBUG, format, args);
	return 0;
}

static int
log_from_libxdp(enum libxdp_print_level level, const char *format, va_list args)
{
	log_formatted(level == LIBXDP_WARN ? RTE_LOG_WARNING : RTE_LOG_DEBUG, format, args);
	return 0;
}

int
shim_set_log_sink(shim_log_sink sink)
{
	cookie_io_functions_t functions = {.write = log_from_dpdk};
	FILE *stream = fopencookie(NULL, "w", functions);

	if (stream == NULL)
		return -1;
	setvbuf(stream, NULL, _IOLBF, BUFSIZ);
	log_sink = sink;
	libbpf_set_print(log_from_libbpf);
	libxdp_set_print(log_from_libxdp);
	return rte_openlog_stream(stream);
}
