// Snapshots and the storage directory of one machine may not be inside each other.
#include "client/config/config.h"

#include <gtest/gtest.h>

#include "tests/unit/config/config_fixture.h"

namespace litepull {
namespace {

class Apart : public ConfigTest {
 protected:
  void SetUp() override {
    ConfigTest::SetUp();
    for (const char* name : {"storage/backups", "elsewhere"}) fs::create_directories(in(name));
    fs::create_directory_symlink(in("storage"), in("link"));
  }

  std::string in(const std::string& name) const { return home_ + "/" + name; }

  // The message about these two directories below the test's; empty when they are apart.
  std::string refusal(const std::string& root, const std::string& storage, const char* transport = "local") {
    const Config config = load_with({{"TRANSPORT", transport},
                                     {"LOCAL_BACKUP_ROOT", "'" + in(root) + "'"},
                                     {"REMOTE_BACKUP_DIR", "'" + in(storage) + "'"}});
    try {
      require_apart(config);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kConfiguration);
      return error.message();
    }
    return "";
  }
};

TEST_F(Apart, SnapshotsBelowTheStorageDirectoryAreRefusedWhateverLeadsThere) {
  for (const char* root : {"storage/backups", "storage", "storage/new/deeper", "link/backups", "link/new",
                           "elsewhere/../storage/backups", "elsewhere/../link"}) {
    const std::string said = refusal(root, "storage");
    EXPECT_NE(said.find("LOCAL_BACKUP_ROOT"), std::string::npos) << root;
    EXPECT_NE(said.find("REMOTE_BACKUP_DIR"), std::string::npos) << root;
    EXPECT_NE(said.find(in("storage")), std::string::npos) << root;
  }
}

TEST_F(Apart, AStorageDirectoryBelowTheSnapshotsIsRefused) {
  EXPECT_NE(refusal("storage", "storage/backups").find("is inside"), std::string::npos);
  EXPECT_NE(refusal("storage", "link/backups").find("is inside"), std::string::npos);
}

TEST_F(Apart, NeighboursAndOtherMachinesAreNot) {
  EXPECT_EQ(refusal("elsewhere", "storage"), "");
  EXPECT_EQ(refusal("storage-backups", "storage"), "");
  EXPECT_EQ(refusal("storage/backups", "missing"), "");
  EXPECT_EQ(refusal("storage/backups", "storage", "ssh"), "");
}

}  // namespace
}  // namespace litepull
