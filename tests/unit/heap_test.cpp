// Where large buffers come from.
#include "common/heap.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <vector>
#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace litepull {
namespace {

#ifdef __GLIBC__
TEST(Heap, LargeBuffersAreNotMappedEach) {
  keep_large_buffers();
  const std::size_t mapped = mallinfo2().hblkhd;
  const std::vector<char> one(1 << 20), other(4 << 20);
  if (mallinfo2().arena == 0) GTEST_SKIP() << "a sanitizer's malloc";
  EXPECT_EQ(mallinfo2().hblkhd, mapped);
}
#endif

}  // namespace
}  // namespace litepull
