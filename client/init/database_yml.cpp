#include "client/init/database_yml.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "client/init/words.h"
#include "client/init/yaml_tree.h"
#include "common/error.h"

namespace litepull {
namespace {

using Variables = std::map<std::string, std::string>;

// --- plain Ruby ------------------------------------------------------------------------------------------

// Reads an expression from the left. Each `take` moves on only if it succeeds.
class Expression {
 public:
  Expression(std::string_view code, const Variables& environment) : rest_(code), environment_(environment) {}

  // The value of the whole expression; nullopt when its form is not known.
  std::optional<std::string> value();

 private:
  bool take(std::string_view word);
  std::optional<std::string> literal();
  std::optional<std::vector<std::string>> arguments();
  std::optional<std::string> variable();
  std::optional<std::string> fetched();
  std::optional<std::string> fetched_default();
  std::optional<std::string> root();
  std::optional<std::string> term();

  std::string_view rest_;
  const Variables& environment_;
};

bool Expression::take(std::string_view word) {
  rest_ = trimmed(rest_);
  if (!rest_.starts_with(word)) return false;
  rest_.remove_prefix(word.size());
  return true;
}

// 'text' or "text", without escapes or interpolation.
std::optional<std::string> Expression::literal() {
  rest_ = trimmed(rest_);
  if (rest_.empty() || (rest_[0] != '"' && rest_[0] != '\'')) return std::nullopt;
  const std::size_t end = rest_.find(rest_[0], 1);
  if (end == std::string_view::npos) return std::nullopt;
  std::string text(rest_.substr(1, end - 1));
  if (text.find_first_of("\\#") != std::string::npos) return std::nullopt;
  rest_.remove_prefix(end + 1);
  return text;
}

// Literals divided by commas, up to the closing bracket.
std::optional<std::vector<std::string>> Expression::arguments() {
  std::vector<std::string> found;
  do {
    const auto one = literal();
    if (!one) return std::nullopt;
    found.push_back(*one);
  } while (take(","));
  if (!take(")")) return std::nullopt;
  return found;
}

// ENV["NAME"], which is nil when it is not set.
std::optional<std::string> Expression::variable() {
  const auto name = literal();
  if (!name || !take("]")) return std::nullopt;
  const auto found = environment_.find(*name);
  const std::optional<std::string> otherwise = take("||") ? term() : std::nullopt;
  return found == environment_.end() ? otherwise : found->second;
}

std::optional<std::string> Expression::fetched_default() {
  if (take(",")) {
    auto otherwise = term();
    return take(")") ? otherwise : std::nullopt;
  }
  if (!take(")")) return std::nullopt;
  const std::string_view close = take("{") ? "}" : take("do") ? "end" : "";
  if (close.empty()) return "";
  auto otherwise = term();
  return take(close) ? otherwise : std::nullopt;
}

// ENV.fetch("NAME"), ENV.fetch("NAME", "text"), ENV.fetch("NAME") { "text" }.
std::optional<std::string> Expression::fetched() {
  const auto name = literal();
  if (!name) return std::nullopt;
  auto otherwise = fetched_default();
  const auto found = environment_.find(*name);
  if (found != environment_.end()) return otherwise ? found->second : otherwise;
  return otherwise && !otherwise->empty() ? otherwise : std::nullopt;
}

// Rails.root, Rails.root.join("storage", "production.sqlite3").
std::optional<std::string> Expression::root() {
  std::string path(kRailsRoot);
  if (!take(".join(")) return path;
  const auto parts = arguments();
  if (!parts) return std::nullopt;
  for (const std::string& part : *parts) path += "/" + part;
  return path;
}

std::optional<std::string> Expression::term() {
  if (take("ENV.fetch(")) return fetched();
  if (take("ENV[")) return variable();
  if (take("Rails.root")) return root();
  if (take("Rails.env")) return "production";
  return literal();
}

std::optional<std::string> Expression::value() {
  auto found = term();
  take(".to_s");
  return trimmed(rest_).empty() ? found : std::nullopt;
}

// `text` with the value of each tag in its place; nullopt when one is not known.
std::optional<std::string> with_values(std::string_view text, const Variables& environment) {
  std::string out;
  for (std::size_t tag; (tag = text.find("<%=")) != std::string_view::npos;) {
    const std::size_t end = text.find("%>", tag);
    if (end == std::string_view::npos) return std::nullopt;
    std::string_view code = text.substr(tag + 3, end - tag - 3);
    if (code.ends_with('-')) code.remove_suffix(1);
    const auto value = Expression(code, environment).value();
    if (!value || value->find("<%") != std::string::npos) return std::nullopt;
    out += text.substr(0, tag);
    out += *value;
    text.remove_prefix(end + 2);
  }
  return out += text;
}

// --- paths -----------------------------------------------------------------------------------------------

// The path in sqlite3:PATH, sqlite3:///PATH and file:PATH, without what follows a '?'.
std::string path_of_url(std::string_view url) {
  url = url.substr(0, url.find('?'));
  url.remove_prefix(url.find(':') + 1);
  if (url.starts_with("//")) url.remove_prefix(std::min(url.find('/', 2), url.size()));
  return std::string(url);
}

bool is_url(std::string_view text) {
  return text.starts_with("sqlite3:") || text.starts_with("file:");
}

// Puts a wildcard for %{tenant}: any name, in one component of the path.
std::string with_any_tenant(std::string_view path) {
  std::string out;
  for (std::size_t at; (at = path.find("%{")) != std::string_view::npos;) {
    const std::size_t end = path.find('}', at);
    if (end == std::string_view::npos) break;
    out += path.substr(0, at);
    out += '*';
    path.remove_prefix(end + 1);
  }
  return out += path;
}

// Without empty components, '.' and '..'.
std::string in_container(const std::string& path) {
  std::string rest = path.starts_with('/') ? path : std::string(kRailsRoot) + "/" + path;
  std::vector<std::string> parts;
  for (rest += '/'; !rest.empty(); rest.erase(0, rest.find('/') + 1)) {
    const std::string part = rest.substr(0, rest.find('/'));
    if (part == ".." && !parts.empty()) parts.pop_back();
    if (!part.empty() && part != "." && part != "..") parts.push_back(part);
  }
  std::string out;
  for (const std::string& part : parts) out += "/" + part;
  return out;
}

// --- the file --------------------------------------------------------------------------------------------

class DatabaseReader {
 public:
  explicit DatabaseReader(const Variables& environment) : environment_(environment) {}
  std::vector<RailsDatabase> read(const Yaml& root) &&;

 private:
  void add(const std::string& name, const Yaml& entry);
  void add_path(const std::string& name, const YamlValue& value);

  const Variables& environment_;
  std::vector<RailsDatabase> found_;
};

std::string scalar(const Yaml& entry, std::string_view key) {
  const Yaml value = entry->find(key);
  return value != nullptr && value->is(YamlKind::kScalar) ? value->text : "";
}

void DatabaseReader::add_path(const std::string& name, const YamlValue& value) {
  const auto text = with_values(value.text, environment_);
  if (!text) {
    found_.push_back({name, value.where, "", printable(value.text)});
    return;
  }
  const std::string path = is_url(*text) ? path_of_url(*text) : *text;
  if (path.empty() || path == ":memory:") return;
  found_.push_back({name, value.where, in_container(with_any_tenant(path)), ""});
}

// A url counts before a path, as in Rails. A url of another kind of database is ignored.
void DatabaseReader::add(const std::string& name, const Yaml& entry) {
  const Yaml url = entry->find("url"), path = entry->find("database");
  const std::string adapter = scalar(entry, "adapter");
  const bool has_url = url != nullptr && url->is(YamlKind::kScalar) && is_url(url->text);
  const bool is_sqlite = adapter.find("lite") != std::string::npos || adapter.find("<%") != std::string::npos;
  if (has_url)
    add_path(name, *url);
  else if (is_sqlite && path != nullptr && path->is(YamlKind::kScalar))
    add_path(name, *path);
}

std::vector<RailsDatabase> DatabaseReader::read(const Yaml& root) && {
  const Yaml production = root == nullptr ? nullptr : root->find("production");
  if (production == nullptr || !production->is(YamlKind::kMapping)) return {};
  bool several = false;
  for (const auto& [key, value] : production->entries) {
    if (!value->is(YamlKind::kMapping)) continue;
    several = true;
    add(key->text, value);
  }
  if (!several) add("primary", production);
  std::stable_partition(found_.begin(), found_.end(),
                        [](const RailsDatabase& one) { return one.name == "primary"; });
  return std::move(found_);
}

}  // namespace

std::vector<RailsDatabase> read_database_yml(const KamalText& file, const Variables& environment) {
  return DatabaseReader(environment).read(read_yaml(file.text, file.file));
}

}  // namespace litepull
