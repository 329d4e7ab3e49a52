#include "client/base/clock.h"

#include <gtest/gtest.h>

namespace litepull {
namespace {

TEST(Clock, TimesAreUtcWithMilliseconds) {
  EXPECT_EQ(rfc3339_utc(0), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(rfc3339_utc(1'795'309'200'007), "2026-11-22T01:00:00.007Z");
  EXPECT_EQ(rfc3339_utc(-1), "1969-12-31T23:59:59.999Z");
  for (const std::int64_t unix_ms : {0L, 1'795'309'200'007L, -1L, 951'782'400'000L})
    EXPECT_EQ(parse_rfc3339_utc(rfc3339_utc(unix_ms)), unix_ms);
  for (const char* text : {"", "2026-11-22", "2026-13-01T00:00:00.000Z", "2026-02-30T00:00:00.000Z",
                           "2026-11-22T25:00:00.000Z", "2026-11-22T01:00:00.007Zx", "2026-11-22T01:00:00.7Z"})
    EXPECT_FALSE(parse_rfc3339_utc(text)) << text;
}

}  // namespace
}  // namespace litepull
