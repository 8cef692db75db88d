/*
 * A file name may have any bytes; JSON may not. What is UTF-8 stays as it is, every byte that is not
 * becomes U+FFFD.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "backend/util/json.h"

#define BAD "\xef\xbf\xbd"

static void check(const char *bytes, const char *wanted)
{
	struct json_object *text = json_text(bytes);

	assert_non_null(text);
	assert_string_equal(json_object_get_string(text), wanted);
	assert_int_equal(json_object_put(text), 1);
}

static void test_utf8_stays(void **state)
{
	(void)state;
	check("", "");
	check("/srv/a \"b\"\\.img", "/srv/a \"b\"\\.img");
	check("\xc2\x80 \xdf\xbf", "\xc2\x80 \xdf\xbf");
	check("\xe0\xa0\x80 \xed\x9f\xbf \xef\xbf\xbf", "\xe0\xa0\x80 \xed\x9f\xbf \xef\xbf\xbf");
	check("\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf", "\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf");
}

static void test_the_rest_does_not(void **state)
{
	(void)state;
	check("a\x80z", "a" BAD "z");
	check("a\xff", "a" BAD);
	check("\xc3", BAD);
	check("\xc3z", BAD "z");
	check("\xc0\xaf", BAD BAD);
	check("\xe0\x9f\xbf", BAD BAD BAD);
	check("\xed\xa0\x80", BAD BAD BAD);
	check("\xf4\x90\x80\x80", BAD BAD BAD BAD);
	check("\xf0\x90\x80", BAD BAD BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_utf8_stays),
		cmocka_unit_test(test_the_rest_does_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
