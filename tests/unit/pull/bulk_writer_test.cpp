#include "client/pull/bulk_writer.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <random>

#include "common/error.h"
#include "tests/support/temp_dir.h"

namespace litepull {
namespace {
namespace fs = std::filesystem;

constexpr std::uint64_t kBuffer = BulkWriter::kBufferBytes;

Bytes random_bytes(std::size_t size, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  Bytes bytes(size);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random() >> 56);
  return bytes;
}

// With and without O_DIRECT. Where the file system has no O_DIRECT, both are the same.
class BulkWriterTest : public testing::TestWithParam<Caching> {
 protected:
  BulkWriterTest()
      : dir_fd_(open_path(dir_.path().string(), O_RDONLY | O_DIRECTORY)),
        file_(open_path(path_, O_RDWR | O_CREAT, 0600)) {}

  Fd direct() const { return GetParam() == Caching::kBypass ? open_direct(dir_fd_.get(), "file") : Fd(); }
  BulkWriter writer() const { return {file_.get(), direct(), path_}; }

  // Adds these bytes of the file in pieces of `piece` bytes.
  void add(BulkWriter& writer, std::uint64_t offset, std::size_t size, std::size_t piece,
           std::uint64_t seed = 1) {
    const Bytes bytes = random_bytes(size, seed);
    for (std::size_t at = 0; at < size; at += piece)
      writer.add(offset + at, ByteView(bytes).subspan(at, std::min(piece, size - at)));
    expect(offset, bytes);
  }

  void add_zeros(BulkWriter& writer, std::uint64_t offset, std::size_t size) {
    const Bytes zeros(size);
    writer.add(offset, zeros);
    expect(offset, zeros);
  }

  void expect(std::uint64_t offset, const Bytes& bytes) {
    if (expected_.size() < offset + bytes.size()) expected_.resize(offset + bytes.size());
    std::copy(bytes.begin(), bytes.end(), expected_.begin() + static_cast<std::ptrdiff_t>(offset));
  }

  // Zeros at the end are a hole, too. The caller sets the file's length.
  void expect_written() const {
    ASSERT_EQ(::ftruncate(file_.get(), static_cast<off_t>(expected_.size())), 0);
    const std::string content = test::read_file(path_);
    ASSERT_EQ(content.size(), expected_.size());
    EXPECT_TRUE(std::equal(content.begin(), content.end(), expected_.begin(),
                           [](char a, std::uint8_t b) { return static_cast<std::uint8_t>(a) == b; }));
  }

  std::uint64_t disk_bytes() const {
    fsync_fd(file_.get(), path_);
    struct stat info {};
    EXPECT_EQ(::fstat(file_.get(), &info), 0);
    return static_cast<std::uint64_t>(info.st_blocks) * 512;
  }

  test::TempDir dir_;
  const std::string path_ = dir_ / "file";
  const Fd dir_fd_, file_;
  Bytes expected_;
};

INSTANTIATE_TEST_SUITE_P(BothWays, BulkWriterTest, testing::Values(Caching::kKeep, Caching::kBypass),
                         [](const auto& caching) {
                           return caching.param == Caching::kKeep ? "ThroughTheCache" : "PastTheCache";
                         });

TEST_P(BulkWriterTest, WritesSmallPiecesTogether) {
  BulkWriter writer = this->writer();
  add(writer, 0, 100'000, 4096);
  EXPECT_EQ(fs::file_size(path_), 0U) << "not before it must";
  writer.flush();
  expect_written();
}

TEST_P(BulkWriterTest, WritesLongRunsOfAnyStartAndLength) {
  for (const std::uint64_t start :
       {std::uint64_t{0}, std::uint64_t{4096}, std::uint64_t{1}, std::uint64_t{5'000'001}})
    for (const std::size_t size :
         {std::size_t{1}, std::size_t{4095}, std::size_t{4097}, std::size_t{kBuffer - 1},
          std::size_t{kBuffer}, std::size_t{kBuffer + 1}, std::size_t{2 * kBuffer + 12'345}}) {
      SCOPED_TRACE("start " + std::to_string(start) + ", size " + std::to_string(size));
      ASSERT_EQ(::ftruncate(file_.get(), 0), 0);
      expected_.clear();
      BulkWriter writer = this->writer();
      add(writer, start, size, 1'000'003, start + size);
      writer.flush();
      expect_written();
      if (HasFatalFailure()) return;
    }
}

TEST_P(BulkWriterTest, WritesWhereverItIsToldTo) {
  BulkWriter writer = this->writer();
  add(writer, 8192, 4096, 4096, 1);
  add(writer, 100'000, 5'000, 512, 2);
  add(writer, 10'000'000, kBuffer + 77, 65'536, 3);
  add(writer, 0, 300, 100, 4);  // also back
  writer.flush();
  expect_written();
}

TEST_P(BulkWriterTest, GoesOnAfterAFlushAnywhere) {
  BulkWriter writer = this->writer();
  std::uint64_t offset = 0;
  for (const std::size_t size : {std::size_t{4096}, std::size_t{1000}, std::size_t{kBuffer},
                                 std::size_t{3096}, std::size_t{8192}, std::size_t{1}}) {
    add(writer, offset, size, 4096, offset);
    writer.flush();
    expect_written();
    offset += size;
  }
  writer.flush();
  expect_written();
}

TEST_P(BulkWriterTest, WritesOverWhatIsThere) {
  const Bytes old = random_bytes(3 * kBuffer, 9);
  pwrite_all(file_.get(), old.data(), old.size(), 0, path_);
  expect(0, old);
  BulkWriter writer = this->writer();
  add(writer, 4097, kBuffer + 5, 4096);
  writer.flush();
  expect_written();
}

TEST_P(BulkWriterTest, LeavesHolesForZeros) {
  BulkWriter writer = this->writer();
  add(writer, 0, kBuffer, 65'536);
  add_zeros(writer, kBuffer, 8 * kBuffer);
  add(writer, 9 * kBuffer, 10'000, 4096, 2);
  add_zeros(writer, 9 * kBuffer + 10'000, 2 * kBuffer);
  writer.flush();
  expect_written();
  // The zeros around the last bytes that are not zero are written with them.
  EXPECT_LE(disk_bytes(), 3 * kBuffer);
}

TEST_P(BulkWriterTest, OneByteAmongZerosIsWritten) {
  for (const std::uint64_t place : {std::uint64_t{0}, kBuffer / 2, kBuffer - 1}) {
    ASSERT_EQ(::ftruncate(file_.get(), 0), 0);
    BulkWriter writer = this->writer();
    Bytes bytes(kBuffer);
    bytes[place] = 1;
    writer.add(0, bytes);
    writer.flush();
    EXPECT_EQ(test::read_file(path_).size(), kBuffer);
    EXPECT_EQ(test::read_file(path_)[place], 1);
  }
}

TEST_P(BulkWriterTest, SaysWhenTheDiskTakesNoMore) {
  const Fd read_only = open_path(path_, O_RDONLY);
  BulkWriter writer(read_only.get(), Fd(), path_);
  writer.add(0, random_bytes(100, 1));
  EXPECT_THROW(writer.flush(), Error);
}

// Some file systems open a file with O_DIRECT and then refuse the write.
TEST_P(BulkWriterTest, GoesTheUsualWayWhenTheOtherIsRefused) {
  BulkWriter writer(file_.get(), open_path(path_, O_RDONLY), path_);
  add(writer, 0, 2 * kBuffer + 100, 65'536);
  writer.flush();
  expect_written();
}

TEST(OpenDirect, OfALinkIsNothing) {
  const test::TempDir dir;
  test::write_file(dir / "file", "x");
  fs::create_symlink("file", dir / "link");
  const Fd dir_fd = open_path(dir.path().string(), O_RDONLY | O_DIRECTORY);
  EXPECT_FALSE(open_direct(dir_fd.get(), "link"));
  EXPECT_FALSE(open_direct(dir_fd.get(), "gone"));
}

}  // namespace
}  // namespace litepull
