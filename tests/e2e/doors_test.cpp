// Ways in which an app opens the same database through another path than REMOTE_BACKUP_DIR, such as a
// second mount or link. Either a pull is refused by name or it has every acknowledged commit. A restore to
// the server changes nothing else, and the app goes on.
//
// All of it runs in a mount namespace of the test's own, which needs root.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/support/bank_oracle.h"
#include "tests/support/pull_fixture.h"

namespace litepull::test {
namespace fs = std::filesystem;
namespace {

constexpr const char* kName = "bank.sqlite3";

// Where everything is in one way; set up before the app starts.
struct Scene {
  std::string root;     // a directory of its own
  std::string storage;  // REMOTE_BACKUP_DIR
  std::string app;      // the database, as the app names it
  std::string ack;
  std::vector<std::string> before_app;          // what the app is started by
  std::function<void()> while_it_runs = [] {};  // done to it then
  bool made = true;                             // false: such a file system is not to be had here
  std::vector<std::string> mounted;

  std::string operator/(const std::string& name) const { return root + "/" + name; }
  void mount_bind(const std::string& from, const std::string& to) {
    made = made && ::mount(from.c_str(), to.c_str(), nullptr, MS_BIND, nullptr) == 0;
    mounted.push_back(to);
  }
  void mount_overlay(const std::string& options, const std::string& at) {
    made = made && ::mount("overlay", at.c_str(), "overlay", 0, options.c_str()) == 0;
    mounted.push_back(at);
  }
  void make_directories(const std::vector<std::string>& names) const {
    for (const std::string& name : names) fs::create_directories(root + "/" + name);
  }
  // An app in a container, that is: in a mount namespace of its own, in which `command` is run first.
  void in_container(const std::string& command) {
    before_app = {"unshare", "-m", "--propagation", "private", "sh", "-c", command + " && exec \"$@\"", "sh"};
  }
};

enum class Door { kOurs, kOther };

struct Way {
  const char* name;
  Door door;
  std::function<void(Scene&)> set_up;  // `storage` holds the database
  bool only_wal = false;
  bool only_rollback = false;
  bool other_when_stopped = true;  // a door that is there without the app as well
  // SQLite does not bring a WAL back into a database that was moved: without the app nobody knows whose it
  // is.
  bool only_running = false;
};

void overlay_with(Scene& scene, const std::string& base, const std::string& shown) {
  scene.make_directories({"lower/storage", "upper/storage", "work", "merged"});
  fs::rename(scene.root + "/storage/" + kName, scene.root + "/" + base + "/storage/" + kName);
  scene.mount_overlay(
      "lowerdir=" + scene / "lower" + ",upperdir=" + scene / "upper" + ",workdir=" + scene / "work",
      scene / "merged");
  scene.storage = scene / shown;
  scene.app = scene / ("merged/storage/" + std::string(kName));
}

std::vector<Way> ways() {
  return {
      {"DirectoryBoundBesideIt", Door::kOurs,
       [](Scene& s) {
         s.make_directories({"inside"});
         s.mount_bind(s.storage, s / "inside");
         s.app = s / ("inside/" + std::string(kName));
       }},
      {"DirectoryInAContainer", Door::kOurs,
       [](Scene& s) {
         s.make_directories({"inside"});
         s.in_container("mount --bind '" + s.storage + "' '" + s / "inside" + "'");
         s.app = s / ("inside/" + std::string(kName));
       }},
      {"DirectoryInAContainerOfAnotherUser", Door::kOurs,
       [](Scene& s) {
         s.make_directories({"inside"});
         for (const std::string& path : {s.storage, s.app, s.ack})
           s.made = s.made && ::chown(path.c_str(), 1000, 1000) == 0;
         s.in_container("mount --bind '" + s.storage + "' '" + s / "inside" + "'");
         s.before_app.insert(s.before_app.end(),
                             {"setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"});
         s.app = s / ("inside/" + std::string(kName));
       }},
      {"DirectoryBelowAnotherRoot", Door::kOurs,
       [](Scene& s) {
         s.make_directories({"newroot"});
         s.in_container("mount --rbind / '" + s / "newroot" + "' && mount --bind '" + s.storage + "' '" +
                        s / "newroot" + "/mnt'");
         s.before_app.insert(s.before_app.end(), {"chroot", s / "newroot"});
         s.app = "/mnt/" + std::string(kName);
       }},
      {"SymbolicLink", Door::kOurs,
       [](Scene& s) {
         s.make_directories({"elsewhere"});
         fs::create_symlink(s.storage + "/" + kName, s / "elsewhere/link.sqlite3");
         s.app = s / "elsewhere/link.sqlite3";
       }},
      {"MergedOverlay", Door::kOurs, [](Scene& s) { overlay_with(s, "upper", "merged/storage"); }},
      {"FileBoundBesideIt", Door::kOther,
       [](Scene& s) {
         s.make_directories({"inside"});
         s.app = s / ("inside/" + std::string(kName));
         write_file(s.app, "");
         s.mount_bind(s.storage + "/" + kName, s.app);
       }},
      {"FileInAContainer", Door::kOther,
       [](Scene& s) {
         s.make_directories({"inside"});
         s.app = s / ("inside/" + std::string(kName));
         write_file(s.app, "");
         s.in_container("mount --bind '" + s.storage + "/" + kName + "' '" + s.app + "'");
       },
       false, false, false},
      {"FileBoundHereFromTheApps", Door::kOther,
       [](Scene& s) {
         s.make_directories({"elsewhere"});
         s.app = s / ("elsewhere/" + std::string(kName));
         fs::rename(s.storage + "/" + kName, s.app);
         write_file(s.storage + "/" + kName, "");
         s.mount_bind(s.app, s.storage + "/" + kName);
       }},
      {"UpperDirectory", Door::kOther, [](Scene& s) { overlay_with(s, "upper", "upper/storage"); }},
      {"LowerDirectory", Door::kOther, [](Scene& s) { overlay_with(s, "lower", "lower/storage"); }},
      {"UpperDirectoryBoundElsewhere", Door::kOther,
       [](Scene& s) {
         overlay_with(s, "upper", "data");
         s.make_directories({"data"});
         s.mount_bind(s / "upper/storage", s / "data");
       }},
      {"UpperDirectoryInAContainer", Door::kOther,
       [](Scene& s) {
         s.make_directories({"lower/storage", "upper name", "work", "merged"});
         fs::rename(s.storage, s / "upper name/storage");
         s.storage = s / "upper name/storage";
         s.in_container(
             "cd '" + s.root +
             "' && mount -t overlay overlay -o 'lowerdir=lower,upperdir=upper name,workdir=work' merged");
         s.app = s / ("merged/storage/" + std::string(kName));
       },
       false, false, false},
      {"BelowTheOverlay", Door::kOther,
       [](Scene& s) {
         overlay_with(s, "upper", "merged/storage");
         s.app = s / ("upper/storage/" + std::string(kName));
       },
       false, false, false},
      {"LowerThanTheOverlay", Door::kOther,
       [](Scene& s) {
         overlay_with(s, "lower", "merged/storage");
         s.app = s / ("lower/storage/" + std::string(kName));
       }},
      {"HardLink", Door::kOther,
       [](Scene& s) {
         s.make_directories({"elsewhere"});
         s.app = s / "elsewhere/other.sqlite3";
         fs::create_hard_link(s.storage + "/" + kName, s.app);
       }},
      {"RenamedWhileOpen", Door::kOther,
       [](Scene& s) {
         s.app = s.storage + "/old";
         fs::rename(s.storage + "/" + kName, s.app);
         s.while_it_runs = [s] { fs::rename(s.app, s.storage + "/" + kName); };
       },
       true, false, false, true},
      {"WalRemovedWhileOpen", Door::kOther,
       [](Scene& s) { s.while_it_runs = [s] { fs::remove(s.app + "-wal"); }; }, true, false, false},
      {"DotfileLocks", Door::kOther, [](Scene& s) { s.app = "file:" + s.app + "?vfs=unix-dotfile"; }, false,
       true, false},
      {"NoLocks", Door::kOther, [](Scene& s) { s.app = "file:" + s.app + "?nolock=1"; }, false, true, false},
  };
}

// The database of a scene, however the app names it.
std::string file_of(const std::string& app) {
  const std::string path = app.starts_with("file:") ? app.substr(5) : app;
  return path.substr(0, path.find('?'));
}

class DoorWays : public testing::TestWithParam<Way> {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can mount";
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
  }

  // A snapshot is made before there is another door: it is what a restore would bring back.
  void build(const std::string& mode) {
    app_ = std::make_unique<PullFixture>(Over::kLocal);
    app_->move_storage(app_->scratch("scene/storage"));
    scene_ = Scene();
    scene_.root = app_->scratch("scene");
    scene_.storage = app_->storage();
    fs::create_directories(scene_.storage);
    app_->make_bank(kName, mode);
    ack_ = app_->ack_path(kName);
    const BackupRun run = app_->backup();
    ASSERT_EQ(run.exit_code(), 0) << run.words();
    scene_.app = scene_.storage + "/" + kName;
    scene_.ack = ack_;
    GetParam().set_up(scene_);
    if (!scene_.made) GTEST_SKIP() << "there is no such file system here";
    moved_ = scene_.storage != app_->storage();
    app_->move_storage(scene_.storage);
    mode_ = mode;
  }

  Child start() {
    std::vector<std::string> argv = scene_.before_app;
    argv.insert(argv.end(), {built_program("bank_writer"), scene_.app, mode_, "--ack", ack_,
                             "--wal-autocheckpoint", "50"});
    Child writer(argv);
    EXPECT_EQ(writer.read_line(Milliseconds(30'000)), "ready");
    EXPECT_TRUE(eventually([&] { return read_ack(ack_) > 5; }));
    scene_.while_it_runs();
    return writer;
  }

  // True when it was not refused.
  bool pull_is_right_or_refused() {
    const std::uint64_t acknowledged = read_ack(ack_);
    const BackupRun run =
        app_->backup(moved_ ? std::vector<std::string>{"--moved"} : std::vector<std::string>{});
    if (run.exit_code() != 0) {
      EXPECT_EQ(run.exit_code(), 1) << run.words();  // there is no other database
      const std::string message = run.json["error"]["message"].get<std::string>();
      EXPECT_NE(message.find(kName), std::string::npos) << run.words();
      EXPECT_NE(run.json["error"]["hint"], "") << run.words();
      said_.insert(message.substr(message.find(kName)));
      return false;
    }
    EXPECT_EQ(run.exit_code(), 0) << run.words();
    moved_ = false;  // that is recorded now
    EXPECT_EQ(check_bank(run.file(kName), acknowledged).failure, "");
    return true;
  }

  // False when it was refused.
  bool restores() {
    RunOptions options;
    options.timeout = Milliseconds(60'000);
    const ProcessResult result = run({built_program("litepull"), "restore", app_->config_path(),
                                      fs::path(app_->snapshots().back()).filename(), "--to-server", "--yes",
                                      "app", "--no-safety-snapshot", "--from-other-server"},
                                     options);
    EXPECT_TRUE(result.ok() || result.err.find(kName) != std::string::npos) << result.out << result.err;
    return result.ok();
  }

  void take_down() {
    for (const std::string& message : said_) std::printf("%s: %s\n", mode_.c_str(), message.c_str());
    said_.clear();
    for (; !scene_.mounted.empty(); scene_.mounted.pop_back())
      ::umount2(scene_.mounted.back().c_str(), MNT_DETACH);
    app_.reset();
  }
  void TearDown() override { take_down(); }

  void expect(bool refused, bool taken) const {
    EXPECT_FALSE(refused && taken);
    EXPECT_TRUE(taken || GetParam().door == Door::kOther);
  }

  // Whose locks do not meet ours is found out by what it writes; it may be caught in no act.
  bool is_seen_running() const { return GetParam().door == Door::kOther && !GetParam().only_rollback; }
  bool is_seen_stopped() const { return GetParam().door == Door::kOther && GetParam().other_when_stopped; }

  void while_the_app_runs() {
    Child writer = start();
    for (int i = 0; i < rounds(2, 50); ++i) expect(is_seen_running(), pull_is_right_or_refused());
    EXPECT_FALSE(is_seen_running() && restores());
    EXPECT_TRUE(writer.running());
    const bool in_order = mode_ == "delete" || (GetParam().door == Door::kOther && !is_seen_stopped());
    if (in_order) {
      EXPECT_EQ(writer.stop().code, 0);
    } else {
      writer.kill(SIGKILL);
      writer.wait(Milliseconds(10'000));
    }
  }

  void once_it_has_stopped() {
    expect(is_seen_stopped(), pull_is_right_or_refused());
    const bool in_our_view = scene_.before_app.empty();
    const std::string file = in_our_view ? file_of(scene_.app) : scene_.storage + "/" + kName;
    EXPECT_EQ(check_bank(fs::canonical(file), read_ack(ack_)).failure, "");
    expect(is_seen_stopped(), restores());
    EXPECT_EQ(check_bank(fs::canonical(file), 0).failure, "");
  }

  std::unique_ptr<PullFixture> app_;
  Scene scene_;
  std::string ack_, mode_;
  bool moved_ = false;  // the storage has another path than where the newest snapshot is from
  std::set<std::string> said_;
};

TEST_P(DoorWays, HaveEveryCommitOrAreRefusedByNameAndTheAppLives) {
  for (const std::string mode : {"wal", "delete"}) {
    if ((GetParam().only_wal && mode != "wal") || (GetParam().only_rollback && mode != "delete")) continue;
    SCOPED_TRACE(mode);
    build(mode);
    if (IsSkipped() || HasFatalFailure()) return;
    while_the_app_runs();
    if (!GetParam().only_running) once_it_has_stopped();
    take_down();
  }
}

INSTANTIATE_TEST_SUITE_P(Doors, DoorWays, testing::ValuesIn(ways()),
                         [](const auto& way) { return std::string(way.param.name); });

}  // namespace
}  // namespace litepull::test
