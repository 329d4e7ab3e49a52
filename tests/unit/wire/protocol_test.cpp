#include "common/wire/protocol.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

#include "common/wire/frame.h"
#include "tests/support/memory_sink.h"
#include "tests/support/test_key.h"

namespace litepull {
namespace {

std::filesystem::path project_dir() {
  return std::filesystem::path(__FILE__).parent_path() / "../../..";
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
  std::ifstream in(project_dir() / "common/wire/PROTOCOL.md");
  std::string line, block;
  while (std::getline(in, line) && line != "```golden " + name) {
  }
  while (std::getline(in, line) && line != "```") block += line + " ";
  return from_hex(block);
}

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

RestoreRequest sample_restore() {
  RestoreItem item{"a.sqlite3", 4096, 16, {}};
  for (std::size_t i = 0; i < item.digest.size(); ++i) item.digest[i] = static_cast<std::uint8_t>(i * 0x11);
  RestoreRequest request;
  request.mode = RestoreMode::kCompare;
  request.directory = "/storage";
  request.key.fill(0xAB);
  request.items = {item};
  return request;
}

Target sample_target() {
  Target target;
  target.page_size = 4096;
  target.page_count = 17;
  target.uid = 1000;
  target.mode = 0640;
  target.holders = {{4711, "puma"}, {4712, std::string(kMaxCommandBytes, '\x1B')}};
  return target;
}

TEST(ProtocolTest, TheDocumentsRequestIsWhatTheCodeWrites) {
  Request request;
  request.directory = "/storage";
  request.databases = {"*.sqlite3"};
  test::MemorySink sink;
  FrameWriter(sink).write(MessageType::kRequest, encode(request));
  EXPECT_EQ(sink.bytes, golden("request"));
}

TEST(ProtocolTest, TheDocumentsRestoreIsWhatTheCodeWrites) {
  test::MemorySink sink;
  FrameWriter(sink).write(MessageType::kRestoreRequest, encode(sample_restore()));
  EXPECT_EQ(sink.bytes, golden("restore"));
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
  const Unmatched unmatched{{{"*.db", "a.db", 3}, {"", "long", 1}}, 4, "after 2 s"};
  EXPECT_EQ(decode_unmatched(encode(unmatched)), unmatched);
  DatabaseEnd end;
  end.page_count = 9;
  end.digest[15] = 0xAB;
  end.hold_us = 77;
  end.state[0] = 0xCD;
  EXPECT_EQ(decode_end(encode(end)).digest, end.digest);
  EXPECT_EQ(decode_end(encode(end)).hold_us, 77U);
  EXPECT_EQ(decode_end(encode(end)).state, end.state);
}

TEST(ProtocolTest, BasesAndPageHashesComeBackAsTheyWere) {
  Request request;
  request.bases = {{"a.sqlite3", 4096, 17}, {"tenants/b.sqlite3", 512, kMaxPageCount, {1}, {2}}};
  request.key = test::key_of(7);
  EXPECT_EQ(decode_request(encode(request)).bases, request.bases);
  EXPECT_EQ(decode_request(encode(request)).key, request.key);
  const Hashes hashes = decode_hashes(encode(Hashes{3, {1, 0xFFFFFFFF, 0x01020304}}));
  EXPECT_EQ(hashes.database, 3U);
  EXPECT_EQ(hashes.hashes, (std::vector<std::uint32_t>{1, 0xFFFFFFFF, 0x01020304}));
  EXPECT_EQ(decode_compared(encode(Compared{7, 4096})).pages, 4096U);
  DatabaseInfo info = sample_database();
  info.base_pages = 17;
  EXPECT_EQ(decode_database(encode(info)).base_pages, 17U);
  EXPECT_FALSE(decode_database(encode(info)).unchanged);
}

TEST(ProtocolTest, ADatabaseIsUnchangedAsAWholeOrNot) {
  DatabaseInfo info = sample_database();
  info.unchanged = true;
  info.base_pages = info.page_count;
  EXPECT_TRUE(decode_database(encode(info)).unchanged);
  Bytes odd = encode(info);
  odd.back() = 2;
  EXPECT_THROW(decode_database(odd), Error);
  --info.base_pages;
  EXPECT_THROW(decode_database(encode(info)), Error);
}

TEST(ProtocolTest, MorePatternsForDatabasesThatWereNotAskedForThanThereCanBeAreRefused) {
  Unmatched unmatched;
  unmatched.groups.resize(kMaxUnmatched,
                          {std::string(kMaxGlobBytes, 'x'), std::string(kMaxNameBytes, 'x'), 1});
  unmatched.end = std::string(kMaxTextBytes, 'x');
  EXPECT_LE(encode(unmatched).size(), max_body_bytes(static_cast<std::uint8_t>(MessageType::kUnmatched)));
  EXPECT_NO_THROW(decode_unmatched(encode(unmatched)));
  unmatched.groups.resize(kMaxUnmatched + 1);
  EXPECT_THROW(decode_unmatched(encode(unmatched)), Error);
}

TEST(ProtocolTest, ADigestComesBackFromItsText) {
  Digest digest{};
  for (std::size_t i = 0; i < digest.size(); ++i) digest[i] = static_cast<std::uint8_t>(i * 17);
  EXPECT_EQ(digest_of_hex(to_hex(digest)), digest);
  for (const char* wrong : {"", "00", "0011223344556677889900112233445G", "00112233445566778899001122334455 ",
                            "0011223344556677889900AABBCCDDEE"})
    EXPECT_EQ(digest_of_hex(wrong), std::nullopt) << wrong;
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

TEST(ProtocolTest, ARequestForMoreThanAnAgentMayTakeIsRefused) {
  const auto take = [](auto change) {
    Request request;
    change(request);
    decode_request(encode(request));
  };
  EXPECT_NO_THROW(take([](Request& r) { r.barrier_ms = kMaxBarrierMs, r.hold_max_ms = kMaxHoldMs; }));
  EXPECT_NO_THROW(take([](Request& r) { r.wal_growth_max_bytes = kMaxWalGrowthBytes; }));
  EXPECT_NO_THROW(take([](Request& r) { r.memory_bytes = kMaxMemoryBytes; }));
  for (const int level : {-7, 0, 19, 127})
    EXPECT_NO_THROW(take([&](Request& r) { r.compression_level = static_cast<std::int8_t>(level); }));
  EXPECT_THROW(take([](Request& r) { r.barrier_ms = kMaxBarrierMs + 1; }), Error);
  EXPECT_THROW(take([](Request& r) { r.hold_max_ms = kMaxHoldMs + 1; }), Error);
  EXPECT_THROW(take([](Request& r) { r.wal_growth_max_bytes = kMaxWalGrowthBytes + 1; }), Error);
  EXPECT_THROW(take([](Request& r) { r.memory_bytes = kMaxMemoryBytes + 1; }), Error);
  for (const int level : {-128, -8, 20, 126})
    EXPECT_THROW(take([&](Request& r) { r.compression_level = static_cast<std::int8_t>(level); }), Error);
}

TEST(ProtocolTest, MessagesOfARestoreComeBackAsTheyWere) {
  const RestoreRequest request = decode_restore_request(encode(sample_restore()));
  EXPECT_EQ(request.mode, RestoreMode::kCompare);
  EXPECT_EQ(request.items, sample_restore().items);
  EXPECT_EQ(request.key, sample_restore().key);
  const Target target = decode_target(encode(sample_target()));
  EXPECT_EQ(target.mode, 0640U);
  EXPECT_EQ(target.holders.at(1).command, std::string(kMaxCommandBytes, '\x1B'));
  Target refused;
  refused.state = TargetState::kRefused;
  refused.problem = {ErrorKind::kCorrupt, "no", "do this"};
  EXPECT_EQ(decode_target(encode(refused)).problem.hint, "do this");
  EXPECT_EQ(decode_needed(encode(Needed{3, 1, {{5, 2}}})).runs.at(0).first, 5U);
  Restored restored;
  restored.replaced[0] = 9;
  restored.lock_us = 77;
  EXPECT_EQ(decode_restored(encode(restored)).replaced, restored.replaced);
  EXPECT_EQ(decode_restored(encode(restored)).lock_us, 77U);
  EXPECT_EQ(decode_ready(encode(Ready{1, 2, 3})).differing, 2U);
}

TEST(ProtocolTest, NamesThatLeaveTheDirectoryOrAreSidecarsAreNotRestored) {
  for (const std::string name : {"", "/a", "a/", "a//b", "..", "../a", "a/../b", "a/.", "a\nb",
                                 "a.sqlite3-wal", "d/a-journal", "a-shm", "\xFF"}) {
    RestoreRequest request = sample_restore();
    request.items[0].name = name;
    EXPECT_THROW(decode_restore_request(encode(request)), Error) << printable(name);
  }
  const std::string longest(kMaxNameBytes, 'x');
  for (const std::string& name : std::vector<std::string>{"a", "d/a.sqlite3", "..a", "a..", longest}) {
    RestoreRequest request = sample_restore();
    request.items[0].name = name;
    EXPECT_NO_THROW(decode_restore_request(encode(request))) << name;
  }
}

TEST(ProtocolTest, RestoresOfNothingOrOfWhatCannotBeAreRefused) {
  auto refused = [](auto change) {
    RestoreRequest request = sample_restore();
    change(request);
    EXPECT_THROW(decode_restore_request(encode(request)), Error);
  };
  refused([](RestoreRequest& r) { r.items.clear(); });
  refused([](RestoreRequest& r) { r.items.push_back(r.items[0]); });
  refused([](RestoreRequest& r) { r.items.resize(kMaxDatabases + 1, r.items[0]); });
  refused([](RestoreRequest& r) { r.items[0].page_size = 1000; });
  refused([](RestoreRequest& r) { r.items[0].pages = 0; });
  refused([](RestoreRequest& r) { r.items[0].pages = kMaxPageCount + 1; });
  refused([](RestoreRequest& r) { r.items[0].name = std::string(kMaxNameBytes + 1, 'x'); });
  refused([](RestoreRequest& r) { r.directory = std::string(kMaxPathBytes + 1, 'x'); });
  refused([](RestoreRequest& r) { r.silence_ms = 0; });
  refused([](RestoreRequest& r) { r.version = kProtocolVersion + 1; });
  refused([](RestoreRequest& r) { r.mode = static_cast<RestoreMode>(3); });
}

TEST(ProtocolTest, AnswersOfARestoreThatCannotBeAreRefused) {
  Target target = sample_target();
  target.holders.resize(kMaxHolders + 1);
  EXPECT_THROW(decode_target(encode(target)), Error);
  target = sample_target();
  target.holders[0].command = std::string(kMaxCommandBytes + 1, 'x');
  EXPECT_THROW(decode_target(encode(target)), Error);
  target = sample_target();
  target.page_size = 3;
  EXPECT_THROW(decode_target(encode(target)), Error);
  for (const auto& runs : std::vector<std::vector<PageRun>>{
           {}, {{0, 1}}, {{1, 0}}, {{5, 2}, {6, 1}}, {{kMaxPageCount, 2}}, {{1, ~0U}}})
    EXPECT_THROW(decode_needed(encode(Needed{0, 0, runs})), Error);
  EXPECT_THROW(decode_needed(encode(Needed{0, 2, {{1, 1}}})), Error);
  EXPECT_NO_THROW(decode_needed(encode(Needed{0, 1, {{kMaxPageCount, 1}}})));
  Restored restored;
  restored.created = 2;
  EXPECT_THROW(decode_restored(encode(restored)), Error);
}

// Every prefix of a message is refused, and so is a message with a byte more.
TEST(ProtocolTest, MessagesOfAnotherLengthAreRefused) {
  const std::vector<std::pair<Bytes, std::function<void(ByteView)>>> cases{
      {encode(Request{}), [](ByteView b) { (void)decode_request(b); }},
      {encode(Hello{}), [](ByteView b) { (void)decode_hello(b); }},
      {encode(sample_database()), [](ByteView b) { (void)decode_database(b); }},
      {encode(Notice{"a", "b"}), [](ByteView b) { (void)decode_notice(b); }},
      {encode(Unmatched{{{"*.db", "a.db", 3}}, 4, "after 2 s"}),
       [](ByteView b) { (void)decode_unmatched(b); }},
      {encode(SetInfo{}), [](ByteView b) { (void)decode_set(b); }},
      {encode(DatabaseEnd{}), [](ByteView b) { (void)decode_end(b); }},
      {encode(DatabaseFailed{}), [](ByteView b) { (void)decode_failed(b); }},
      {encode(Done{}), [](ByteView b) { (void)decode_done(b); }},
      {encode(Compared{}), [](ByteView b) { (void)decode_compared(b); }},
      {encode(Problem{}), [](ByteView b) { (void)decode_problem(b); }},
      {encode(sample_restore()), [](ByteView b) { (void)decode_restore_request(b); }},
      {encode(sample_target()), [](ByteView b) { (void)decode_target(b); }},
      {encode(Needed{1, 0, {{1, 2}, {7, 1}}}), [](ByteView b) { (void)decode_needed(b); }},
      {encode(Ready{}), [](ByteView b) { (void)decode_ready(b); }},
      {encode(Restored{}), [](ByteView b) { (void)decode_restored(b); }},
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
  test::MemorySink sink;
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

TEST(ProtocolTest, MessagesOfALookComeBackAsTheyWere) {
  LookRequest request;
  request.directory = "/storage";
  request.databases = {"*.sqlite3"};
  request.exclude = {"cache/**"};
  const LookRequest asked = decode_look_request(encode(request));
  EXPECT_EQ(asked.directory, "/storage");
  EXPECT_EQ(asked.databases, request.databases);
  EXPECT_EQ(asked.exclude, request.exclude);
  const Storage storage = decode_storage(encode(Storage{"ext4", 1ULL << 40, 1000, 1001, 0755, false}));
  EXPECT_EQ(storage.file_system, "ext4");
  EXPECT_EQ(storage.available_bytes, 1ULL << 40);
  EXPECT_EQ(storage.uid, 1000U);
  EXPECT_EQ(storage.gid, 1001U);
  EXPECT_EQ(storage.mode, 0755U);
  EXPECT_FALSE(storage.processes_seen);
  Found found;
  found.name = "a.sqlite3";
  found.target.page_size = 4096;
  found.target.page_count = 7;
  found.target.mode = 0640;
  EXPECT_EQ(decode_found(encode(found)).name, "a.sqlite3");
  EXPECT_EQ(decode_found(encode(found)).target.page_count, 7U);
  EXPECT_EQ(decode_found(encode(found)).target.mode, 0640U);
}

TEST(ProtocolTest, AnswersToALookThatCannotBeAreRefused) {
  Found found;
  found.name = "a.sqlite3";
  found.target.page_size = 4096;
  found.target.state = TargetState::kMissing;
  EXPECT_THROW(decode_found(encode(found)), Error);
  found.target.state = TargetState::kThere;
  found.target.page_size = 3000;
  EXPECT_THROW(decode_found(encode(found)), Error);
  EXPECT_THROW(decode_storage(encode(Storage{std::string(100, 'x'), 0, 0, 0, 0, true})), Error);
  LookRequest request;
  request.version = kProtocolVersion + 1;
  EXPECT_THROW(decode_look_request(encode(request)), Error);
}

}  // namespace
}  // namespace litepull
