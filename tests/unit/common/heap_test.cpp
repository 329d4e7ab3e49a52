// Where large buffers come from.
#include "common/heap.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "common/file_buffer.h"

namespace litepull {
namespace {

#ifdef __GLIBC__
TEST(Heap, LargeBuffersAreNotMappedEach) {
  keep_large_buffers();
  const std::size_t mapped = mallinfo2().hblkhd;
  void* const one = std::malloc(1 << 20);
  void* const other = std::malloc(4 << 20);
  const struct mallinfo2 now = mallinfo2();
  std::free(other);
  std::free(one);
  if (now.arena == 0) GTEST_SKIP() << "a sanitizer's malloc";
  EXPECT_EQ(now.hblkhd, mapped);
}
#endif

TEST(FileBuffer, BeginsInTheMiddleOfAPageAndIsAsLargeAsWasAsked) {
  for (const std::size_t size : {1UL, 2048UL, 2049UL, 4096UL, 131072UL, 262145UL}) {
    const FileBuffer buffer(size);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % 4096, 2048U);
    std::memset(buffer.data(), 1, size);  // where a sanitizer would see what is too small
  }
}

}  // namespace
}  // namespace litepull
