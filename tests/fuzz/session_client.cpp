// Fuzzes a client's whole conversations with an agent. The first byte of the input says which one, and the
// rest is the agent's side of it. Pulls and restores run as in the product, with real files, except for the
// link.
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "client/base/clock.h"
#include "client/base/file_digest.h"
#include "client/config/config.h"
#include "client/link/link.h"
#include "client/link/look.h"
#include "client/pull/receiver.h"
#include "client/restore/talk.h"
#include "client/store/hash_file.h"
#include "client/store/store.h"
#include "common/wire/digest.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/sample.h"
#include "tests/support/temp_dir.h"

namespace litepull {
namespace fuzz {
namespace {

const std::string kApp = "app";

class InputLink : public Link {
 public:
  explicit InputLink(ByteView input) : source_(input) {}

  std::size_t read(void* buffer, std::size_t size) override { return source_.read(buffer, size); }
  void write(ByteView, ByteView) override {}
  std::string remote_words() override { return ""; }

 private:
  InputSource source_;
};

ByteView agents_side;  // for open_link, from the current input

// An app's directory with one snapshot of one database, with its page hashes.
class Place {
 public:
  Place() : store_((dir_.path() / "root").string(), kApp, Store::Missing::kCreate), lock_(store_.lock()) {
    Staging staging = store_.create_staging(lock_);
    Manifest manifest;
    manifest.app = kApp;
    manifest.databases = {add(staging)};
    manifest.verified = Verified::kOk;
    const SnapshotTime time = store_.choose_free_time(
        lock_, [] { return std::int64_t{1'795'309'200}; }, [](int) {});
    manifest.snapshot = format_snapshot_name(time);
    write_manifest(staging.fd(), manifest, staging.path());
    store_.publish(lock_, std::move(staging), time);
    listing_ = store_.list();
    invariant(listing_.snapshots.size() == 1, "the snapshot to begin with is not there");
    const Cancel cancel;
    files_.emplace_back(store_.open_snapshot(newest().name).get(), store_.path_of(newest().name),
                        newest().manifest->databases[0], key(), cancel);
  }

  const Store& store() const { return store_; }
  const AppLock& lock() const { return lock_; }
  const Snapshot& newest() const { return listing_.snapshots[0]; }
  const std::vector<RestoreFile>& files() const { return files_; }

  void require_unharmed() const {
    const Bytes file = sample_file(kPages, 7);
    Bytes now;
    files_[0].read(1, kPages, now);
    invariant(now == file, "the earlier snapshot has changed");
    for (const auto& entry : std::filesystem::directory_iterator(dir_.path()))
      invariant(entry.path().filename() == "root", "something was written outside");
  }

 private:
  static Manifest::Database add(const Staging& staging) {
    const Bytes file = sample_file(kPages, 7);
    pwrite_all(staging.open_file(kName).get(), file.data(), file.size(), 0, kName);
    HashFileWriter hashes(staging.create_hash_file(kName), kName, {kPageSize, kPages}, key());
    for (std::size_t at = 0; at < file.size(); at += kPageSize)
      hashes.add(page_hash(ByteView(file).subspan(at, kPageSize), key()));
    hashes.finish();
    Manifest::Database entry;
    entry.name = kName;
    entry.bytes = file.size();
    entry.page_size = kPageSize;
    entry.pages = kPages;
    entry.xxh128 = to_hex(digest_of(file));
    entry.keyed_digest = to_hex(keyed_digest_of(file));
    entry.source_state = entry.xxh128;  // any
    entry.read_at = rfc3339_utc(unix_ms_now());
    entry.verified = Verified::kOk;
    return entry;
  }

  test::TempDir dir_;
  Store store_;
  AppLock lock_;
  Listing listing_;
  std::vector<RestoreFile> files_;
};

const Place& place() {
  static const Place place;
  return place;
}

void require_whole(const Staging& staging, const PulledDatabase& database) {
  const Fd file = open_file(staging.fd(), database.info.name, staging.path());
  const Cancel cancel;
  invariant(file_digests(file.get(), "what was pulled", key(), cancel).keyed == database.end.digest,
            "a database that is not the server's");
}

void pull(ByteView input, Progress& progress) {
  InputLink link(input);
  Staging staging = place().store().create_staging(place().lock());
  Drafts drafts(place().store(), staging, &place().newest(), {}, Caching::kKeep, key());
  FrameWriter writer(link);
  AgentMessages messages(link, patience_us(60), "run this again");
  std::size_t completed = 0;
  const Pull pull =
      receive(messages, writer, staging, drafts, progress, [&](const PulledDatabase&) { ++completed; });
  for (const PulledDatabase& database : pull.databases) {
    if (database.problem || database.misfit) continue;
    require_whole(staging, database);
    invariant(completed-- > 0, "a database that nobody heard of");
  }
  invariant(completed == 0, "a database that is not there");
}

void restore(RestoreMode mode, Progress& progress) {
  const Config config;
  const Cancel cancel;
  const RestoreTalk talk = talk_restore({config, "", cancel, progress}, mode, place().files());
  invariant(talk.targets.size() == 1, "another number of targets than databases");
  if (mode != RestoreMode::kRestore) return;
  invariant(talk.lost || talk.failed || talk.restored.size() == 1, "a restore that ended in no way");
}

void take(std::uint8_t conversation, ByteView input) {
  Board board(stderr, false);
  Progress progress(board, kApp);
  switch (conversation % 5) {
    case 0:
      return pull(input, progress);
    case 1: {
      InputLink link(input);
      look_around(link, Config{});
      return;
    }
    default:
      agents_side = input;
      return restore(static_cast<RestoreMode>(conversation % 5 - 2), progress);
  }
}

}  // namespace
}  // namespace fuzz

// Replaces the product's function.
std::unique_ptr<Link> open_link(const Config&, const std::string&, const Cancel&, const OnLogin& on_login) {
  on_login("");
  return std::make_unique<fuzz::InputLink>(fuzz::agents_side);
}

}  // namespace litepull

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace litepull;
  if (size == 0) return 0;
  fuzz::accepts({ErrorKind::kFailed, ErrorKind::kConfiguration, ErrorKind::kPeer, ErrorKind::kCorrupt,
                 ErrorKind::kRefused},
                [&] {
                  fuzz::take(data[0], {data + 1, size - 1});
                });
  fuzz::place().require_unharmed();
  return 0;
}
