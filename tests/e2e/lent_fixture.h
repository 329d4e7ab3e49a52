// The storage directory of an app that a login may reach through sudo, with all kinds of files in it and all
// kinds of places beside it. The real sudo runs in a mount namespace of the test's own: /etc/sudoers.d,
// /etc/cron.d and /usr/local/lib are directories of the test.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/wire/digest.h"
#include "common/wire/frame.h"
#include "common/wire/protocol.h"
#include "tests/e2e/agent_talk.h"
#include "tests/support/pull_fixture.h"
#include "tests/support/run_helpers.h"

namespace litepull::test {
namespace fs = std::filesystem;

inline constexpr uid_t kApp = 1234, kBob = 1235;
inline constexpr const char* kRoots = "/usr/local/lib/litepull";
inline constexpr const char* kAgent = "/usr/local/lib/litepull/agent-0123";
// As noise, so that no compression hides it.
inline constexpr const char* kSecret = "9fK2qLx7Vb0ZtR4mWc8sYd1HgP6nJe3U5aQoXiTvBkCl";

// With the key of the requests, which is zeros.
inline Digest digest_of(const std::string& content) {
  StreamingDigest digest(DigestKey{});
  digest.add({reinterpret_cast<const std::uint8_t*>(content.data()), content.size()});
  return digest.result();
}

inline std::string text_of(const Bytes& bytes) {
  return {bytes.begin(), bytes.end()};
}

inline void make_database(const std::string& path, const std::string& content, uid_t owner) {
  {
    SQLite::Database database(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    database.exec("PRAGMA page_size=512; PRAGMA synchronous=OFF; BEGIN; CREATE TABLE t(body TEXT)");
    for (int i = 0; i < 40; ++i) database.exec("INSERT INTO t VALUES ('" + content + "')");
    database.exec("COMMIT");
  }
  ASSERT_EQ(::chown(path.c_str(), owner, owner), 0);
  ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
}

inline void make_file(const std::string& path, const std::string& content, uid_t owner) {
  write_file(path, content, 0600);
  ASSERT_EQ(::chown(path.c_str(), owner, owner), 0);
}

class PrivateMounts {
 public:
  explicit PrivateMounts(const std::string& scratch) {
    if (::geteuid() != 0 || ::unshare(CLONE_NEWNS) != 0) return;
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return;
    for (const char* place : {"/etc/sudoers.d", "/etc/cron.d", "/usr/local/lib"}) {
      const std::string own = scratch + "/mounted" + place;
      fs::create_directories(own);
      if (::mount(own.c_str(), place, nullptr, MS_BIND, nullptr) == 0) mounted_.push_back(place);
    }
    complete_ = mounted_.size() == 3;
  }
  ~PrivateMounts() {
    for (const std::string& place : mounted_) ::umount2(place.c_str(), MNT_DETACH);
  }
  PrivateMounts(const PrivateMounts&) = delete;
  PrivateMounts& operator=(const PrivateMounts&) = delete;
  bool complete() const { return complete_; }

 private:
  std::vector<std::string> mounted_;
  bool complete_ = false;
};

inline void allow(const std::string& arguments) {
  const std::string rule =
      std::string("nobody ALL=(root) NOPASSWD: ") + kRoots + "/agent-* " + arguments + "\n";
  write_file("/etc/sudoers.d/litepull", rule, 0440);
}

// The storage directory of an app, all kinds of files in it, and all kinds of places beside it.
class Lent : public testing::Test {
 protected:
  Lent() : mounts_(dir_.path().string()) {}

  void SetUp() override {
    if (!mounts_.complete() || ::access("/usr/bin/sudo", X_OK) != 0)
      GTEST_SKIP() << "needs root, mount namespaces and sudo";
    ::signal(SIGPIPE, SIG_IGN);
    fs::permissions(dir_.path(), fs::perms(0755));
    fs::create_directory(kRoots);
    fs::copy_file(built_program("litepull-agent"), kAgent);
    fill_outside();
    fill_storage();
    allow("--storage " + storage_);
    outside_ = outside();
    inside_ = inside();
  }

  void fill_outside() {
    make_file("/etc/cron.d/theirs", kSecret, 0);
    for (const char* place : {"victim", "storage2", "storage"}) fs::create_directory(dir_ / place);
    make_file(dir_ / "victim/.bashrc", kSecret, kBob);
    make_database(dir_ / "victim/other.sqlite3", kSecret, kBob);
    make_database(dir_ / "victim/hard.sqlite3", kSecret, kApp);
    make_database(dir_ / "storage2/other.sqlite3", kSecret, kApp);
    make_file(dir_ / "victim/journal", kSecret, kApp);
    for (const char* place : {"victim", "storage2"}) own(dir_ / place, kApp);
  }

  void fill_storage() {
    fs::create_directory(in("tenants"));
    fs::create_directory(in("config"));
    fs::create_directory(in(".ssh"));
    make_database(in("production.sqlite3"), "public", kApp);
    make_database(in("queue.sqlite3"), "public", kApp);
    make_database(in("tenants/eu.sqlite3"), "public", kApp);
    make_file(in("notes.txt"), kSecret, kApp);
    make_file(in("config/master.key"), kSecret, kApp);
    make_file(in("text.sqlite3"), std::string(512, '#') + kSecret, kApp);
    make_file(in("empty.sqlite3"), "", kApp);
    make_database(in("roots.sqlite3"), kSecret, 0);
    make_database(in("bobs.sqlite3"), kSecret, kBob);
    fs::create_hard_link(dir_ / "victim/hard.sqlite3", in("hard.sqlite3"));
    fs::create_symlink("../victim/other.sqlite3", in("link.sqlite3"));
    fs::create_directory_symlink("../victim", in("away"));
    for (const char* place : {"", "tenants", "config", ".ssh"}) own(in(place), kApp);
    plant_log();
  }

  // A log that would make a database's first page of a file that is none.
  void plant_log() {
    SQLite::Database database(dir_ / "made.sqlite3", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    database.exec("PRAGMA page_size=512; PRAGMA journal_mode=WAL; CREATE TABLE t(body)");
    database.exec("INSERT INTO t VALUES ('public')");
    fs::copy_file(dir_ / "made.sqlite3-wal", in("planted-wal"));
    ASSERT_EQ(::chown(in("planted-wal").c_str(), kApp, kApp), 0);
    make_file(in("planted"), std::string(512, '#') + kSecret + std::string(1024 - std::strlen(kSecret), '#'),
              kApp);
  }

  static void own(const std::string& path, uid_t user) { ASSERT_EQ(::chown(path.c_str(), user, user), 0); }

  std::string in(const std::string& name) const { return name.empty() ? storage_ : storage_ + "/" + name; }

  std::string outside() const {
    std::string all;
    for (const char* place : {"victim", "storage2", "mounted"})
      all += fingerprint(dir_ / place) + listing(dir_ / place);
    return all + fs::read_symlink(in("away")).string();
  }

  // By name, what each file holds and whose it is. What SQLite makes beside a database comes and goes.
  std::map<std::string, std::string> inside() const {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(storage_)) {
      struct stat status {};
      if (::lstat(entry.path().c_str(), &status) != 0) continue;
      std::string line = std::to_string(status.st_uid) + " " + std::to_string(status.st_mode) + " ";
      if (S_ISREG(status.st_mode)) line += read_file(entry.path().string());
      files[entry.path().string()] = line;
    }
    return files;
  }

  // Nothing outside was read, made or changed; and in the directory nothing but databases of its owner.
  void expect_harmless(const std::string& what) {
    EXPECT_EQ(outside(), outside_) << what;
    EXPECT_EQ(heard_.find(kSecret), std::string::npos) << what << " gave a secret away";
    const auto now = inside();
    for (const auto& [path, line] : inside_) EXPECT_TRUE(now.contains(path)) << what << " removed " << path;
    for (const auto& [path, line] : now) {
      const auto before = inside_.find(path);
      if (before != inside_.end() && before->second == line) continue;
      struct stat status {};
      ASSERT_EQ(::lstat(path.c_str(), &status), 0);
      const bool is_database = S_ISREG(status.st_mode) && status.st_uid == kApp && status.st_nlink == 1 &&
                               (status.st_mode & 07111) == 0 &&
                               read_file(path).starts_with(std::string("SQLite format 3\0", 16));
      EXPECT_TRUE(is_database) << what << " made or changed " << path;
      EXPECT_TRUE(before == inside_.end() ? may_be_new(path) : path.ends_with(".sqlite3"))
          << what << " gave " << path << " another content";
      if (before == inside_.end())
        fs::remove(path);
      else
        restore_file(path);
    }
    heard_.clear();
  }

  static bool may_be_new(const std::string& path) {
    const std::string name = fs::path(path).filename();
    for (const char* ending : {".sqlite3", ".sqlite", ".db", ".db3"})
      if (name.ends_with(ending) && name[0] != '.') return true;
    return name.starts_with(".litepull-new-");
  }

  void restore_file(const std::string& path) {
    const std::string& line = inside_.at(path);
    const std::size_t at = line.find(' ', line.find(' ') + 1) + 1;
    write_file(path, line.substr(at), 0600);
    own(path, kApp);
  }

  // --- What an attacker says ---

  void hear(const Frame& frame) {
    heard_ += text_of(frame.body);
    if (frame.type != MessageType::kPages) return;
    ByteView payload;
    const PagesHead head = decode_pages(frame.body, payload);
    if (head.codec == Codec::kRaw) return;
    std::string raw(head.raw_bytes, '\0');
    ASSERT_EQ(ZSTD_decompress(raw.data(), raw.size(), payload.data(), payload.size()), raw.size());
    heard_ += raw;
  }

  static bool has_its_length(const Bytes& bytes) {
    std::size_t length = 0;
    for (std::size_t i = 0; i < std::min<std::size_t>(bytes.size(), 4); ++i)
      length |= std::size_t{bytes[i]} << (8 * i);
    return bytes.size() == 8 + length;
  }

  using Change = std::function<void(Bytes&)>;  // of a frame before it is sent

  // Says what an honest client would, to the end, whatever the agent is asked for; returns how it ended.
  std::string converse(MessageType type, const Bytes& request, const std::string& content = "",
                       std::uint32_t page_size = 512, const Change& change = {}) {
    Talk talk({kAgent, "--storage", storage_}, direct_);
    const auto say = [&](MessageType message, const Bytes& body) {
      Bytes bytes = Talk::as_frame(static_cast<std::uint8_t>(message), body);
      if (change) change(bytes);
      talk.send_raw(bytes);
      if (!has_its_length(bytes)) talk.end_input();  // or the agent would wait for the rest of it
    };
    if (talk.greeting() != kAgentGreeting) return "no greeting";
    say(type, request);
    std::string end = "nothing";
    std::uint64_t asked = 0;
    for (Frame frame; talk.next(frame);) {
      hear(frame);
      if (frame.type == MessageType::kTarget && type == MessageType::kRestoreRequest) {
        const Target target = decode_target(frame.body);
        const auto pages = static_cast<std::uint32_t>(content.size() / std::max(page_size, 1U));
        Hashes hashes{target.index, {}};
        hashes.hashes.resize(std::min({pages, target.page_count, 1000U}));
        if (target.state == TargetState::kThere && !hashes.hashes.empty())
          say(MessageType::kHashes, encode(hashes));
      }
      if (frame.type == MessageType::kNeeded) {
        put(decode_needed(frame.body), content, page_size, say);
        if (++asked > 100) break;
      }
      if (frame.type == MessageType::kPrepared) say(MessageType::kCommit, {});
      if (frame.type == MessageType::kFailed) end = "failed: " + text_of(frame.body);
      if (frame.type == MessageType::kRestored) end = "restored";
      if (frame.type == MessageType::kFound) end = "found";
      if (frame.type == MessageType::kEnd) end = "pulled";
      if (frame.type == MessageType::kError) return text_of(frame.body);
      if (frame.type == MessageType::kTarget && decode_target(frame.body).state == TargetState::kRefused)
        end = "refused: " + decode_target(frame.body).problem.message;
      if (frame.type == MessageType::kDone) return end;
    }
    return end + ", cut";
  }

  template <typename Say>
  static void put(const Needed& needed, const std::string& content, std::uint32_t page_size, const Say& say) {
    for (const PageRun& run : needed.runs) {
      const std::size_t from = std::size_t{run.first - 1} * page_size,
                        size = std::size_t{run.count} * page_size;
      if (from + size > content.size() || size > kMaxBatchBytes) return;
      PagesHead head;
      head.database = needed.database;
      head.raw_bytes = static_cast<std::uint32_t>(size);
      head.runs = {run};
      Bytes body = encode(head);
      body.insert(body.end(), content.begin() + static_cast<std::ptrdiff_t>(from),
                  content.begin() + static_cast<std::ptrdiff_t>(from + size));
      say(MessageType::kPut, body);
    }
  }

  static RestoreRequest restore_request(const std::string& directory, const std::string& name,
                                        const std::string& content, std::uint32_t page_size = 512) {
    RestoreRequest request;
    request.mode = RestoreMode::kRestore;
    request.directory = directory;
    request.items = {
        {name, page_size, static_cast<std::uint32_t>(content.size() / page_size), digest_of(content)}};
    return request;
  }

  static Request pull_request(const std::string& directory) {
    Request request;
    request.directory = directory;
    request.databases = {"**"};
    request.compression_level = 0;
    return request;
  }

  static LookRequest look_request(const std::string& directory) {
    LookRequest request;
    request.directory = directory;
    request.databases = {"**"};
    return request;
  }

  std::string restore(const std::string& directory, const std::string& name, const std::string& content,
                      std::uint32_t page_size = 512) {
    return converse(MessageType::kRestoreRequest,
                    encode(restore_request(directory, name, content, page_size)), content, page_size);
  }

  std::string sound_database() const { return read_file(in("queue.sqlite3")); }

  TempDir dir_;
  PrivateMounts mounts_;
  const std::string storage_ = dir_ / "storage";
  bool direct_ = false;
  std::string outside_;
  std::map<std::string, std::string> inside_;
  std::string heard_;
};

}  // namespace litepull::test
