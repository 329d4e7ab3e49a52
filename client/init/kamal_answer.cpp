#include "client/init/kamal_answer.h"

#include <algorithm>
#include <utility>

#include "client/base/error_of.h"
#include "client/base/run_program.h"
#include "client/init/yaml_tree.h"
#include "common/error.h"

namespace litepull {
namespace {

constexpr const char* kSource = "kamal config";  // where values come from, in notes

// Kamal's stderr may hold secrets too, so it is not read.
constexpr const char* kAsk =
    "if [ -x bin/kamal ]; then set -- bin/kamal; else set -- kamal; fi; "
    "exec \"$@\" config -c \"$LITEPULL_KAMAL_FILE\" "
    "${LITEPULL_KAMAL_DESTINATION:+-d \"$LITEPULL_KAMAL_DESTINATION\"} 2>/dev/null";

constexpr int kNotFound = 127;  // of a shell

[[noreturn]] void refuse_answer(const std::string& what, const std::string& hint) {
  throw Error(ErrorKind::kConfiguration, std::string(kSource) + " " + what, hint);
}

std::string by_hand(const std::string& destination) {
  return "kamal config" + (destination.empty() ? "" : " -d " + printable(destination));
}

KamalValue known(std::string text) {
  return {std::move(text), kSource, ""};
}

// Keys are Ruby's symbols in most versions of Kamal.
Yaml field_at(const Yaml& mapping, const std::string& key) {
  if (mapping == nullptr || !mapping->is(YamlKind::kMapping)) return nullptr;
  const Yaml symbol = mapping->find(":" + key);
  return symbol != nullptr ? symbol : mapping->find(key);
}

std::string text_at(const Yaml& mapping, const std::string& key) {
  const Yaml value = field_at(mapping, key);
  return value != nullptr && value->is(YamlKind::kScalar) ? value->text : "";
}

std::vector<std::string> list_at(const Yaml& mapping, const std::string& key) {
  const Yaml value = field_at(mapping, key);
  std::vector<std::string> out;
  if (value == nullptr || !value->is(YamlKind::kSequence)) return out;
  for (const Yaml& item : value->items)
    if (item->is(YamlKind::kScalar)) out.push_back(item->text);
  return out;
}

void take_service(KamalApp& app, const Yaml& root) {
  std::string name = text_at(root, "service_with_version");
  const std::string end = "-" + text_at(root, "version");
  if (end.size() < 2 || !name.ends_with(end) || name.size() == end.size()) return;
  name.resize(name.size() - end.size());
  app.service = known(std::move(name));
}

void take_hosts(KamalApp& app, const Yaml& root) {
  const std::string primary = text_at(root, "primary_host");
  if (primary.empty()) return;
  app.hosts = {read_kamal_host(known(primary))};
  app.other_hosts.clear();
  for (const std::string& host : list_at(root, "hosts"))
    if (host != primary) app.other_hosts.push_back(read_kamal_host(known(host)));
}

// The proxy is an object of Net::SSH: Proxy::Jump has `jump_proxies`, Proxy::Command `command_line_template`.
void take_proxy(KamalApp& app, const Yaml& ssh) {
  const Yaml proxy = field_at(ssh, "proxy");
  if (const std::string jump = text_at(proxy, "jump_proxies"); !jump.empty()) app.proxy = known(jump);
  const std::string command = text_at(proxy, "command_line_template");
  if (!command.empty()) app.proxy_command = known(command);
}

void take_ssh(KamalApp& app, const Yaml& ssh) {
  // Where the files have no value, the answer has Kamal's default. OpenSSH's configuration decides then.
  if (const std::string user = text_at(ssh, "user"); !user.empty() && app.user.said()) app.user = known(user);
  if (const std::string port = text_at(ssh, "port"); !port.empty() && app.port.said()) app.port = known(port);
  if (const auto keys = list_at(ssh, "keys"); !keys.empty()) {
    app.keys.clear();
    for (const std::string& key : keys) app.keys.push_back(known(key));
  }
  take_proxy(app, ssh);
}

// `volumes` as arguments: "--volume", "app_storage:/rails/storage", ...
void take_volumes(KamalApp& app, const Yaml& root) {
  const std::vector<std::string> words = list_at(root, "volume_args");
  if (words.empty()) return;
  std::erase_if(app.volumes, [](const KamalVolume& volume) { return volume.of == "volumes"; });
  std::vector<KamalVolume> found;
  for (const std::string& word : words)
    if (word != "--volume") add_kamal_volume(found, known(word));
  app.volumes.insert(app.volumes.begin(), found.begin(), found.end());
}

}  // namespace

std::string ask_kamal(const std::string& project, const std::string& file, const std::string& destination,
                      const Cancel& cancel) {
  std::string answer;
  const CommandRun run = run_command(
      {kAsk,
       project,
       {"LITEPULL_KAMAL_FILE=" + file, "LITEPULL_KAMAL_DESTINATION=" + destination},
       kKamalTimeoutS},
      [&](std::string_view piece) {
        if (answer.size() <= kMaxYamlBytes) answer += piece;
      },
      cancel);
  if (run.timed_out)
    refuse_answer("did not end within two minutes", "see what it waits for: " + by_hand(destination));
  if (run.status == kNotFound) refuse_answer("cannot be run: kamal is not installed", "gem install kamal");
  if (run.status != 0)
    refuse_answer("failed with status " + std::to_string(run.status),
                  "see what it says: " + by_hand(destination));
  return answer;
}

KamalApp with_answer(KamalApp app, const std::string& answer) {
  Yaml root;
  // The error would quote the answer.
  if (error_of([&] { root = read_yaml(answer, kSource); }) || root == nullptr ||
      !root->is(YamlKind::kMapping))
    refuse_answer("gave no configuration that can be read",
                  "leave out --kamal, and give flags for what is missing");
  take_service(app, root);
  take_hosts(app, root);
  take_ssh(app, field_at(root, "ssh_options"));
  take_volumes(app, root);
  return app;
}

}  // namespace litepull
