#include "common/disk.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "common/error.h"
#include "common/page_size.h"
#include "common/posix.h"
#include "tests/support/temp_dir.h"

namespace litepull {
namespace {

TEST(Disk, HasNoMoreFreeThanItHolds) {
  const test::TempDir dir;
  const auto space = disk_space(dir.path().string());
  ASSERT_TRUE(space);
  EXPECT_GT(space->total_bytes, 0U);
  EXPECT_LE(space->free_bytes, space->total_bytes);
}

TEST(Disk, ThatCannotBeAskedIsNamedWithItsCause) {
  EXPECT_FALSE(disk_space("/nonexistent/directory"));
  EXPECT_EQ(errno, ENOENT);
  EXPECT_FALSE(disk_space(-1));
  try {
    free_bytes_on(-1, "/backups");
    FAIL() << "it was told";
  } catch (const Error& error) {
    EXPECT_NE(error.message().find("the disk of /backups"), std::string::npos) << error.message();
  }
}

TEST(Disk, SharedBlocksAreTheSameContentOrNoneIsWritten) {
  const test::TempDir dir;
  test::write_file(dir / "from", "rows");
  const Fd from = open_path(dir / "from", O_RDONLY), to = open_path(dir / "to", O_RDWR | O_CREAT, 0600);
  const bool shared = share_blocks(from.get(), to.get());
  EXPECT_EQ(test::read_file(dir / "to"), shared ? "rows" : "");
}

TEST(PageSize, IsReadAsSqliteWritesIt) {
  EXPECT_EQ(page_size_in({0x10, 0x00}), 4096U);
  EXPECT_EQ(page_size_in({0x00, 0x01}), 65536U);
  EXPECT_TRUE(valid_page_size(512));
  EXPECT_TRUE(valid_page_size(65536));
  for (const std::uint32_t size : {0U, 256U, 1000U, 131'072U}) EXPECT_FALSE(valid_page_size(size)) << size;
}

}  // namespace
}  // namespace litepull
