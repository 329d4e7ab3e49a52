#include "common/protocol.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

#include "common/frame.h"

namespace litepull {
namespace {

std::filesystem::path project_dir() {
  return std::filesystem::path(__FILE__).parent_path() / "../..";
}

Bytes from_hex(const std::string& text) {
  std::istringstream in(text);
  Bytes bytes;
  for (std::string word; in >> word;)
    bytes.push_back(static_cast<std::uint8_t>(std::stoi(word, nullptr, 16)));
  return bytes;
}

// The bytes of the block that PROTOCOL.md marks with ```golden NAME.
Bytes golden(const std::string& name) {
  std::ifstream in(project_dir() / "common/PROTOCOL.md");
  std::string line, block;
  while (std::getline(in, line) && line != "```golden " + name) {
  }
  while (std::getline(in, line) && line != "```") block += line + " ";
  return from_hex(block);
}

class MemorySink : public ByteSink {
 public:
  void write(ByteView head, ByteView body) override {
    bytes.insert(bytes.end(), head.begin(), head.end());
    bytes.insert(bytes.end(), body.begin(), body.end());
  }
  Bytes bytes;
};

class MemorySource : public ByteSource {
 public:
  explicit MemorySource(Bytes content) : bytes(std::move(content)) {}
  std::size_t read(void* buffer, std::size_t size) override {
    const std::size_t count = std::min({size, bytes.size() - at, std::size_t{3}});  // in small pieces
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), count, static_cast<std::uint8_t*>(buffer));
    at += count;
    return count;
  }
  Bytes bytes;
  std::size_t at = 0;
};

DatabaseInfo sample_database() {
  DatabaseInfo info;
  info.index = 3;
  info.name = "tenants/a.sqlite3";
  info.page_size = 4096;
  info.page_count = 17;
  info.journal_mode = JournalMode::kWal;
  info.wal_bytes = 1'000'000'000'000;
  return info;
}

PagesHead sample_pages() {
  return {0, Codec::kRaw, 8192, {{1, 2}}};
}

TEST(ProtocolTest, TheDocumentsRequestIsWhatTheCodeWrites) {
  Request request;
  request.directory = "/storage";
  request.databases = {"*.sqlite3"};
  MemorySink sink;
  FrameWriter(sink).write(MessageType::kRequest, encode(request));
  EXPECT_EQ(sink.bytes, golden("request"));
}

TEST(ProtocolTest, TheDocumentsPagesAreWhatTheCodeWrites) {
  EXPECT_EQ(encode(sample_pages()), golden("pages"));
}

TEST(ProtocolTest, MessagesComeBackAsTheyWere) {
  const DatabaseInfo info = decode_database(encode(sample_database()));
  EXPECT_EQ(info.name, "tenants/a.sqlite3");
  EXPECT_EQ(info.page_count, 17U);
  EXPECT_EQ(info.wal_bytes, 1'000'000'000'000U);
  DatabaseInfo failed = sample_database();
  failed.failed = true;
  failed.problem = {ErrorKind::kRefused, "no", "do this"};
  EXPECT_EQ(decode_database(encode(failed)).problem.hint, "do this");
  ByteView payload;
  EXPECT_EQ(decode_pages(encode(sample_pages()), payload).runs.at(0).count, 2U);
  EXPECT_TRUE(payload.empty());
  DatabaseEnd end;
  end.page_count = 9;
  end.digest[15] = 0xAB;
  end.hold_us = 77;
  EXPECT_EQ(decode_end(encode(end)).digest, end.digest);
  EXPECT_EQ(decode_end(encode(end)).hold_us, 77U);
}

TEST(ProtocolTest, BasesAndPageHashesComeBackAsTheyWere) {
  Request request;
  request.bases = {{"a.sqlite3", 4096, 17, 42}, {"tenants/b.sqlite3", 512, kMaxPageCount, ~0ULL}};
  EXPECT_EQ(decode_request(encode(request)).bases, request.bases);
  const Hashes hashes = decode_hashes(encode(Hashes{3, {1, 0xFFFFFFFF, 0x01020304}}));
  EXPECT_EQ(hashes.database, 3U);
  EXPECT_EQ(hashes.hashes, (std::vector<std::uint32_t>{1, 0xFFFFFFFF, 0x01020304}));
  EXPECT_EQ(decode_compared(encode(Compared{7, 4096})).pages, 4096U);
  DatabaseInfo info = sample_database();
  info.base_pages = 17;
  EXPECT_EQ(decode_database(encode(info)).base_pages, 17U);
}

TEST(ProtocolTest, PageHashesThatAreNoneOrInPiecesAreRefused) {
  for (const std::size_t size : {0, 1, 3, 4, 5, 7, 9})
    EXPECT_THROW(decode_hashes(Bytes(size)), Error) << size;
  EXPECT_NO_THROW(decode_hashes(Bytes(8)));
  const Bytes most = encode(Hashes{0, std::vector<std::uint32_t>(kMaxHashesPerMessage)});
  EXPECT_EQ(most.size(), max_body_bytes(static_cast<std::uint8_t>(MessageType::kHashes)));
}

TEST(ProtocolTest, MoreBasesOrHashesThanThereCanBeAreRefused) {
  Request request;
  request.bases.resize(kMaxDatabases + 1);
  EXPECT_THROW(decode_request(encode(request)), Error);
  request.bases.resize(1);
  request.bases[0].name = std::string(kMaxNameBytes + 1, 'x');
  EXPECT_THROW(decode_request(encode(request)), Error);
  DatabaseInfo info = sample_database();
  info.base_pages = info.page_count + 1;
  EXPECT_THROW(decode_database(encode(info)), Error);
}

// Every prefix of a message is refused, and so is a message with a byte more.
TEST(ProtocolTest, MessagesOfAnotherLengthAreRefused) {
  const std::vector<std::pair<Bytes, std::function<void(ByteView)>>> cases{
      {encode(Request{}), [](ByteView b) { (void)decode_request(b); }},
      {encode(Hello{}), [](ByteView b) { (void)decode_hello(b); }},
      {encode(sample_database()), [](ByteView b) { (void)decode_database(b); }},
      {encode(SetInfo{}), [](ByteView b) { (void)decode_set(b); }},
      {encode(DatabaseEnd{}), [](ByteView b) { (void)decode_end(b); }},
      {encode(DatabaseFailed{}), [](ByteView b) { (void)decode_failed(b); }},
      {encode(Done{}), [](ByteView b) { (void)decode_done(b); }},
      {encode(Compared{}), [](ByteView b) { (void)decode_compared(b); }},
      {encode(Problem{}), [](ByteView b) { (void)decode_problem(b); }},
  };
  for (const auto& [bytes, decode] : cases) {
    EXPECT_NO_THROW(decode(bytes));
    for (std::size_t size = 0; size < bytes.size(); ++size)
      EXPECT_THROW(decode(ByteView(bytes).first(size)), Error) << size << " of " << bytes.size();
    Bytes longer = bytes;
    longer.push_back(0);
    EXPECT_THROW(decode(longer), Error);
  }
}

TEST(ProtocolTest, PageSizesAndCountsThatSqliteDoesNotHaveAreRefused) {
  for (const std::uint32_t size : {0U, 1U, 256U, 1000U, 131072U}) {
    DatabaseInfo info = sample_database();
    info.page_size = size;
    EXPECT_THROW(decode_database(encode(info)), Error) << size;
  }
  for (const std::uint32_t count : {0U, kMaxPageCount + 1}) {
    DatabaseInfo info = sample_database();
    info.page_count = count;
    EXPECT_THROW(decode_database(encode(info)), Error) << count;
  }
}

TEST(ProtocolTest, PageRunsOutOfOrderAreRefused) {
  const std::vector<std::vector<PageRun>> bad{{}, {{0, 1}}, {{1, 0}}, {{5, 2}, {6, 1}}, {{5, 1}, {4, 1}}};
  for (const auto& runs : bad) {
    PagesHead head = sample_pages();
    head.runs = runs;
    ByteView payload;
    EXPECT_THROW(decode_pages(encode(head), payload), Error);
  }
  PagesHead good = sample_pages();
  good.runs = {{1, 4}, {5, 1}, {900, 1}};
  ByteView payload;
  EXPECT_NO_THROW(decode_pages(encode(good), payload));
}

TEST(ProtocolTest, MorePageBytesThanTheCapAreRefused) {
  PagesHead head = sample_pages();
  head.raw_bytes = kMaxBatchBytes + 1;
  ByteView payload;
  EXPECT_THROW(decode_pages(encode(head), payload), Error);
}

TEST(FrameTest, FramesComeBackAsTheyWere) {
  MemorySink sink;
  FrameWriter writer(sink);
  const Bytes head{1, 2, 3}, payload{4, 5};
  writer.write(MessageType::kPages, head, payload);
  EXPECT_TRUE(writer.try_write(MessageType::kAlive));
  MemorySource source(sink.bytes);
  FrameReader reader(source);
  Frame frame;
  ASSERT_TRUE(reader.next(frame));
  EXPECT_EQ(frame.type, MessageType::kPages);
  EXPECT_EQ(frame.body, (Bytes{1, 2, 3, 4, 5}));
  ASSERT_TRUE(reader.next(frame));
  EXPECT_EQ(frame.type, MessageType::kAlive);
  EXPECT_FALSE(reader.next(frame));
}

TEST(FrameTest, InvalidGoldenFramesAreRefused) {
  std::ifstream in(project_dir() / "tests/golden/invalid_frames.txt");
  int count = 0;
  for (std::string line; std::getline(in, line);) {
    if (line.empty() || line[0] == '#') continue;
    const std::size_t name_end = line.find(' ');
    MemorySource source(from_hex(line.substr(name_end)));
    FrameReader reader(source);
    Frame frame;
    EXPECT_THROW((void)reader.next(frame), Error) << line.substr(0, name_end);
    ++count;
  }
  EXPECT_GE(count, 6);
}

TEST(PrintableTest, TerminalEscapesAndBrokenUtf8AreSpelledOut) {
  EXPECT_EQ(printable("caf\xC3\xA9"), "caf\xC3\xA9");
  EXPECT_EQ(printable("\x1B[2J"), "\\x1B[2J");
  EXPECT_EQ(printable("\xC2\x9B"
                      "1m"),
            "\\xC2\\x9B1m");
  EXPECT_EQ(printable("a\nb\\"), "a\\x0Ab\\x5C");
  EXPECT_EQ(printable("\xFF\xC3"), "\\xFF\\xC3");
  EXPECT_FALSE(is_clean_utf8("\xED\xA0\x80"));  // a surrogate
  EXPECT_TRUE(is_clean_utf8("plain"));
}

}  // namespace
}  // namespace litepull
