// What each stage of a pull costs by itself, in bytes of pages per second: reading them as the agent does,
// hashing, comparing, compressing, expanding, writing. Pages come from a database that make_bench_db made.
//
//   stage_bench DATABASE [--benchmark_filter=...]
#include <benchmark/benchmark.h>
#include <unistd.h>
#include <zstd.h>

#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "agent/backup_sink.h"
#include "agent/discover.h"
#include "agent/guard_vfs.h"
#include "agent/page_sender.h"
#include "agent/source_database.h"
#include "client/pull/bulk_writer.h"
#include "common/heap.h"
#include "common/wire/digest.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_key.h"

namespace litepull {
namespace {

constexpr std::size_t kPageBytes = 4096;
const DigestKey kKey = test::key_of(42);
constexpr std::size_t kBlocks = 64;  // of pages in memory
std::string database_path;

std::vector<Bytes>& blocks() {
  static std::vector<Bytes> all;
  if (!all.empty()) return all;
  const Fd file = open_path(database_path, O_RDONLY);
  const std::uint64_t size = std::filesystem::file_size(database_path);
  for (std::size_t i = 0; i < kBlocks; ++i) {
    Bytes block(kMaxBatchBytes);
    pread_all(file.get(), block.data(), block.size(), size / kBlocks * i / kPageBytes * kPageBytes,
              database_path);
    all.push_back(std::move(block));
  }
  return all;
}

void count_bytes(benchmark::State& state, std::size_t each) {
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(each));
}

// All pages of the database but its first, by SQLite's backup, in a read transaction and through the guard
// VFS.
void read_pages(benchmark::State& state) {
  const std::filesystem::path path(database_path);
  std::filesystem::current_path(path.parent_path());
  Request request;
  request.databases = {path.filename().string()};
  GuardVfs guard;
  SourceDatabase database(guard, discover(request).at(0));
  std::size_t bytes = 0;
  for (auto step : state) {
    database.pin();
    const ReadAhead ahead(database.reader());
    BackupSink sink(database.page_size(), database.page_count(),
                    [&](ByteView page) { bytes += page.size(); });
    sqlite3_backup* backup = sqlite3_backup_init(sink.connection(), "main", database.reader(), "main");
    sqlite3_backup_step(backup, -1);
    sqlite3_backup_finish(backup);
    sink.finish();
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes));
}
BENCHMARK(read_pages)->Unit(benchmark::kMillisecond);

void hash_whole(benchmark::State& state) {
  StreamingDigest digest(kKey);
  std::size_t i = 0;
  for (auto step : state) digest.add(blocks()[++i % kBlocks]);
  count_bytes(state, kMaxBatchBytes);
}
BENCHMARK(hash_whole);

void hash_pages(benchmark::State& state) {
  std::size_t i = 0;
  for (auto step : state) {
    const ByteView block = blocks()[++i % kBlocks];
    for (std::size_t at = 0; at < block.size(); at += kPageBytes)
      benchmark::DoNotOptimize(page_hash(block.subspan(at, kPageBytes), kKey));
  }
  count_bytes(state, kMaxBatchBytes);
}
BENCHMARK(hash_pages);

class Nowhere : public ByteSink {
 public:
  void write(ByteView, ByteView) override {}
};

// What the sending thread does with a page that is at hand on the other side.
void compare_equal_pages(benchmark::State& state) {
  Nowhere nowhere;
  FrameWriter writer(nowhere);
  const auto pages = static_cast<std::uint32_t>(kMaxBatchBytes / kPageBytes);
  PageBlock block{0, 1, kPageBytes, kMaxBatchBytes, blocks()[0]};
  Hashes hashes;
  for (std::size_t at = 0; at < kMaxBatchBytes; at += kPageBytes)
    hashes.hashes.push_back(page_hash(ByteView(block.raw).subspan(at, kPageBytes), kKey));
  for (auto step : state) {
    HashFeed feed;
    feed.expect({pages});
    feed.add(hashes);
    PageSender(writer, feed, kKey, 0).add(block);
  }
  count_bytes(state, kMaxBatchBytes);
}
BENCHMARK(compare_equal_pages);

void compress(benchmark::State& state) {
  const int level = static_cast<int>(state.range(0));
  ZSTD_CCtx* context = ZSTD_createCCtx();
  Bytes out(ZSTD_compressBound(kMaxBatchBytes));
  std::size_t i = 0, wire = 0;
  for (auto step : state) {
    const Bytes& block = blocks()[++i % kBlocks];
    wire += ZSTD_compressCCtx(context, out.data(), out.size(), block.data(), block.size(), level);
  }
  ZSTD_freeCCtx(context);
  count_bytes(state, kMaxBatchBytes);
  state.counters["ratio"] = static_cast<double>(state.iterations()) * static_cast<double>(kMaxBatchBytes) /
                            static_cast<double>(wire);
}
BENCHMARK(compress)->Arg(1)->Arg(3)->Arg(6)->Arg(9)->Unit(benchmark::kMillisecond);

void expand(benchmark::State& state) {
  Bytes packed(ZSTD_compressBound(kMaxBatchBytes)), out(kMaxBatchBytes);
  packed.resize(ZSTD_compress(packed.data(), packed.size(), blocks()[0].data(), kMaxBatchBytes, 3));
  for (auto step : state)
    benchmark::DoNotOptimize(ZSTD_decompress(out.data(), out.size(), packed.data(), packed.size()));
  count_bytes(state, kMaxBatchBytes);
}
BENCHMARK(expand);

// 256 MiB into a new file, to the disk. Argument: past the page cache or not.
void write_file(benchmark::State& state) {
  constexpr std::size_t kCount = 256;
  const test::TempDir directory;
  for (auto step : state) {
    const Fd dir = open_path(directory.path(), O_RDONLY | O_DIRECTORY);
    const Fd file = open_at(dir.get(), "out", O_RDWR | O_CREAT | O_TRUNC, 0600, "out");
    BulkWriter writer(file.get(), state.range(0) != 0 ? open_direct(dir.get(), "out") : Fd(), "out");
    for (std::size_t i = 0; i < kCount; ++i) writer.add(i * kMaxBatchBytes, blocks()[i % kBlocks]);
    writer.flush();
    fsync_fd(file.get(), "out");
  }
  count_bytes(state, kCount * kMaxBatchBytes);
}
BENCHMARK(write_file)->ArgName("direct")->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace litepull

int main(int argc, char** argv) {
  litepull::keep_large_buffers();  // as the programs do
  benchmark::Initialize(&argc, argv);
  if (argc != 2) {
    std::fprintf(stderr, "usage: stage_bench DATABASE [--benchmark_filter=...]\n");
    return 2;
  }
  litepull::database_path = std::filesystem::absolute(argv[1]).string();
  sqlite3_initialize();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
