// Fuzzes Kamal's configuration, ERB over YAML, with a destination's merged into it. The first zero byte of
// the input separates the two, because neither can contain one. The input is also read as Kamal's own answer
// and as Rails' database.yml.
#include <optional>
#include <string>

#include "client/init/database_yml.h"
#include "client/init/kamal_answer.h"
#include "client/init/kamal_config.h"
#include "client/init/yaml_tree.h"
#include "tests/fuzz/fuzz.h"

namespace litepull::fuzz {
namespace {

// A shared value is visited each time it is named. The reader keeps that below its cap.
std::size_t require_sound(const YamlValue& value, std::size_t depth) {
  invariant(depth + value.height <= kMaxYamlNesting, "a tree that is too deep");
  invariant(is_clean_utf8(value.where) && is_clean_utf8(value.erb), "a place that cannot be printed");
  std::size_t height = 0;
  for (const Yaml& item : value.items) height = std::max(height, 1 + require_sound(*item, depth + 1));
  for (const auto& [key, item] : value.entries) {
    invariant(value.find(key->text) == item || !key->is(YamlKind::kScalar), "a key that is there twice");
    height = std::max(height, 1 + require_sound(*item, depth + 1));
  }
  invariant(height <= value.height, "a tree that is deeper than it says");
  return height;
}

void require_lines(std::string_view text) {
  const ErbText erb = read_erb(text, "deploy.yml");
  const auto lines = static_cast<std::size_t>(std::ranges::count(erb.text, '\n')) + 1;
  invariant(erb.source_lines.size() == lines, "a line that comes from nowhere");
  for (const ErbBlock& block : erb.blocks)
    invariant(block.first <= block.last && block.last < lines, "a block that is nowhere");
}

void require_sound(const KamalApp& app) {
  for (const KamalVolume& volume : app.volumes) {
    const std::string path = host_path(volume, kRailsStorage);
    invariant(path.empty() || path.starts_with('/') || path.starts_with("~/"),
              "a relative path on the server");
  }
  volume_holding(app, kRailsStorage);
}

void take(std::string_view text) {
  const std::size_t end = std::min(text.find('\0'), text.size());
  const KamalText base{"deploy.yml", std::string(text.substr(0, end))};
  std::optional<KamalText> over;
  if (end < text.size()) over = KamalText{"deploy.eu.yml", std::string(text.substr(end + 1))};
  accepts({ErrorKind::kConfiguration}, [&] {
    require_lines(base.text);
    require_sound(*read_yaml(base.text, base.file), 0);
    require_sound(read_kamal(base, over));
  });
  accepts({ErrorKind::kConfiguration}, [&] { require_sound(with_answer({}, base.text)); });
  accepts({ErrorKind::kConfiguration}, [&] {
    for (const RailsDatabase& database : read_database_yml(base, {}))
      invariant(database.path.empty() || database.path.starts_with('/'), "a relative path in a container");
  });
}

}  // namespace
}  // namespace litepull::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  litepull::fuzz::take(litepull::fuzz::as_text({data, size}));
  return 0;
}
