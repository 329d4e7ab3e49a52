// What a login can do that sudo lets start the agent as root, and what it cannot, whatever it says. The real
// sudo, in a mount namespace of the test's own: /etc/sudoers.d, /etc/cron.d and /usr/local/lib are
// directories of the test.
#include <SQLiteCpp/SQLiteCpp.h>
#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zstd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <functional>
#include <random>
#include <set>

#include "common/posix.h"
#include "common/wire/frame.h"
#include "common/wire/protocol.h"
#include "tests/support/pull_fixture.h"
#include "tests/support/run_helpers.h"
#include "tests/support/small_disk.h"

namespace litepull::test {
namespace fs = std::filesystem;
namespace {

constexpr uid_t kApp = 1234, kBob = 1235, kLogin = 65534;
constexpr const char* kRoots = "/usr/local/lib/litepull";
constexpr const char* kAgent = "/usr/local/lib/litepull/agent-0123";
// As noise, so that no compression hides it.
constexpr const char* kSecret = "9fK2qLx7Vb0ZtR4mWc8sYd1HgP6nJe3U5aQoXiTvBkCl";

// With the key of the requests, which is zeros.
Digest digest_of(const std::string& content) {
  StreamingDigest digest(DigestKey{});
  digest.add({reinterpret_cast<const std::uint8_t*>(content.data()), content.size()});
  return digest.result();
}

std::string text_of(const Bytes& bytes) {
  return {bytes.begin(), bytes.end()};
}

// --- A conversation ---------------------------------------------------------------------------------------

// An agent, and what its client says to it.
class Talk {
 public:
  // As the login, through sudo; with `direct`, as sudo would start it.
  Talk(const std::vector<std::string>& arguments, bool direct) {
    Pipe to = make_pipe(), from = make_pipe();
    std::vector<std::string> words = arguments;
    if (!direct) words.insert(words.begin(), {"/usr/bin/sudo", "-n"});
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) become(argv, to.read.get(), from.write.get(), direct);
    in_ = std::move(to.write);
    out_ = std::move(from.read);
  }
  ~Talk() {
    in_.reset();
    out_.reset();
    const bool ended =
        eventually([&] { return ::waitpid(pid_, &status_, WNOHANG) == pid_; }, Milliseconds(20'000));
    EXPECT_TRUE(ended) << "an agent that does not end";
    if (ended) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, &status_, 0);
  }
  Talk(const Talk&) = delete;
  Talk& operator=(const Talk&) = delete;

  pid_t pid() const { return pid_; }

  std::string greeting() {
    std::string line;
    for (char c = 0; line.size() < 100 && source_.read(&c, 1) == 1 && c != '\n';) line += c;
    return line;
  }

  // An agent that has ended hears nothing.
  void send(MessageType type, const Bytes& body = {}) {
    const Bytes bytes = as_frame(static_cast<std::uint8_t>(type), body);
    send_raw(bytes);
  }
  void send_raw(const Bytes& bytes) {
    std::size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t count = ::write(in_.get(), bytes.data() + done, bytes.size() - done);
      if (count <= 0) return;
      done += static_cast<std::size_t>(count);
    }
  }
  void end_input() { in_.reset(); }

  // What came in reply. False when there is no more.
  bool next(Frame& frame) {
    try {
      return reader_.next(frame);
    } catch (const Error&) {
      return false;
    }
  }

  static Bytes as_frame(std::uint8_t type, const Bytes& body) {
    ByteWriter out;
    out.u32(static_cast<std::uint32_t>(body.size()));
    out.u32(type);
    Bytes bytes = out.bytes();
    bytes.insert(bytes.end(), body.begin(), body.end());
    return bytes;
  }

 private:
  [[noreturn]] static void become(const std::vector<char*>& argv, int in, int out, bool direct) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::dup2(in, 0);
    ::dup2(out, 1);
    if (direct) {
      ::setenv("SUDO_UID", "65534", 1);
    } else if (::setgroups(0, nullptr) != 0 || ::setgid(kLogin) != 0 || ::setuid(kLogin) != 0) {
      ::_exit(99);
    }
    ::execv(argv[0], argv.data());
    ::_exit(98);
  }

  class Source : public ByteSource {
   public:
    explicit Source(const Fd& fd) : fd_(fd) {}
    std::size_t read(void* buffer, std::size_t size) override {
      return read_some(fd_.get(), buffer, size, "agent");
    }

   private:
    const Fd& fd_;
  };

  pid_t pid_ = -1;
  int status_ = 0;
  Fd in_, out_;
  Source source_{out_};
  FrameReader reader_{source_};
};

// --- What is there ----------------------------------------------------------------------------------------

void make_database(const std::string& path, const std::string& content, uid_t owner) {
  {
    SQLite::Database database(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    database.exec("PRAGMA page_size=512; PRAGMA synchronous=OFF; BEGIN; CREATE TABLE t(body TEXT)");
    for (int i = 0; i < 40; ++i) database.exec("INSERT INTO t VALUES ('" + content + "')");
    database.exec("COMMIT");
  }
  ASSERT_EQ(::chown(path.c_str(), owner, owner), 0);
  ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
}

void make_file(const std::string& path, const std::string& content, uid_t owner) {
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

void allow(const std::string& arguments) {
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

std::string crontab() {
  std::string text = "* * * * * root id\n";
  return text + std::string(512 - text.size() - 1, '#') + "\n";
}

TEST_F(Lent, IsTheDatabasesOwnerBeforeAByteIsRead) {
  Talk talk({kAgent, "--storage", storage_}, true);
  ASSERT_EQ(talk.greeting(), kAgentGreeting);
  const std::string status = "/proc/" + std::to_string(talk.pid()) + "/status";
  EXPECT_TRUE(eventually([&] {
    const std::string now = read_file(status);
    return now.find("\nUid:\t1234\t1234\t1234\t1234\n") != std::string::npos &&
           now.find("\nGid:\t1234\t1234\t1234\t1234\n") != std::string::npos &&
           now.find("\nGroups:\t \n") != std::string::npos &&
           now.find("\nCapPrm:\t0000000000000000\n") != std::string::npos &&
           now.find("\nNoNewPrivs:\t1\n") != std::string::npos;
  })) << read_file(status);
}

TEST_F(Lent, WithoutADirectoryInTheRuleItRefusesBeforeAByteIsRead) {
  allow("\"\"");
  Talk talk({kAgent}, false);
  ASSERT_EQ(talk.greeting(), kAgentGreeting);
  Frame frame;
  ASSERT_TRUE(talk.next(frame));
  ASSERT_EQ(frame.type, MessageType::kError);
  EXPECT_NE(decode_problem(frame.body).message.find("nothing says which directory"), std::string::npos);
  EXPECT_FALSE(talk.next(frame));
}

TEST_F(Lent, NoDirectoryButThatOfTheRuleIsLookedAt) {
  const std::vector<std::string> elsewhere{dir_ / "victim",
                                           "/etc/cron.d",
                                           "/",
                                           "",
                                           "~",
                                           "storage",
                                           "..",
                                           in(".."),
                                           in("../victim"),
                                           in("away"),
                                           in("tenants/../../victim"),
                                           dir_ / "storage2",
                                           in("away/"),
                                           in("tenants/../.."),
                                           "/proc/self/root/etc",
                                           "/proc/self/cwd/../victim",
                                           std::string(4000, '/') + "etc",
                                           storage_ + "/\x01",
                                           "\xff"};
  for (const std::string& directory : elsewhere) {
    EXPECT_NE(converse(MessageType::kRequest, encode(pull_request(directory))), "pulled") << directory;
    EXPECT_NE(converse(MessageType::kLookRequest, encode(look_request(directory))), "found") << directory;
    EXPECT_NE(restore(directory, "new.sqlite3", sound_database()), "restored") << directory;
    expect_harmless("a request for " + directory);
  }
  EXPECT_EQ(converse(MessageType::kRequest, encode(pull_request(storage_))), "pulled");
  EXPECT_EQ(converse(MessageType::kRequest, encode(pull_request(in("tenants//./")))), "pulled");
  EXPECT_EQ(converse(MessageType::kLookRequest, encode(look_request(storage_))), "found");
  expect_harmless("a pull of all that is there");
}

TEST_F(Lent, OfAllNamesAndContentsOnlyDatabasesUnderDatabasesNamesAreMade) {
  const std::string sound = sound_database();
  std::string other_size = sound, cut = sound.substr(0, sound.size() - 512), odd = sound;
  other_size[16] = 4;
  odd[21] = 1;
  const std::vector<std::string> unsound{crontab(), sound.substr(0, 16) + crontab().substr(16), other_size,
                                         cut, odd};
  const std::vector<std::string> refused{"evil",
                                         ".bashrc",
                                         "authorized_keys",
                                         ".ssh/authorized_keys",
                                         ".ssh/x.sqlite3",
                                         "config/x.rb",
                                         "config/master.key",
                                         "notes.txt",
                                         "text.sqlite3",
                                         "empty.sqlite3",
                                         "planted",
                                         "planted-wal",
                                         "hard.sqlite3",
                                         "link.sqlite3",
                                         "roots.sqlite3",
                                         "bobs.sqlite3",
                                         "production.sqlite3-wal",
                                         "production.sqlite3-journal",
                                         "production.sqlite3-shm",
                                         "PRODUCTION.SQLITE3-WAL",
                                         "../victim/x.sqlite3",
                                         "/etc/cron.d/x.sqlite3",
                                         "away/x.sqlite3",
                                         "a//b.sqlite3",
                                         "./x.sqlite3",
                                         "tenants/../../victim/x.sqlite3",
                                         ".litepull-new-0123456789abcdef",
                                         "x.sqlite3\n",
                                         "\xff.sqlite3",
                                         "gone/x.sqlite3",
                                         "x.sqlite3/y.sqlite3",
                                         "production.sqlite3/x.sqlite3",
                                         std::string(600, 'x') + ".sqlite3"};
  for (const std::string& name : refused) {
    EXPECT_NE(restore(storage_, name, sound), "restored") << name;
    expect_harmless("a database as " + name);
  }
  for (const std::string name : {"new.sqlite3", "tenants/new.db", "production.sqlite3", "evil"})
    for (const std::string& content : unsound) {
      // The content of a database that is there is the login's to replace, by a damaged one, too.
      if (name == "production.sqlite3" && content == cut) continue;
      EXPECT_NE(restore(storage_, name, content), "restored") << name;
      EXPECT_TRUE(inside() == inside_) << name << " was made or changed";
      expect_harmless("what is no database as " + name);
    }
  for (const std::string name : {"new.sqlite3", "tenants/new.db", "production.sqlite3"}) {
    EXPECT_EQ(restore(storage_, name, sound), "restored") << name;
    expect_harmless("a database as " + name);
  }
}

TEST_F(Lent, NumbersWithoutMeasureAreRefused) {
  const auto expect_refused = [&](const char* what, const std::function<void(Request&)>& change) {
    Request request = pull_request(storage_);
    change(request);
    const std::string end = converse(MessageType::kRequest, encode(request));
    EXPECT_NE(end, "pulled") << what;
  };
  expect_refused("barrier", [](Request& r) { r.barrier_ms = ~0U; });
  expect_refused("hold", [](Request& r) { r.hold_max_ms = ~0U; });
  expect_refused("growth", [](Request& r) { r.wal_growth_max_bytes = ~0ULL; });
  expect_refused("memory", [](Request& r) { r.memory_bytes = 1ULL << 63; });
  expect_refused("level", [](Request& r) { r.compression_level = 22; });
  expect_refused("silence", [](Request& r) { r.silence_ms = ~0U; });
  for (const auto& [page_size, pages] :
       std::vector<std::pair<std::uint32_t, std::uint32_t>>{{0, 1},
                                                            {1, 1},
                                                            {511, 1},
                                                            {1U << 17, 1},
                                                            {512, 0},
                                                            {512, ~0U},
                                                            {65536, ~0U - 1},
                                                            {65536, 1U << 30}}) {
    RestoreRequest request = restore_request(storage_, "new.sqlite3", sound_database());
    request.items[0].page_size = page_size;
    request.items[0].pages = pages;
    EXPECT_NE(converse(MessageType::kRestoreRequest, encode(request)), "restored")
        << page_size << " " << pages;
  }
  Request many = pull_request(storage_);
  for (std::size_t i = 0; i < kMaxDatabases; ++i)
    many.bases.push_back({"b" + std::to_string(i) + ".sqlite3", 512, kMaxPageCount, {}, {}});
  EXPECT_EQ(converse(MessageType::kRequest, encode(many)), "pulled");
  expect_harmless("numbers");
}

// Every message with any of its bytes changed, longer, shorter, twice or in another's place. As sudo starts
// it, without sudo's own time.
TEST_F(Lent, NoChangeOfAnyMessageDoesHarm) {
  direct_ = true;
  const char* seed_text = std::getenv("LITEPULL_FUZZ_SEED");
  const auto seed =
      seed_text != nullptr ? static_cast<unsigned>(std::stoul(seed_text)) : std::random_device()();
  std::mt19937 random(seed);
  const auto below = [&](std::size_t end) { return random() % std::max<std::size_t>(end, 1); };
  const std::vector<std::string> names{"new.sqlite3", "production.sqlite3", "tenants/eu.sqlite3",
                                       "notes.txt",   "../victim/n.db",     "link.sqlite3",
                                       "evil",        ".ssh/new.db",        "queue.sqlite3-wal",
                                       "away/new.db"};
  const std::vector<std::string> directories{storage_,   storage_,        in("tenants"),
                                             in("away"), dir_ / "victim", in("..")};
  std::size_t frame = 0, changed = 0;  // of a conversation
  const auto mutate = [&](Bytes& bytes) {
    if (frame++ != changed || bytes.empty()) return;
    for (std::size_t i = 0; i <= below(3); ++i) {
      const std::size_t at =
          below(3) == 0 ? below(std::min<std::size_t>(bytes.size(), 40)) : below(bytes.size());
      switch (below(5)) {
        case 0:
          bytes[at] = static_cast<std::uint8_t>(random());
          break;
        case 1:
          bytes[at] = static_cast<std::uint8_t>(bytes[at] ^ 1U << below(8));
          break;
        case 2:
          bytes[at] = std::uint8_t{0xFF};
          break;
        case 3:
          bytes.erase(bytes.begin() + static_cast<std::ptrdiff_t>(at));
          break;
        default:
          bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at), std::uint8_t{'/'});
          break;
      }
      if (bytes.empty()) return;
    }
    // Mostly with a length that fits, so that what comes after it is heard.
    if (bytes.size() < 8 || below(4) == 0) return;
    for (std::size_t i = 0; i < 4; ++i) bytes[i] = static_cast<std::uint8_t>((bytes.size() - 8) >> (8 * i));
  };
  std::map<std::string, int> ends;
  const int last = rounds(100, 20'000);
  for (int round = 0; round < last && !HasFailure(); ++round) {
    const std::string directory = directories[below(directories.size())], name = names[below(names.size())];
    std::string content = sound_database();
    if (below(3) == 0) content[below(600)] = static_cast<char>(random());
    std::string end;
    frame = 0;
    changed = below(5);
    switch (below(4)) {
      case 0:
        end = converse(MessageType::kRequest, encode(pull_request(directory)), "", 512, mutate);
        break;
      case 1:
        end = converse(MessageType::kLookRequest, encode(look_request(directory)), "", 512, mutate);
        break;
      default:
        end = converse(MessageType::kRestoreRequest, encode(restore_request(directory, name, content)),
                       content, 512, mutate);
    }
    ++ends[end.substr(0, end.find(' '))];
    expect_harmless("round " + std::to_string(round) + " of seed " + std::to_string(seed));
  }
  std::printf("  %d conversations, seed %u:", last, seed);
  for (const auto& [end, count] : ends)
    if (end == "pulled" || end == "found" || end == "restored") std::printf(" %s %d", end.c_str(), count);
  std::printf("\n");
}

// It asks for a reader that lasts a day and a log of any size, and then takes nothing.
TEST_F(Lent, AClientThatTakesNothingCannotLetALogFillTheDisk) {
  const std::string storage = dir_ / "small";
  const SmallDisk disk(storage, "size=24m,mode=0755,uid=1234,gid=1234");
  ASSERT_TRUE(disk.mounted());
  SQLite::Database app(storage + "/app.sqlite3", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  own(storage + "/app.sqlite3", kApp);
  app.exec("PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; CREATE TABLE t(body)");
  const auto write = [&](const char* bytes) {
    app.exec(std::string("INSERT INTO t VALUES (randomblob(") + bytes + "))");
  };
  const auto can_reset = [&] { return app.execAndGet("PRAGMA wal_checkpoint(TRUNCATE)").getInt() == 0; };
  write("4000000");
  ASSERT_TRUE(can_reset());
  Talk talk({kAgent, "--storage", storage}, true);
  Request request = pull_request(storage);
  request.silence_ms = 600'000;
  request.hold_max_ms = kMaxHoldMs;
  request.wal_growth_max_bytes = kMaxWalGrowthBytes;
  request.memory_bytes = 0;
  talk.send(MessageType::kRequest, encode(request));
  write("100");
  ASSERT_TRUE(eventually([&] { return write("100"), !can_reset(); })) << "it did not begin to read";
  write("500000");
  for (int i = 0; i < 24; ++i) app.exec("UPDATE t SET body = randomblob(500000) WHERE rowid = 3");
  EXPECT_TRUE(eventually(can_reset)) << "the log cannot be reset, and goes on growing";
}

// --- Whose -------------------------------------------------------------------------------------------------

TEST_F(Lent, RootsOwnDatabasesNeedRootsOwnLogin) {
  for (const char* name : {"production.sqlite3", "queue.sqlite3", "bobs.sqlite3"}) own(in(name), 0);
  own(in("tenants/eu.sqlite3"), 0);
  fs::remove(in("hard.sqlite3"));
  EXPECT_NE(converse(MessageType::kRequest, encode(pull_request(storage_))).find("belong to root"),
            std::string::npos);
  EXPECT_EQ(heard_.find(kSecret), std::string::npos);
}

// Whoever may add to the directory can move a directory there that holds another user's databases.
TEST_F(Lent, AStorageDirectoryThatOthersMayAddToIsRefused) {
  ASSERT_EQ(::chmod(storage_.c_str(), 0777), 0);
  EXPECT_NE(converse(MessageType::kLookRequest, encode(look_request(storage_))).find("others than"),
            std::string::npos);
  ASSERT_EQ(::chmod(storage_.c_str(), 0755), 0);
  own(storage_, kLogin);
  EXPECT_NE(converse(MessageType::kLookRequest, encode(look_request(storage_))).find("others than"),
            std::string::npos);
}

TEST_F(Lent, ADirectoryOnTheWayThatTheLoginCanReplaceIsRefused) {
  own(dir_.path().string(), kLogin);
  EXPECT_NE(
      converse(MessageType::kLookRequest, encode(look_request(storage_))).find("can be changed by others"),
      std::string::npos);
  own(dir_.path().string(), 0);
  fs::rename(storage_, dir_ / "real");
  fs::create_directory_symlink(dir_ / "real", storage_);
  EXPECT_NE(converse(MessageType::kLookRequest, encode(look_request(storage_))).find("is a link"),
            std::string::npos);
  fs::remove(storage_);
  fs::rename(dir_ / "real", storage_);
}

// --- An honest client ------------------------------------------------------------------------------------

// Logs in over SSH as the test's user; at sudo, and for what `id -un` says, it is nobody.
class LentToAClient : public Lent {
 protected:
  LentToAClient()
      : app_(Over::kSsh, {.extra_lines = {"ForceCommand PATH=" + bin_.path().string() +
                                          ":$PATH exec sh -c \"$SSH_ORIGINAL_COMMAND\""}}) {}

  void SetUp() override {
    Lent::SetUp();
    if (IsSkipped()) return;
    fs::permissions(bin_.path(), fs::perms(0755));
    write_file(bin_ / "sudo",
               "#!/bin/sh\nexec setpriv --reuid=65534 --regid=65534 --clear-groups /usr/bin/sudo \"$@\"\n",
               0755);
    write_file(bin_ / "id", "#!/bin/sh\n[ \"$1\" = -un ] && echo nobody || exec /usr/bin/id \"$@\"\n", 0755);
    fs::remove("/etc/sudoers.d/litepull");
    app_.set("REMOTE_SUDO", "yes");
    app_.set("EXCLUDE", "roots.sqlite3 bobs.sqlite3 text.sqlite3 empty.sqlite3 hard.sqlite3 link.sqlite3");
  }

  // As the message of a refusal says, typed as it is.
  void allow_as_said() {
    const std::string said = app_.backup().process.err;
    const std::size_t at = said.find("allow it, as root there: ");
    ASSERT_NE(at, std::string::npos) << said;
    const std::string commands = said.substr(at + std::strlen("allow it, as root there: "));
    const ProcessResult done = run({"/bin/sh", "-c", commands.substr(0, commands.find('\n'))});
    ASSERT_TRUE(done.ok()) << commands << done.err;
    ASSERT_TRUE(run({"visudo", "-c"}).ok()) << commands;
  }

  TempDir bin_;
  PullFixture app_;
};

TEST_F(LentToAClient, WhatARefusalSaysIsTypedAndThenPullsAndRestoresWork) {
  app_.move_storage(storage_);
  allow_as_said();
  EXPECT_FALSE(fs::exists(kAgent)) << "an agent of an older build, which may know no bounds, is still there";
  const BackupRun backup = app_.backup();
  ASSERT_EQ(backup.exit_code(), 0) << backup.words();
  const std::string before = read_file(in("production.sqlite3"));
  make_database(dir_ / "changed.sqlite3", "the accident", kApp);
  fs::rename(dir_ / "changed.sqlite3", in("production.sqlite3"));
  fs::remove(in("queue.sqlite3"));
  const ProcessResult restored = run(
      {built_program("litepull"), "restore", app_.config_path(), "latest", "--to-server", "--yes", "app"});
  EXPECT_TRUE(restored.ok()) << restored.out << restored.err;
  EXPECT_EQ(read_file(in("queue.sqlite3")),
            inside_.at(in("queue.sqlite3")).substr(std::strlen("1234 33152 ")));
  struct stat status {};
  ASSERT_EQ(::stat(in("queue.sqlite3").c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, kApp);
  EXPECT_EQ(read_file(in("production.sqlite3")).size(), before.size());
  EXPECT_NE(read_file(in("production.sqlite3")).find("public"), std::string::npos);
}

TEST_F(LentToAClient, TheRuleOfADirectoryWithAnyNameIsForThatDirectoryAlone) {
  for (const std::string name :
       {"bill ing", "a,b:c=d#e", "w*ld", "wh?t[x]!", "back\\slash", "it's \"$(id)\" `id`", "é^~@"}) {
    const std::string storage = dir_ / name;
    fs::create_directory(storage);
    own(storage, kApp);
    make_database(storage + "/main.sqlite3", "public", kApp);
    fs::remove_all(app_.app_directory());  // of another directory
    app_.set("REMOTE_BACKUP_DIR", "placeholder");
    std::string config = read_file(app_.config_path());
    const std::size_t at = config.find("'placeholder'");
    ASSERT_NE(at, std::string::npos);
    std::string quoted;
    for (const char c : storage) quoted += c == '\'' ? std::string("'\"'\"'") : std::string(1, c);
    config.replace(at, std::strlen("'placeholder'"), "'" + quoted + "'");
    write_file(app_.config_path(), config);
    for (const auto& entry : fs::directory_iterator("/etc/sudoers.d")) fs::remove(entry.path());
    allow_as_said();
    const BackupRun backup = app_.backup();
    EXPECT_EQ(backup.exit_code(), 0) << name << backup.words();
    const std::string agent = fs::directory_iterator(kRoots)->path();
    const auto may_start = [&](const std::vector<std::string>& arguments) {
      std::vector<std::string> words{
          "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/sudo", "-n", "-l", "--",
          agent};
      words.insert(words.end(), arguments.begin(), arguments.end());
      return run(words).ok();
    };
    EXPECT_TRUE(may_start({"--storage", storage})) << name;
    for (const std::string& other :
         {storage_, storage + "x", dir_ / "wild", dir_ / "whatx", dir_ / "a", std::string("/")})
      EXPECT_FALSE(may_start({"--storage", other})) << name << " " << other;
    EXPECT_FALSE(may_start({})) << name;
  }
}

}  // namespace
}  // namespace litepull::test
