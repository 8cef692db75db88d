#include "frontend-shim/clients/load_report.h"

#include <stdio.h>

/* Of all disks together, in the order they are printed. */
struct figures {
	unsigned size_bytes, max_segments, flush_every;
	const char *persistent;
	unsigned long long ios, failed, requests, flushes;
	double iops, mb_s, p50, p99, p999, max;
	double notified, events, cpu_us, backend_cpu_us;
	double flushes_per_s, flush_p50, flush_p99;
};

/* All disks' together are too large for a stack. */
static struct latencies all, all_flushes;

static double per(double value, double n)
{
	return n > 0 ? value / n : 0;
}

static void add(struct figures *f, const struct load *load)
{
	struct blkfront_stats stats = blkfront_stats(load->front);

	latencies_merge(&all, &load->latencies);
	latencies_merge(&all_flushes, &load->flush_latencies);
	f->failed += load->failed + (load->error != 0);
	f->requests += load->requests_sent;
	f->notified += (double)(stats.notified - load->notified);
	f->events += (double)(stats.events - load->events);
	f->flush_every = load->flush_every;
	f->max_segments = blkfront_disk(load->front)->max_segments;
	f->persistent = blkfront_disk(load->front)->persistent ? "true" : "false";
}

static void sum_up(const struct load_report *report, struct figures *f)
{
	double n;

	*f = (struct figures){.size_bytes = report->loads[0].plan->nr_sectors * WIRE_SECTOR_SIZE};
	for (unsigned i = 0; i < report->nr_loads; i++)
		add(f, &report->loads[i]);
	n = (double)(all.count + all_flushes.count);
	f->ios = all.count;
	f->flushes = all_flushes.count;
	f->iops = per((double)all.count, report->seconds);
	f->mb_s = f->iops * f->size_bytes / 1e6;
	f->flushes_per_s = per((double)all_flushes.count, report->seconds);
	f->flush_p50 = latencies_percentile_us(&all_flushes, 0.5);
	f->flush_p99 = latencies_percentile_us(&all_flushes, 0.99);
	f->p50 = latencies_percentile_us(&all, 0.5);
	f->p99 = latencies_percentile_us(&all, 0.99);
	f->p999 = latencies_percentile_us(&all, 0.999);
	f->max = (double)all.max / 1000;
	f->notified = per(f->notified, n);
	f->events = per(f->events, n);
	f->cpu_us = per(report->cpu_us, n);
	f->backend_cpu_us = per(report->backend_cpu_us, n);
}

/* Scripts that look for a key take the last one: what is of one disk comes first. */
static void print_disks(const struct load_report *report)
{
	printf("\"disks\": [");
	for (unsigned i = 0; i < report->nr_loads; i++) {
		const struct latencies *latencies = &report->loads[i].latencies;

		printf("%s{\"vdev\": \"%s\", \"ios\": %llu, \"p50\": %.1f, \"p99\": %.1f}",
			i ? ", " : "", report->vdevs[i], (unsigned long long)latencies->count,
			latencies_percentile_us(latencies, 0.5),
			latencies_percentile_us(latencies, 0.99));
	}
	printf("], ");
}

static void print_json(const struct load_report *report, const struct figures *f)
{
	const struct load_plan *plan = report->loads[0].plan;

	printf("{");
	print_disks(report);
	printf("\"op\": \"%s\", \"bs\": %u, \"iodepth\": %u, \"persistent\": %s, ", plan->op_name,
		f->size_bytes, plan->depth, f->persistent);
	printf("\"max_segments\": %u, \"requests\": %llu, \"connected_ns\": %llu, ",
		f->max_segments, f->requests, (unsigned long long)report->connected_ns);
	printf("\"ios\": %llu, \"failed\": %llu, \"seconds\": %.3f, \"iops\": %.0f, ", f->ios,
		f->failed, report->seconds, f->iops);
	printf("\"mb_s\": %.2f, ", f->mb_s);
	printf("\"fsync\": %u, \"flushes\": %llu, \"flushes_per_s\": %.1f, ", f->flush_every,
		f->flushes, f->flushes_per_s);
	printf("\"flush_p50_us\": %.1f, \"flush_p99_us\": %.1f, ", f->flush_p50, f->flush_p99);
	printf("\"lat_us\": {\"p50\": %.1f, \"p99\": %.1f, \"p99.9\": %.1f, \"max\": %.1f}, ",
		f->p50, f->p99, f->p999, f->max);
	if (report->has_backend_cpu)
		printf("\"backend_cpu_us_per_io\": %.4f, ", f->backend_cpu_us);
	printf("\"notified_per_io\": %.5f, \"events_per_io\": %.5f, \"cpu_us_per_io\": %.3f}\n",
		f->notified, f->events, f->cpu_us);
}

static void print_text(const struct load_report *report, const struct figures *f)
{
	const struct load_plan *plan = report->loads[0].plan;

	printf("%s bs=%u iodepth=%u persistent=%s: %llu I/Os, %llu failed, %.3f s, %.0f IOPS, %.1f MB/s\n",
		plan->op_name, f->size_bytes, plan->depth, f->persistent, f->ios, f->failed,
		report->seconds, f->iops, f->mb_s);
	printf("  latency: p50 %.1f us, p99 %.1f us, p99.9 %.1f us, max %.1f us\n", f->p50, f->p99,
		f->p999, f->max);
	printf("  per I/O: %.4f events sent, %.4f received, %.3f us of frontend CPU\n", f->notified,
		f->events, f->cpu_us);
	if (report->has_backend_cpu)
		printf("  per I/O: %.3f us of backend CPU\n", f->backend_cpu_us);
	if (f->flush_every)
		printf("  a flush after every %u: %llu, %.1f per s, p50 %.1f us, p99 %.1f us\n",
			f->flush_every, f->flushes, f->flushes_per_s, f->flush_p50, f->flush_p99);
}

void load_report_print(const struct load_report *report)
{
	struct figures figures;

	sum_up(report, &figures);
	if (report->json)
		print_json(report, &figures);
	else
		print_text(report, &figures);
}
