/*
 * What can be served and what cannot, each with a sentence that names the object; and that what is
 * open is open for direct I/O, and for reading only if it is to be.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/magic.h>

#include "backend/data/storage.h"

static char dir[128];

/* Where direct I/O works as on a host. */
static int find_directory(void)
{
	const char *const candidates[] = {getenv("BLKBACK_BUILD"), "/var/tmp", "/dev/shm"};

	for (unsigned i = 0; i < 3; i++) {
		struct statfs fs;
		char probe[160];
		int fd;

		if (!candidates[i] || statfs(candidates[i], &fs) ||
			fs.f_type == OVERLAYFS_SUPER_MAGIC)
			continue;
		(void)snprintf(dir, sizeof(dir), "%.80s/storage-t.XXXXXX", candidates[i]);
		if (!mkdtemp(dir))
			continue;
		(void)snprintf(probe, sizeof(probe), "%s/probe", dir);
		fd = open(probe, O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
		(void)unlink(probe);
		if (fd >= 0)
			return close(fd);
		(void)rmdir(dir);
	}
	return -1;
}

static const char *in_dir(const char *name)
{
	static char path[192];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void make_file(const char *name, off_t size)
{
	int fd = open(in_dir(name), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	(void)close(fd);
}

static int make_objects(void **state)
{
	(void)state;
	make_file("good", 1 << 20);
	make_file("one-sector", 512);
	make_file("empty", 0);
	make_file("odd", 1000);
	make_file("odd-by-one", 513);
	assert_int_equal(mkdir(in_dir("directory"), 0700), 0);
	assert_int_equal(mkfifo(in_dir("fifo"), 0600), 0);
	assert_int_equal(symlink("good", in_dir("link")), 0);
	assert_int_equal(symlink("nowhere", in_dir("dangling")), 0);
	return 0;
}

static int remove_objects(void **state)
{
	const char *const names[] = {
		"good", "one-sector", "empty", "odd", "odd-by-one", "fifo", "link", "dangling"};

	(void)state;
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)unlink(in_dir(names[i]));
	(void)rmdir(in_dir("directory"));
	return rmdir(dir);
}

/* The lowest free descriptor: unchanged if nothing was left open. */
static int free_fd(void)
{
	int fd = dup(STDERR_FILENO);

	(void)close(fd);
	return fd;
}

static void test_refused(void **state)
{
	static const struct {
		const char *path; /* in the directory, unless it starts with / */
		int error;
		const char *word;
	} bad[] = {
		{"nowhere", -ENOENT, "No such file or directory: make the image"},
		{"dangling", -ENOENT, "No such file or directory: make the image"},
		{"directory", -EISDIR, "directory"},
		{"fifo", -ENOTBLK, "neither"},
		{"/dev/null", -ENOTBLK, "neither"},
		{"/dev/zero", -ENOTBLK, "neither"},
		{"empty", -EINVAL, "empty"},
		{"odd", -EINVAL, "512"},
		{"odd-by-one", -EINVAL, "512"},
		{"/proc/version", -EINVAL, ": proc does not support direct I/O"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *path = bad[i].path[0] == '/' ? bad[i].path : in_dir(bad[i].path);

		for (int read_only = 0; read_only < 2; read_only++) {
			struct problem problem = {.text = ""};
			struct storage storage;
			int before = free_fd();
			struct storage_terms terms = {.read_only = read_only};
			int r = storage_open(path, &terms, &storage, &problem);

			if (r != bad[i].error && !(r == -EACCES && path[1] == 'p'))
				fail_msg("'%s': %d, not %d: %s", path, r, bad[i].error,
					problem.text);
			assert_non_null(strstr(problem.text, path));
			if (r == bad[i].error && !strstr(problem.text, bad[i].word))
				fail_msg("'%s' is not in: %s", bad[i].word, problem.text);
			assert_int_equal(storage.fd, -1);
			assert_int_equal(free_fd(), before);
		}
	}
}

static void test_relative_path(void **state)
{
	struct storage_terms terms = {.read_only = false};
	struct problem problem;
	struct storage storage;

	(void)state;
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(storage_open("good", &terms, &storage, &problem), -EINVAL);
	assert_non_null(strstr(problem.text, "absolute"));
	assert_int_equal(storage_open("", &terms, &storage, &problem), -EINVAL);
	assert_int_equal(chdir("/"), 0);
}

static void open_good(const char *name, bool read_only, uint64_t nr_sectors)
{
	struct storage_terms terms = {.read_only = read_only};
	struct problem problem = {.text = ""};
	struct storage s;
	int before = free_fd();
	int flags;

	if (storage_open(in_dir(name), &terms, &s, &problem))
		fail_msg("%s", problem.text);
	flags = fcntl(s.fd, F_GETFL);
	assert_true(flags & O_DIRECT);
	assert_int_equal(flags & O_ACCMODE, read_only ? O_RDONLY : O_RDWR);
	assert_true(fcntl(s.fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(s.nr_sectors, nr_sectors);
	assert_int_equal(s.read_only, read_only);
	assert_ptr_equal(s.kind, &storage_file);
	assert_in_range(s.physical_sector_size, 512, 65536);
	assert_in_range(s.memory_align, 512, 4096);
	assert_int_equal(s.memory_align & (s.memory_align - 1), 0);
	storage_close(&s);
	assert_int_equal(s.fd, -1);
	storage_close(&s);
	assert_int_equal(free_fd(), before);
}

static void test_served(void **state)
{
	(void)state;
	for (int read_only = 0; read_only < 2; read_only++) {
		open_good("good", read_only, 2048);
		open_good("one-sector", read_only, 1);
		open_good("link", read_only, 2048);
	}
}

/* The size of now, in bytes, whatever it was when the file was opened, and under whatever name. */
static void test_size(void **state)
{
	static const off_t sizes[] = {1 << 20, 1 << 21, 1000, 0, 512, (off_t)1 << 40};
	struct storage_terms terms = {.read_only = true};
	struct problem problem = {.text = ""};
	struct storage s;
	uint64_t size_bytes;

	(void)state;
	make_file("resized", 512);
	if (storage_open(in_dir("resized"), &terms, &s, &problem))
		fail_msg("%s", problem.text);
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		make_file("resized", sizes[i]);
		assert_int_equal(storage_size(&s, &size_bytes), 0);
		assert_int_equal(size_bytes, sizes[i]);
	}
	assert_int_equal(unlink(in_dir("resized")), 0);
	assert_int_equal(storage_size(&s, &size_bytes), 0);
	assert_int_equal(s.nr_sectors, 1);
	storage_close(&s);
	assert_int_equal(storage_size(&s, &size_bytes), -EBADF);
	assert_int_equal(size_bytes, (off_t)1 << 40);
}

/* What is open as the kernel has it: O_DIRECT and O_DSYNC as the mode says, and nothing else of its own. */
static void check_flags(const struct storage *s, enum cache_mode mode)
{
	int flags = fcntl(s->fd, F_GETFL);

	assert_int_equal(s->cache, mode);
	assert_int_equal((flags & O_DIRECT) != 0, cache_is_direct(mode));
	assert_int_equal((flags & O_DSYNC) != 0, cache_writes_through(mode));
	assert_int_equal(flags & O_ACCMODE, s->read_only ? O_RDONLY : O_RDWR);
	assert_true(fcntl(s->fd, F_GETFD) & FD_CLOEXEC);
}

static void test_modes(void **state)
{
	(void)state;
	for (enum cache_mode mode = 0; mode < CACHE_MODE_COUNT; mode++) {
		struct storage_terms terms = {.cache = mode};
		struct problem problem = {.text = ""};
		enum cache_mode parsed;
		struct storage s;

		assert_true(cache_mode_parse(cache_mode_name(mode), &parsed));
		assert_int_equal(parsed, mode);
		if (storage_open(in_dir("good"), &terms, &s, &problem))
			fail_msg("%s", problem.text);
		check_flags(&s, mode);
		storage_close(&s);
	}
}

/* Where there is no direct I/O the modes that need none are served. */
static void test_no_direct_io(void **state)
{
	struct storage_terms terms = {.read_only = true, .cache = CACHE_WRITEBACK};
	struct problem problem = {.text = ""};
	struct storage s, again;

	(void)state;
	/* It says that it has 4096 bytes. */
	if (storage_open("/sys/kernel/uevent_seqnum", &terms, &s, &problem))
		fail_msg("%s", problem.text);
	assert_int_equal(s.unit, STORAGE_SECTOR_SIZE);
	assert_int_equal(storage_reopen(&s, CACHE_NONE, &again, &problem), -EINVAL);
	assert_non_null(strstr(problem.text, "cache mode none needs direct I/O"));
	assert_int_equal(again.fd, -1);
	storage_close(&s);
}

static void reopen(const struct storage *s, enum cache_mode mode)
{
	struct problem problem = {.text = ""};
	struct storage again;

	if (storage_reopen(s, mode, &again, &problem))
		fail_msg("%s", problem.text);
	check_flags(&again, mode);
	assert_true(again.fd != s->fd);
	assert_ptr_equal(again.kind, s->kind);
	assert_int_equal(again.unit, s->unit);
	assert_int_equal(again.memory_align, s->memory_align);
	assert_int_equal(again.nr_sectors, s->nr_sectors);
	assert_int_equal(again.physical_sector_size, s->physical_sector_size);
	assert_true(storage_identity_same(&again.identity, &s->identity));
	assert_int_equal(again.discard.possible, s->discard.possible);
	storage_close(&again);
}

/*
 * The same file in every mode from every other, whatever has become of its name and its permissions; and that of what has the name
 * now is not it. No descriptor is left over.
 */
static void test_reopen(void **state)
{
	struct problem problem = {.text = ""};
	int before = free_fd();

	(void)state;
	for (enum cache_mode from = 0; from < CACHE_MODE_COUNT; from++) {
		struct storage_terms terms = {.cache = from, .discard = true};
		struct storage s;

		make_file("reopened", 65536);
		if (storage_open(in_dir("reopened"), &terms, &s, &problem))
			fail_msg("%s", problem.text);
		assert_int_equal(chmod(in_dir("reopened"), 0), 0);
		for (enum cache_mode to = 0; to < CACHE_MODE_COUNT; to++)
			reopen(&s, to);
		assert_int_equal(unlink(in_dir("reopened")), 0);
		make_file("reopened", 512);
		for (enum cache_mode to = 0; to < CACHE_MODE_COUNT; to++)
			reopen(&s, to);
		storage_close(&s);
		assert_int_equal(unlink(in_dir("reopened")), 0);
	}
	assert_int_equal(free_fd(), before);
}

static void test_too_many_files(void **state)
{
	struct storage_terms terms = {.cache = CACHE_NONE};
	struct problem problem = {.text = ""};
	struct storage s, again;
	struct rlimit before, less;

	(void)state;
	if (storage_open(in_dir("good"), &terms, &s, &problem))
		fail_msg("%s", problem.text);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	less = before;
	less.rlim_cur = (rlim_t)free_fd();
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &less), 0);
	assert_int_equal(storage_reopen(&s, CACHE_WRITEBACK, &again, &problem), -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(again.fd, -1);
	assert_non_null(strstr(problem.text, "writeback: Too many open files: raise the limit"));
	check_flags(&s, CACHE_NONE);
	storage_close(&s);
}

static void test_null(void **state)
{
	static const char *const bad[] = {"null:", "null:x", "null:-512", "null:1k", "null:0",
		"null:1000", "null:99999999999999999999"};
	struct storage_terms terms = {.cache = CACHE_NONE};
	struct problem problem = {.text = ""};
	struct storage s, again;
	uint64_t size_bytes;
	int before = free_fd();

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(storage_open(bad[i], &terms, &s, &problem), -EINVAL);
		assert_non_null(strstr(problem.text, bad[i]));
		assert_int_equal(s.fd, -1);
	}
	if (storage_open("null:1099511627776", &terms, &s, &problem))
		fail_msg("%s", problem.text);
	assert_int_equal(s.nr_sectors, (uint64_t)1 << 31);
	assert_int_equal(storage_size(&s, &size_bytes), 0);
	assert_int_equal(size_bytes, (uint64_t)1 << 40);
	assert_int_equal(storage_sync(&s), 0);
	assert_int_equal(storage_reopen(&s, CACHE_UNSAFE, &again, &problem), -ENOTSUP);
	storage_close(&s);
	assert_int_equal(free_fd(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_relative_path),
		cmocka_unit_test(test_served),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_no_direct_io),
		cmocka_unit_test(test_reopen),
		cmocka_unit_test(test_too_many_files),
		cmocka_unit_test(test_null),
	};

	if (find_directory()) {
		(void)printf("1..0 # SKIP no file system with direct I/O for images\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, make_objects, remove_objects);
}
