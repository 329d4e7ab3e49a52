#include "tests/support/run_helpers.h"

#include <sys/stat.h>
#include <xxhash.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <vector>

#include "common/wire/protocol.h"
#include "tests/support/temp_dir.h"

namespace litepull::test {
namespace fs = std::filesystem;
namespace {

std::set<std::string> files_below(const std::string& directory) {
  std::set<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(directory))
    if (!entry.is_directory()) names.insert(entry.path().lexically_relative(directory).string());
  return names;
}

std::string why_not_whole(const std::string& path, const nlohmann::json& database) {
  if (!fs::is_regular_file(path)) return path + " is missing";
  if (fs::file_size(path) != database["bytes"].get<std::uintmax_t>()) return path + " has another size";
  if (xxh128_of(path) != database["xxh128"].get<std::string>()) return path + " has another digest";
  return "";
}

}  // namespace

std::string xxh128_of(const std::string& path) {
  const std::string content = read_file(path);
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(content.data(), content.size()));
  Digest digest;
  std::copy(std::begin(canonical.digest), std::end(canonical.digest), digest.begin());
  return to_hex(digest);
}

std::string why_not_whole(const std::string& snapshot) {
  std::set<std::string> files = files_below(snapshot);
  files.erase(".manifest.json.new");  // a verdict that was being written; readers pass over it
  if (files.erase("manifest.json") == 0) return snapshot + " has no manifest";
  const nlohmann::json manifest =
      nlohmann::json::parse(read_file(snapshot + "/manifest.json"), nullptr, false);
  if (!manifest.is_object() || manifest.value("snapshot", "") != fs::path(snapshot).filename())
    return snapshot + " has a manifest that is not its own";
  for (const nlohmann::json& database : manifest["databases"]) {
    if (!database["error"].is_null()) continue;
    const std::string name = database["name"];
    if (const std::string why = why_not_whole(snapshot + "/" + name, database); !why.empty()) return why;
    files.erase(name);
    files.erase(".hashes/" + name);
  }
  return files.empty() ? "" : snapshot + " holds " + *files.begin() + ", which its manifest does not name";
}

std::string fingerprint(const std::string& directory) {
  std::string text;
  for (const std::string& name : files_below(directory)) {
    const std::string path = directory + "/" + name;
    struct stat info {};
    ::lstat(path.c_str(), &info);
    text += name + " " + std::to_string(info.st_mode) + " " + std::to_string(info.st_ino) + " " +
            xxh128_of(path) + "\n";
  }
  return text;
}

std::string names_and_owners(const std::string& directory) {
  std::istringstream in(listing(directory));
  std::string kept;
  for (std::string line; std::getline(in, line);) {
    if (line.find("-journal ") != std::string::npos) continue;
    const std::size_t size = line.find(" size "), after = line.find(" links ", size);
    kept += line.erase(size, after - size) + "\n";
  }
  return kept;
}

}  // namespace litepull::test
