#include "client/store/hash_file.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "common/error.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_key.h"

namespace litepull {
namespace {
namespace fs = std::filesystem;

constexpr HashFileHead kHead{4096, 50'000};
const DigestKey kKey = test::key_of(1);
constexpr std::uint64_t kBytes = std::uint64_t{4096} * 50'000;
constexpr std::size_t kHeadBytes = 32;

std::uint32_t hash_of(std::uint32_t page) {
  return page * 2'654'435'761U;
}

class HashFileTest : public testing::Test {
 protected:
  HashFileTest() { write(kHead); }

  void write(const HashFileHead& head) {
    fs::remove(path_);
    HashFileWriter writer(open_path(path_, O_RDWR | O_CREAT | O_EXCL, 0600), path_, head, kKey);
    for (std::uint32_t page = 1; page <= head.pages; ++page) writer.add(hash_of(page));
    writer.finish();
  }

  void set_byte(std::size_t offset, char value) {
    std::string content = test::read_file(path_);
    content.at(offset) = value;
    test::write_file(path_, content);
  }

  std::optional<HashFile> open(std::uint64_t bytes = kBytes) const {
    return HashFile::open(open_path(path_, O_RDONLY), path_, bytes, kKey);
  }

  test::TempDir dir_;
  const std::string path_ = dir_ / "hashes";
};

TEST_F(HashFileTest, GivesBackWhatWasWritten) {
  const auto file = open();
  ASSERT_TRUE(file);
  EXPECT_EQ(file->head().page_size, kHead.page_size);
  EXPECT_EQ(file->head().pages, kHead.pages);
  const std::vector<std::uint32_t> all = file->read(1, kHead.pages);
  ASSERT_EQ(all.size(), kHead.pages);
  for (std::uint32_t page = 1; page <= kHead.pages; ++page) ASSERT_EQ(all[page - 1], hash_of(page)) << page;
}

TEST_F(HashFileTest, GivesAnyPart) {
  const auto file = open();
  ASSERT_TRUE(file);
  EXPECT_EQ(file->read(1, 1), std::vector<std::uint32_t>{hash_of(1)});
  EXPECT_EQ(file->read(17'000, 2), (std::vector<std::uint32_t>{hash_of(17'000), hash_of(17'001)}));
  EXPECT_EQ(file->read(50'000, 1), std::vector<std::uint32_t>{hash_of(50'000)});
  EXPECT_TRUE(file->read(50'001, 0).empty());
  EXPECT_THROW(static_cast<void>(file->read(50'000, 2)), Error);
}

TEST_F(HashFileTest, OfNoPagesIsAFileToo) {
  write({512, 0});
  ASSERT_TRUE(open(0));
  EXPECT_FALSE(open(512));
}

// The bytes that client/store/SNAPSHOT_FORMAT.md promises.
TEST_F(HashFileTest, IsWrittenAsDocumented) {
  write({65536, 2});
  const std::uint64_t mark = mark_of(kKey);
  std::string expected("LPHASHES\x02\0\0\0\0\0\x01\0\x02\0\0\0\0\0\0\0", 24);
  for (int shift = 0; shift < 64; shift += 8) expected += static_cast<char>(mark >> shift);
  const std::uint64_t check = XXH3_64bits(expected.data(), expected.size());
  for (std::size_t i = 0; i < 4; ++i) expected[20 + i] = static_cast<char>(check >> (8 * i));
  expected += "\xb1\x79\x37\x9e\x62\xf3\x6e\x3c";
  EXPECT_EQ(test::read_file(path_), expected);
}

TEST_F(HashFileTest, WithoutAFileIsNothing) {
  EXPECT_FALSE(HashFile::open(Fd(), path_, kBytes, kKey));
}

TEST_F(HashFileTest, WithAWrongHeadIsNothing) {
  const std::string sound = test::read_file(path_);
  // Magic, format, page size, number of pages, what must be zero, and the key's mark.
  for (std::size_t offset = 0; offset < kHeadBytes; ++offset) {
    set_byte(offset, static_cast<char>(sound[offset] ^ 0x10));
    EXPECT_FALSE(open()) << "byte " << offset;
    test::write_file(path_, sound);
  }
  EXPECT_TRUE(open());
}

// Such a file is sound and must not be called damaged.
TEST_F(HashFileTest, OfAnotherKeyOrTheFirstFormatIsKnownAsThat) {
  const auto is_of_another_key = [&](const DigestKey& key) {
    return HashFile::is_of_another_key(open_path(path_, O_RDONLY).get(), path_, key);
  };
  const DigestKey other = test::key_of(2);
  EXPECT_FALSE(is_of_another_key(kKey));
  EXPECT_TRUE(is_of_another_key(other));
  EXPECT_FALSE(HashFile::open(open_path(path_, O_RDONLY), path_, kBytes, other));
  set_byte(8, 1);
  EXPECT_FALSE(is_of_another_key(kKey)) << "a head that does not fit its check is damaged";
  for (std::size_t offset = 20; offset < 24; ++offset) set_byte(offset, 0);
  EXPECT_TRUE(is_of_another_key(kKey));
  EXPECT_FALSE(open());
  set_byte(0, 'x');
  EXPECT_FALSE(is_of_another_key(kKey)) << "that is no file of ours";
}

TEST_F(HashFileTest, OfAnotherLengthIsNothing) {
  const std::uintmax_t whole = fs::file_size(path_);
  for (const std::uintmax_t size : {std::uintmax_t{0}, std::uintmax_t{1}, std::uintmax_t{31},
                                    std::uintmax_t{32}, whole - 4, whole - 1, whole + 1, whole + 4}) {
    fs::resize_file(path_, size);
    EXPECT_FALSE(open()) << size;
  }
}

TEST_F(HashFileTest, OfADatabaseOfAnotherLengthIsNothing) {
  for (const std::uint64_t bytes : {std::uint64_t{0}, kBytes - 4096, kBytes - 1, kBytes + 1, kBytes + 4096})
    EXPECT_FALSE(open(bytes)) << bytes;
}

// In 32 bits the product of both would equal the database's length.
TEST_F(HashFileTest, WhoseHeadOverflowsIsNothing) {
  write({0x80000000U, 2});
  EXPECT_FALSE(open(0));
  EXPECT_TRUE(open(std::uint64_t{0x80000000U} * 2))
      << "whether the page size can be is the caller's question";
}

TEST_F(HashFileTest, ThatIsADirectoryIsNothing) {
  EXPECT_FALSE(HashFile::open(open_path(dir_.path().string(), O_RDONLY | O_DIRECTORY), path_, kBytes, kKey));
}

}  // namespace
}  // namespace litepull
