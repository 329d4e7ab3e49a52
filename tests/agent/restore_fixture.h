// What the tests of a restore share: databases, snapshots of them, and a storage directory.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <stdexcept>
#include <string>
#include <utility>

#include "agent/beneath.h"
#include "agent/discover.h"
#include "agent/image.h"
#include "agent/rewrite.h"
#include "agent/sqlite.h"
#include "common/error.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_key.h"

namespace litepull {

inline const DigestKey kKey = test::key_of(1);
inline constexpr RewritePatience kImpatient{100'000, 100'000};

inline Digest digest_of(const std::string& bytes) {
  StreamingDigest digest(kKey);
  digest.add({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
  return digest.result();
}

inline ByteView view_of(const std::string& bytes) {
  return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
}

// Removes what may differ between a snapshot's file and the database that it was restored to.
inline std::string without_counters(std::string file) {
  for (const auto& [at, count] : {std::pair{18, 2}, {24, 4}, {40, 4}, {92, 8}})
    file.replace(static_cast<std::size_t>(at), static_cast<std::size_t>(count),
                 static_cast<std::size_t>(count), '\0');
  return file;
}

inline std::string rows(const char* table, int count, int bytes) {
  return std::string("CREATE TABLE ") + table + " (a INTEGER PRIMARY KEY, b); CREATE INDEX i_" + table +
         " ON " + table + " (b); WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " +
         std::to_string(count) + ") INSERT INTO " + table + " (b) SELECT hex(randomblob(" +
         std::to_string(bytes) + ")) FROM n;";
}

inline std::string large_rows(const char* table, int megabytes) {
  return std::string("CREATE TABLE ") + table +
         " (a INTEGER PRIMARY KEY, b); WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE "
         "i < " +
         std::to_string(4 * megabytes) + ") INSERT INTO " + table + " (b) SELECT randomblob(262144) FROM n;";
}

// Everything runs with a storage directory of its own as the working directory, as in the agent.
class RestoreTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    sqlite3_initialize();   // the agent's SQLite does not do it by itself
    keep_sqlite_beneath();  // and before another thread uses SQLite
  }
  RestoreTest() {
    if (::chdir(storage_.path().c_str()) != 0) throw std::runtime_error("chdir");
  }
  ~RestoreTest() override { EXPECT_EQ(::chdir("/"), 0); }

  Connection open_at(const std::string& path, const std::string& sql) {
    Connection connection = open_connection(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
    execute(connection.get(), "PRAGMA synchronous=OFF");
    execute(connection.get(), sql.c_str());
    return connection;
  }
  Connection app(const std::string& name, const std::string& sql = "") {
    return open_at(storage_ / name, sql);
  }

  // A snapshot's file as a pull makes it of such a database.
  std::string snapshot_of(const std::string& sql) {
    const std::string path = elsewhere_ / ("s" + std::to_string(++snapshots_));
    open_at(path, sql);
    return test::file_bytes(path);
  }

  static std::string ask(const Connection& connection, const char* sql) {
    Statement value(connection.get(), sql);
    return value.step() ? value.text() : "";
  }

  RestoreItem item_of(const std::string& name, const std::string& file) {
    std::uint32_t page_size = static_cast<std::uint8_t>(file[16]) << 8 | static_cast<std::uint8_t>(file[17]);
    if (page_size == 1) page_size = 65536;
    return {name, page_size, static_cast<std::uint32_t>(file.size() / page_size), digest_of(file)};
  }

  Image image_of(const RestoreItem& item, const std::string& file) {
    Image image(item, kKey);
    image.write(1, view_of(file));
    return image;
  }

  Restored restore(const std::string& name, const std::string& file, const RewritePatience& patience = {}) {
    const RestoreItem item = item_of(name, file);
    const Image image = image_of(item, file);
    return rewrite(find_databases({name}).at(0), image, item.digest, item.pages, patience);
  }

  // The pages of the database as a reader sees them now.
  std::string pages_of(const std::string& name) {
    const Connection reader = app(name, "PRAGMA writable_schema=ON");
    Statement pages(reader.get(), "SELECT data FROM sqlite_dbpage('main')");
    std::string file;
    while (pages.step()) {
      const ByteView page = pages.blob();
      file.append(page.begin(), page.end());
    }
    return file;
  }

  std::string refusal(const std::string& name, const std::string& file, ErrorKind kind) {
    try {
      restore(name, file, kImpatient);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.message();
      return error.message();
    }
    ADD_FAILURE() << name << " was restored";
    return "";
  }

  test::TempDir storage_;
  test::TempDir elsewhere_;
  int snapshots_ = 0;
};

}  // namespace litepull
