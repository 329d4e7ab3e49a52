// Writes the seeds of the binary formats. Usage: make_seeds CORPUS. Run it again when a format changes. The
// fuzzers found everything else in the corpora.
#include <zstd.h>

#include <cstdio>
#include <exception>
#include <initializer_list>
#include <string>
#include <string_view>

#include "common/wire/digest.h"
#include "common/wire/frame.h"
#include "common/wire/protocol.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/sample.h"
#include "tests/support/memory_sink.h"
#include "tests/support/temp_dir.h"

namespace litepull::fuzz {
namespace {

// A stream of frames after bytes that are no frames.
class Stream {
 public:
  explicit Stream(Bytes start = {}) : start_(std::move(start)) {}

  Stream& add(MessageType type, ByteView head = {}, ByteView payload = {}) {
    FrameWriter(sink_).write(type, head, payload);
    return *this;
  }
  Bytes bytes() const {
    Bytes all = start_;
    all.insert(all.end(), sink_.bytes.begin(), sink_.bytes.end());
    return all;
  }

 private:
  Bytes start_;
  test::MemorySink sink_;
};

class Seeds {
 public:
  explicit Seeds(std::string corpus) : corpus_(std::move(corpus)) {}

  void write(const std::string& target, const std::string& name, ByteView content) const {
    test::write_file(corpus_ + "/" + target + "/seed-" + name, as_text(content), 0644);
  }
  void write_message(const std::string& target, MessageType type, ByteView head,
                     ByteView payload = {}) const {
    Bytes all(1, static_cast<std::uint8_t>(type));
    all.insert(all.end(), head.begin(), head.end());
    all.insert(all.end(), payload.begin(), payload.end());
    write(target, "message-" + std::to_string(static_cast<int>(type)), all);
  }

 private:
  std::string corpus_;
};

Bytes compress(ByteView raw) {
  Bytes out(ZSTD_compressBound(raw.size()));
  out.resize(ZSTD_compress(out.data(), out.size(), raw.data(), raw.size(), 1));
  return out;
}

PagesHead pages(std::uint32_t database, Codec codec, std::vector<PageRun> runs) {
  PagesHead head{database, codec, 0, std::move(runs)};
  for (const PageRun& run : head.runs) head.raw_bytes += kPageSize * run.count;
  return head;
}

ByteView part(const Bytes& file, std::uint32_t first, std::uint32_t count) {
  return ByteView(file).subspan(std::size_t{kPageSize} * (first - 1), std::size_t{kPageSize} * count);
}

DatabaseInfo info(std::uint32_t index, const char* name, std::uint32_t count, std::uint32_t base_pages) {
  DatabaseInfo info;
  info.index = index;
  info.name = name;
  info.page_size = kPageSize;
  info.page_count = count;
  info.base_pages = base_pages;
  return info;
}

DatabaseInfo failed_info(std::uint32_t index) {
  DatabaseInfo info;
  info.index = index;
  info.name = "fifo";
  info.failed = true;
  info.problem = {ErrorKind::kRefused, "it is a FIFO", "remove it"};
  return info;
}

DatabaseEnd end_of(std::uint32_t database, const Bytes& file) {
  DatabaseEnd end;
  end.database = database;
  end.page_count = end.pages_sent = static_cast<std::uint32_t>(file.size() / kPageSize);
  end.digest = keyed_digest_of(file);
  return end;
}

Hashes hashes_of(std::uint32_t database, const Bytes& file) {
  Hashes hashes{database, {}};
  for (std::size_t at = 0; at < file.size(); at += kPageSize)
    hashes.hashes.push_back(page_hash(ByteView(file).subspan(at, kPageSize), key()));
  return hashes;
}

Target target(std::uint32_t index, TargetState state) {
  Target target;
  target.index = index;
  target.state = state;
  target.problem = {ErrorKind::kRefused, "it is a link", "name the file"};
  target.page_size = kPageSize;
  target.page_count = kPages;
  target.holders = {{4711, "puma"}};
  return target;
}

Storage storage() {
  return {"ext4", 1 << 30, 1000, 1000, 0755, true};
}

Request request() {
  Request request;
  request.directory = "/storage";
  request.databases = {"*.sqlite3", "tenants/**"};
  request.exclude = {"cache*", "[!a-z]?.db"};
  const Digest any = digest_of(sample_file(kPages, 7));
  request.key = key();
  request.bases = {{kName, kPageSize, kPages}, {kOtherName, kPageSize, 5, any, any}};
  return request;
}

LookRequest look_request() {
  LookRequest look;
  look.directory = "~/storage";
  look.databases = request().databases;
  look.exclude = request().exclude;
  return look;
}

RestoreRequest restore_request(const Bytes& file, const Bytes& other) {
  RestoreRequest request;
  request.mode = RestoreMode::kRestore;
  request.directory = "/storage";
  request.key = key();
  request.items = {{kName, kPageSize, kPages, keyed_digest_of(file)},
                   {kOtherName, kPageSize, 5, keyed_digest_of(other)}};
  return request;
}

void write_agents_messages(const Seeds& seeds, const char* to) {
  const Bytes file = sample_file(2, 7);
  const auto put = [&](MessageType type, ByteView head, ByteView payload = {}) {
    seeds.write_message(to, type, head, payload);
  };
  put(MessageType::kHello, encode(Hello{}));
  put(MessageType::kDatabase, encode(info(0, kName, kPages, 3)));
  put(MessageType::kSet, encode(SetInfo{Consistency::kBarrier, 0, 12, 1, ""}));
  put(MessageType::kPages, encode(pages(0, Codec::kZstd, {{1, 1}, {3, 1}})), compress(file));
  put(MessageType::kEnd, encode(end_of(0, file)));
  put(MessageType::kFailed, encode(DatabaseFailed{0, {ErrorKind::kCorrupt, "no", "do this"}}));
  put(MessageType::kDone, encode(Done{1, 2}));
  put(MessageType::kAlive, {});
  put(MessageType::kError, encode(Problem{ErrorKind::kFailed, "it broke", ""}));
  put(MessageType::kCompared, encode(Compared{0, 4}));
  put(MessageType::kTarget, encode(target(0, TargetState::kThere)));
  put(MessageType::kNeeded, encode(Needed{0, 1, {{1, 2}, {4, 1}}}));
  put(MessageType::kReady, encode(Ready{0, 2, 3}));
  put(MessageType::kPrepared, {});
  put(MessageType::kRestored, encode(Restored{}));
  put(MessageType::kStorage, encode(storage()));
  put(MessageType::kUnmatched, encode(Unmatched{{{"*.db", "a.db", 3}}, 4, "after 2 s"}));
  put(MessageType::kFound, encode(Found{kName, target(0, TargetState::kRefused)}));
}

void write_clients_messages(const Seeds& seeds, const char* to) {
  const Bytes file = sample_file(kPages, 7), other = sample_file(5, 8);
  const auto put = [&](MessageType type, ByteView head, ByteView payload = {}) {
    seeds.write_message(to, type, head, payload);
  };
  put(MessageType::kRequest, encode(request()));
  put(MessageType::kPing, {});
  put(MessageType::kHashes, encode(hashes_of(0, file)));
  put(MessageType::kRestoreRequest, encode(restore_request(file, other)));
  put(MessageType::kPut, encode(pages(0, Codec::kRaw, {{1, 1}})), part(file, 1, 1));
  put(MessageType::kCommit, {});
  put(MessageType::kLookRequest, encode(look_request()));
}

void add_pages(Stream& stream, std::uint32_t database, Codec codec, const Bytes& file, PageRun run) {
  const ByteView raw = part(file, run.first, run.count);
  const Bytes packed = compress(raw);
  stream.add(MessageType::kPages, encode(pages(database, codec, {run})),
             codec == Codec::kZstd ? ByteView(packed) : raw);
}

// What an agent sends to a client. The first byte is the conversation; see session_client.cpp.
void write_agents_streams(const Seeds& seeds, const char* to) {
  const Bytes hello = encode(Hello{}), done = encode(Done{});
  const Bytes base = sample_file(kPages, 7), other = sample_file(3, 9);
  Bytes changed = base;
  changed[kPageSize * 2 + 100] = 1;

  Stream whole({0});
  whole.add(MessageType::kHello, hello)
      .add(MessageType::kDatabase, encode(info(0, kOtherName, 3, 0)))
      .add(MessageType::kDatabase, encode(failed_info(1)))
      .add(MessageType::kSet, encode(SetInfo{Consistency::kPinned, 9, 0, 2, ""}))
      .add(MessageType::kAlive);
  add_pages(whole, 0, Codec::kZstd, other, {1, 2});
  add_pages(whole, 0, Codec::kRaw, other, {3, 1});
  whole.add(MessageType::kEnd, encode(end_of(0, other))).add(MessageType::kDone, done);
  seeds.write(to, "pull-whole", whole.bytes());

  Stream delta({0});
  delta.add(MessageType::kHello, hello)
      .add(MessageType::kDatabase, encode(info(0, kName, kPages, kPages)))
      .add(MessageType::kDatabase, encode(info(1, kOtherName, 3, 0)))
      .add(MessageType::kSet, encode(SetInfo{Consistency::kBarrier, 0, 12, 2, ""}));
  add_pages(delta, 0, Codec::kZstd, changed, {3, 1});
  delta.add(MessageType::kCompared, encode(Compared{0, kPages}))
      .add(MessageType::kEnd, encode(end_of(0, changed)))
      .add(MessageType::kFailed, encode(DatabaseFailed{1, {ErrorKind::kFailed, "gone", ""}}))
      .add(MessageType::kDone, done);
  seeds.write(to, "pull-delta", delta.bytes());

  DatabaseInfo unchanged = info(0, kName, kPages, kPages);
  unchanged.unchanged = true;
  Stream same({0});
  same.add(MessageType::kHello, hello)
      .add(MessageType::kDatabase, encode(unchanged))
      .add(MessageType::kSet, encode(SetInfo{Consistency::kBarrier, 0, 12, 1, ""}))
      .add(MessageType::kEnd, encode(end_of(0, base)))
      .add(MessageType::kDone, done);
  seeds.write(to, "pull-unchanged", same.bytes());

  Stream misfit({0});
  misfit.add(MessageType::kHello, hello)
      .add(MessageType::kDatabase, encode(info(0, kName, kPages, kPages)))
      .add(MessageType::kSet, encode(SetInfo{Consistency::kPinned, 0, 0, 1, ""}))
      .add(MessageType::kCompared, encode(Compared{0, kPages}))
      .add(MessageType::kEnd, encode(end_of(0, changed)))
      .add(MessageType::kDone, done);
  seeds.write(to, "pull-misfit", misfit.bytes());
  seeds.write(to, "pull-error",
              Stream({0})
                  .add(MessageType::kHello, hello)
                  .add(MessageType::kError, encode(Problem{ErrorKind::kBusy, "no\x1B", "wait"}))
                  .bytes());

  seeds.write(to, "look",
              Stream({1})
                  .add(MessageType::kHello, hello)
                  .add(MessageType::kStorage, encode(storage()))
                  .add(MessageType::kFound, encode(Found{kName, target(0, TargetState::kThere)}))
                  .add(MessageType::kFound, encode(Found{kOtherName, target(0, TargetState::kRefused)}))
                  .add(MessageType::kDone, done)
                  .bytes());
  seeds.write(to, "restore-look",
              Stream({2})
                  .add(MessageType::kHello, hello)
                  .add(MessageType::kTarget, encode(target(0, TargetState::kMissing)))
                  .add(MessageType::kDone, done)
                  .bytes());
  seeds.write(to, "restore-compare",
              Stream({3})
                  .add(MessageType::kHello, hello)
                  .add(MessageType::kTarget, encode(target(0, TargetState::kThere)))
                  .add(MessageType::kCompared, encode(Compared{0, kPages}))
                  .add(MessageType::kReady, encode(Ready{0, 2, 5}))
                  .add(MessageType::kDone, done)
                  .bytes());
  Stream restore({4});
  restore.add(MessageType::kHello, hello)
      .add(MessageType::kTarget, encode(target(0, TargetState::kThere)))
      .add(MessageType::kCompared, encode(Compared{0, 4}))
      .add(MessageType::kNeeded, encode(Needed{0, 0, {{2, 1}, {5, 4}}}))
      .add(MessageType::kCompared, encode(Compared{0, kPages}))
      .add(MessageType::kNeeded, encode(Needed{0, 1, {{1, kPages}}}))
      .add(MessageType::kReady, encode(Ready{0, kPages, 5}))
      .add(MessageType::kPrepared);
  Stream refused = restore;
  seeds.write(to, "restore",
              restore.add(MessageType::kRestored, encode(Restored{})).add(MessageType::kDone, done).bytes());
  seeds.write(
      to, "restore-failed",
      refused.add(MessageType::kFailed, encode(DatabaseFailed{0, {ErrorKind::kBusy, "locked", "wait"}}))
          .add(MessageType::kDone, done)
          .bytes());
}

// What a client sends to an agent; see session_agent.cpp.
void write_clients_streams(const Seeds& seeds, const char* to) {
  const Bytes file = sample_file(kPages, 7), other = sample_file(5, 8);
  Stream pull;
  pull.add(MessageType::kRequest, encode(request()))
      .add(MessageType::kHashes, encode(hashes_of(0, file)))
      .add(MessageType::kPing)
      .add(MessageType::kHashes, encode(hashes_of(1, other)));
  seeds.write(to, "pull", pull.bytes());
  seeds.write(to, "look", Stream().add(MessageType::kLookRequest, encode(look_request())).bytes());

  Stream restore;
  restore.add(MessageType::kRestoreRequest, encode(restore_request(file, other)))
      .add(MessageType::kHashes, encode(hashes_of(0, file)));
  restore.add(MessageType::kPut, encode(pages(0, Codec::kZstd, {{1, 3}, {4, 1}})), compress(part(file, 1, 4)))
      .add(MessageType::kPut, encode(pages(0, Codec::kRaw, {{5, 4}})), part(file, 5, 4))
      .add(MessageType::kHashes, encode(hashes_of(1, other)))
      .add(MessageType::kPing)
      .add(MessageType::kPut, encode(pages(1, Codec::kZstd, {{1, 5}})), compress(other))
      .add(MessageType::kCommit);
  seeds.write(to, "restore", restore.bytes());
}

// As client/store/hash_file.h describes it.
ByteWriter hash_file_head(std::uint32_t check) {
  ByteWriter out;
  for (const char c : std::string_view("LPHASHES")) out.u8(static_cast<std::uint8_t>(c));
  out.u32(2);
  out.u32(kPageSize);
  out.u32(kPages);
  out.u32(check);
  out.u64(mark_of(key()));
  return out;
}

void write_hash_file(const Seeds& seeds, const char* to) {
  const Bytes unchecked = hash_file_head(0).bytes();
  ByteWriter out =
      hash_file_head(static_cast<std::uint32_t>(XXH3_64bits(unchecked.data(), unchecked.size())));
  for (const std::uint32_t hash : hashes_of(0, sample_file(kPages, 7)).hashes) out.u32(hash);
  seeds.write(to, "whole", out.bytes());
}

void write_all_seeds(const Seeds& seeds) {
  write_agents_messages(seeds, "wire_client");
  write_clients_messages(seeds, "wire_agent");
  write_agents_streams(seeds, "session_client");
  write_clients_streams(seeds, "session_agent");
  write_hash_file(seeds, "hash_file");
}

}  // namespace
}  // namespace litepull::fuzz

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s CORPUS\n", argv[0]);
    return 2;
  }
  try {
    litepull::fuzz::write_all_seeds(litepull::fuzz::Seeds(argv[1]));
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
