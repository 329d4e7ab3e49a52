// Where config/database.yml says that production's databases are, and what `init` makes of it.
#include "client/init/database_yml.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "client/init/databases.h"
#include "common/error.h"

namespace litepull {
namespace {

using Variables = std::map<std::string, std::string>;

std::vector<RailsDatabase> read(const std::string& text, const Variables& environment = {}) {
  return read_database_yml({"config/database.yml", text}, environment);
}

// A file with one database, whose path is written so.
RailsDatabase database_at(const std::string& path, const Variables& environment = {}) {
  const auto found = read("production:\n  adapter: sqlite3\n  database: " + path + "\n", environment);
  return found.size() == 1 ? found[0] : RailsDatabase{};
}

// As `rails new` writes it.
constexpr const char* kRails = R"(default: &default
  adapter: sqlite3
  pool: <%= ENV.fetch("RAILS_MAX_THREADS") { 5 } %>
  timeout: 5000

development:
  <<: *default
  database: storage/development.sqlite3

production:
  primary:
    <<: *default
    database: storage/production.sqlite3
  cache:
    <<: *default
    database: storage/production_cache.sqlite3
    migrations_paths: db/cache_migrate
)";

TEST(DatabaseYml, ProductionsDatabasesAreFoundAsRailsWritesThem) {
  const auto found = read(kRails);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].name, "primary");
  EXPECT_EQ(found[0].path, "/rails/storage/production.sqlite3");
  EXPECT_EQ(found[0].where, "config/database.yml:13");
  EXPECT_EQ(found[1].path, "/rails/storage/production_cache.sqlite3");
}

TEST(DatabaseYml, PlainErbAroundAPathIsUnderstood) {
  const std::pair<const char*, const char*> cases[] = {
      {"storage/<%= Rails.env %>.sqlite3", "/rails/storage/production.sqlite3"},
      {"<%= ENV.fetch(\"DB\", \"storage/x.sqlite3\") %>", "/rails/storage/x.sqlite3"},
      {"<%= ENV.fetch('DB') { 'storage/x.sqlite3' } %>", "/rails/storage/x.sqlite3"},
      {"<%= ENV[\"DB\"] || \"storage/x.sqlite3\" %>", "/rails/storage/x.sqlite3"},
      {"<%= Rails.root.join(\"storage\", \"x.sqlite3\") %>", "/rails/storage/x.sqlite3"},
      {"<%= Rails.root.join('storage/x.sqlite3').to_s %>", "/rails/storage/x.sqlite3"},
      {"<%= Rails.root %>/storage/x.sqlite3", "/rails/storage/x.sqlite3"},
      {"<%= ENV.fetch(\"DIR\") { \"storage\" } %>/<%= Rails.env %>.db", "/rails/storage/production.db"},
      {"\"storage/%{tenant}/main.sqlite3\"", "/rails/storage/*/main.sqlite3"},
      {"/data/x.sqlite3", "/data/x.sqlite3"},
      {"./storage/../storage//x.sqlite3", "/rails/storage/x.sqlite3"},
      {"file:storage/x.sqlite3?mode=rwc", "/rails/storage/x.sqlite3"},
  };
  for (const auto& [text, path] : cases) EXPECT_EQ(database_at(text).path, path) << text;
}

TEST(DatabaseYml, WhatTheContainersAreGivenCountsBeforeADefault) {
  const Variables environment{{"DB", "/data/y.sqlite3"}, {"HIDDEN", "<%= a secret %>"}};
  EXPECT_EQ(database_at("<%= ENV.fetch(\"DB\", \"storage/x.sqlite3\") %>", environment).path,
            "/data/y.sqlite3");
  EXPECT_EQ(database_at("<%= ENV.fetch(\"DB\") %>", environment).path, "/data/y.sqlite3");
  EXPECT_EQ(database_at("<%= ENV[\"DB\"] %>", environment).path, "/data/y.sqlite3");
  EXPECT_EQ(database_at("<%= ENV.fetch(\"HIDDEN\", \"storage/x.sqlite3\") %>", environment).path, "");
}

TEST(DatabaseYml, WhatOnlyRubyCanTellIsSaidSo) {
  for (const char* text : {"<%= ENV.fetch(\"DB\") %>", "<%= ENV[\"DB\"] %>", "<%= path %>/x.sqlite3",
                           "<%= \"a#{b}\" %>", "<%= Rails.root.join(name) %>", "<%= Rails.environment %>",
                           "<%= ENV.fetch(\"DB\", default) %>", "<%= %>"}) {
    const RailsDatabase database = database_at(text);
    EXPECT_EQ(database.path, "") << text;
    EXPECT_EQ(database.erb, text);
  }
}

TEST(DatabaseYml, OneDatabaseAnUrlAndOtherAdaptersAreRead) {
  EXPECT_EQ(read("production:\n  url: sqlite3:storage/x.sqlite3\n")[0].path, "/rails/storage/x.sqlite3");
  EXPECT_EQ(read("production:\n  url: sqlite3:///data/x.db?pool=5\n")[0].path, "/data/x.db");
  EXPECT_TRUE(read("production:\n  adapter: postgresql\n  database: app\n").empty());
  EXPECT_TRUE(read("production:\n  url: postgres://db/app\n").empty());
  EXPECT_TRUE(read("production:\n  adapter: sqlite3\n  database: \":memory:\"\n").empty());
  EXPECT_TRUE(read("development:\n  adapter: sqlite3\n  database: x\n").empty());
  for (const char* text : {"", "production:\n", "- a\n", "production: [1]\n", "production: {a: {b: [c]}}\n"})
    EXPECT_TRUE(read(text).empty()) << text;
  const auto mixed = read(
      "production:\n  queue: {adapter: sqlite3, database: storage/q.db}\n"
      "  primary: {adapter: litedb, database: storage/p.db}\n  other: {adapter: trilogy, database: o}\n");
  ASSERT_EQ(mixed.size(), 2U);
  EXPECT_EQ(mixed[0].name, "primary");
}

// --- patterns --------------------------------------------------------------------------------------------

constexpr const char* kStorage = "/var/lib/docker/volumes/app_storage/_data";

DatabasePatterns patterns(const std::vector<std::string>& paths, const std::string& volumes,
                          const std::string& storage = kStorage) {
  const KamalApp app = read_kamal(
      {"config/deploy.yml", "service: app\nservers: [192.0.2.1]\nvolumes: " + volumes + "\n"}, std::nullopt);
  std::vector<RailsDatabase> databases;
  for (const std::string& path : paths) databases.push_back({"primary", "config/database.yml:1", path, ""});
  return database_patterns(app, databases, storage, "app");
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : " ") + word;
  return out;
}

TEST(InitDatabases, PatternsReachEachDatabaseOfTheStorageVolume) {
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{}, "*.sqlite3"},
      {{"/rails/storage/production.sqlite3", "/rails/storage/production_queue.sqlite3"}, "*.sqlite3"},
      {{"/rails/storage/db/production.sqlite3"}, "db/*.sqlite3"},
      {{"/rails/storage/production/data.sqlite3", "/rails/storage/queue.db"}, "production/*.sqlite3 *.db"},
      {{"/rails/storage/tenants/*/main.sqlite3"}, "tenants/*/*.sqlite3"},
      {{"/rails/storage/production"}, "production"},
      {{"/rails/storage/my data/[x].sqlite"}, "my?data/*.sqlite"},
      {{"/rails/storage/a[1]/x.db"}, "a[[]1]/*.db"},
  };
  for (const auto& [paths, wanted] : cases) {
    const DatabasePatterns made = patterns(paths, "['app_storage:/rails/storage']");
    EXPECT_EQ(joined(made.patterns), wanted);
    EXPECT_EQ(joined(made.notes), "");
  }
}

TEST(InitDatabases, AVolumeAboveTheStorageDirectoryHasThemBelow) {
  const DatabasePatterns made =
      patterns({"/rails/storage/x.db", "/rails/db/y.db"}, "['/srv/app:/rails']", "/srv/app");
  EXPECT_EQ(joined(made.patterns), "storage/*.db db/*.db");
}

TEST(InitDatabases, ADirectoryNamedByHandIsTakenForTheStorage) {
  const DatabasePatterns made =
      patterns({"/rails/storage/db/x.sqlite3"}, "['app_storage:/rails/storage']", "/mnt/elsewhere");
  EXPECT_EQ(joined(made.patterns), "db/*.sqlite3");
}

TEST(InitDatabases, ADatabaseElsewhereIsNamedWithTheCommandThatCoversIt) {
  const std::string volumes = "['app_storage:/rails/storage', 'app_db:/rails/db']";
  const DatabasePatterns made = patterns({"/rails/storage/x.sqlite3", "/rails/db/y.sqlite3"}, volumes);
  EXPECT_EQ(joined(made.patterns), "*.sqlite3");
  EXPECT_NE(joined(made.notes).find("litepull init --app app-db --storage app_db"), std::string::npos)
      << joined(made.notes);
  EXPECT_NE(
      joined(patterns({"/rails/db/y.sqlite3"}, "['app_storage:/rails/storage']").notes).find("in no volume"),
      std::string::npos);
  EXPECT_NE(joined(patterns({}, volumes).notes).find("app_db, mounted at /rails/db may hold databases"),
            std::string::npos);
}

}  // namespace
}  // namespace litepull
