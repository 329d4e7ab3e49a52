#include "client/init/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>
#include <utility>

#include "client/base/directory.h"
#include "client/config/path_text.h"
#include "client/init/databases.h"
#include "client/init/words.h"
#include "client/init/workspace.h"
#include "common/error.h"

namespace litepull {
namespace {

constexpr const char* kNone = "none";

struct Field {
  const char* key;     // of the configuration
  const char* flag;    // "--host"
  const char* sample;  // what follows it
  const char* about;
  bool may_be_none = false;
};

constexpr Field kApp{"APP_NAME", "--app", "NAME", "the app's name"};
constexpr Field kHost{"SERVER_HOST", "--host", "HOST", "the server's name or address"};
constexpr Field kUser{"SERVER_USER", "--user", "USER", "the user to log in as"};
constexpr Field kPort{"SERVER_PORT", "--port", "PORT", "the port of its SSH server"};
constexpr Field kStorage{"REMOTE_BACKUP_DIR", "--storage", "DIRECTORY-OR-VOLUME",
                         "the databases' directory on the server, or the Docker volume's name"};
constexpr Field kWorkspace{"WORKSPACE_DIR", "--workspace", "DIRECTORY",
                           "the directory that holds the app's code and snapshots"};
constexpr Field kBackupRoot{"LOCAL_BACKUP_ROOT", "--backup-root", "DIRECTORY",
                            "where to keep snapshots here"};
constexpr Field kKey{"SSH_KEY", "--key", "FILE", "the private key's file, or none", true};
constexpr Field kProxy{"SSH_PROXY", "--proxy", "[USER@]HOST[:PORT]", "the host to jump over, or none", true};

// What Kamal's file says about a field.
struct Offer {
  std::string value;      // empty when the file does not say, or only Ruby knows
  std::string why;        // the reason, when no default may be used
  std::string otherwise;  // Kamal's default, or one that may be suggested
};

// Names the tag, and what it surrounds if it is a statement.
std::string known_to_ruby(const KamalValue& value) {
  const bool within = value.text.find("<%") != std::string::npos;
  const std::string around = within || value.text.empty() ? "" : " ... " + value.text;
  return fmt::format("{}: only Ruby knows what {} gives", value.where,
                     printable(within ? value.text : value.erb + around));
}

Offer offer_of(const KamalValue& value, const std::string& otherwise = "") {
  if (value.known() && !value.text.empty()) return {value.text, "", otherwise};
  return {"", value.erb.empty() ? "" : known_to_ruby(value), otherwise};
}

bool is_quiet_flag(std::string_view word) {
  return word == "-q" || word == "-T" || word == "-a" || word == "-x" || word == "-n";
}

// `ssh -W %h:%p [-p PORT] USER@HOST` is a jump over that host, USER@HOST[:PORT]. Empty for any other command,
// and when OpenSSH is to choose the user.
std::string jump_of(const std::string& command) {
  std::istringstream in(command);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  std::string host, port;
  bool forwards = false;
  if (words.empty() || words[0] != "ssh") return "";
  for (std::size_t i = 1; i < words.size(); ++i) {
    const bool has_next = i + 1 < words.size();
    if (words[i] == "-W" && has_next && (words[i + 1] == "%h:%p" || words[i + 1] == "[%h]:%p"))
      forwards = (++i, true);
    else if (words[i] == "-p" && has_next)
      port = words[++i];
    else if (words[i].starts_with('-') || !host.empty()) {
      if (!is_quiet_flag(words[i])) return "";
    } else
      host = words[i];
  }
  if (!forwards || host.find('@') == std::string::npos) return "";
  return port.empty() ? host : host + ":" + port;
}

class Planner {
 public:
  Planner(const KamalApp& app, const InitFlags& flags, const InitSources& sources, const Ask& ask,
          const Environment& environment)
      : app_(app), flags_(flags), sources_(sources), ask_(ask), environment_(environment) {}

  InitPlan plan() &&;

 private:
  void choose_app();
  void choose_login();
  void choose_key();
  Offer proxy_offer();
  void choose_proxy();
  void choose_storage();
  void choose_databases();
  std::string own_ssh_config();
  void choose_ssh_config();
  void choose_host();
  void choose_workspace();
  void choose_backup_root();
  void require_all() const;
  void note(std::string_view text) { plan_.notes.emplace_back(text); }

  const std::vector<KamalHost>& hosts() const;
  Offer host_offer() const;
  std::string configured_user() const;
  const KamalVolume* storage_volume() const;
  Offer storage_offer();
  std::string mounts_text() const;
  std::string choose(const Field& field, const std::string& flag, Offer offer);
  std::string asked(const Field& field, Offer offer);
  std::string refusal_of(const Field& field, const std::string& value) const;

  const KamalApp& app_;
  const InitFlags& flags_;
  const InitSources& sources_;
  const Ask& ask_;
  const Environment& environment_;
  InitPlan plan_;
  std::vector<std::string> missing_, missing_flags_;
  bool ruby_knows_ = false;  // something that is missing, so --kamal may help
};

InitPlan Planner::plan() && {
  plan_.env.made_from = sources_.file;
  plan_.env.app_id = random_hex() + random_hex();
  choose_app();
  if (!plan_.env.app_name.empty() && sources_.app_chosen)
    plan_.is_new = sources_.app_chosen(plan_.env.app_name);
  if (!plan_.is_new) return std::move(plan_);
  choose_host();
  choose_ssh_config();
  choose_login();
  choose_storage();
  choose_key();
  choose_proxy();
  choose_databases();
  choose_workspace();
  choose_backup_root();
  require_all();
  return std::move(plan_);
}

std::string Planner::refusal_of(const Field& field, const std::string& value) const {
  return field.may_be_none && value == kNone ? "" : why_not(field.key, value, environment_);
}

// Empty when the user wants none, and when it is missing, which is recorded.
std::string Planner::choose(const Field& field, const std::string& flag, Offer offer) {
  if (!flag.empty()) {
    if (const std::string why = refusal_of(field, flag); !why.empty())
      throw Error(ErrorKind::kConfiguration, std::string(field.flag) + ": " + why,
                  fmt::format("give {} {}", field.flag, field.sample));
    return flag == kNone && field.may_be_none ? "" : flag;
  }
  if (!offer.value.empty()) {
    offer.why = refusal_of(field, offer.value);
    if (offer.why.empty()) return offer.value;
  } else if (offer.why.empty() && !offer.otherwise.empty()) {
    return offer.otherwise == kNone ? "" : offer.otherwise;
  }
  if (ask_) return asked(field, std::move(offer));
  ruby_knows_ = ruby_knows_ || offer.why.find("only Ruby knows") != std::string::npos;
  missing_.push_back(field.about + (offer.why.empty() ? "" : " (" + offer.why + ")"));
  missing_flags_.push_back(fmt::format("{} {}", field.flag, field.sample));
  return "";
}

std::string Planner::asked(const Field& field, Offer offer) {
  Question question{field.about, std::move(offer.why), std::move(offer.otherwise)};
  for (;;) {
    const std::string answer = ask_(question);
    question.why = refusal_of(field, answer);
    if (question.why.empty()) return answer == kNone && field.may_be_none ? "" : answer;
  }
}

void Planner::require_all() const {
  if (missing_.empty()) return;
  throw Error(ErrorKind::kConfiguration, sources_.file + " does not say:\n    " + joined(missing_, "\n    "),
              "give " + joined(missing_flags_, " ") +
                  (ruby_knows_ && !sources_.kamal_asked
                       ? "; or let Kamal tell, which runs the Ruby in its files: litepull init --kamal"
                       : ""));
}

// --- the app and its server ------------------------------------------------------------------------------

// Each destination has databases of its own.
void Planner::choose_app() {
  Offer offer = offer_of(app_.service);
  if (!offer.value.empty() && !flags_.destination.empty()) offer.value += "-" + flags_.destination;
  plan_.env.app_name = choose(kApp, flags_.app, std::move(offer));
}

// The hosts of the storage volume: those of the primary role, unless only another one has it.
const std::vector<KamalHost>& Planner::hosts() const {
  const KamalVolume* volume = flags_.storage.empty() ? storage_volume() : nullptr;
  return volume == nullptr || volume->hosts.empty() ? app_.hosts : volume->hosts;
}

Offer Planner::host_offer() const {
  if (!hosts().empty()) return offer_of(hosts().front().name);
  Offer offer{"", app_.no_hosts, ""};
  if (flags_.destination.empty() && !sources_.destinations.empty())
    offer.why += "; with --destination " + joined(sources_.destinations, " or ") + " it may be";
  return offer;
}

void Planner::choose_host() {
  plan_.env.host = choose(kHost, flags_.host, host_offer());
  if (!flags_.host.empty()) return;
  std::vector<std::string> others;
  for (const std::vector<KamalHost>* list : {&app_.hosts, &app_.other_hosts})
    for (const KamalHost& host : *list)
      if (host.name.text != plan_.env.host) others.push_back(printable(host.name.text));
  if (others.empty() || plan_.env.host.empty()) return;
  note(
      fmt::format("{} is not the only host: there are {}, each with a storage of its own. For one of them: "
                  "litepull init --host HOST --app NAME",
                  plan_.env.host, joined(others, ", ")));
}

// A user in the host's text counts before ssh/user. A port in it does not count, since Kamal takes ssh/port.
// If neither says, OpenSSH's configuration decides where it is read. Kamal's own default for the user is
// root.
void Planner::choose_login() {
  const KamalHost host = hosts().empty() || !flags_.host.empty() ? KamalHost{} : hosts().front();
  Offer user = host.user.empty() ? offer_of(app_.user, "root") : Offer{host.user, "", "root"};
  if (!user.value.empty() || !user.why.empty() || !flags_.user.empty() || configured_user().empty())
    plan_.env.user = choose(kUser, flags_.user, std::move(user));
  Offer port = offer_of(app_.port, "22");
  if (!port.value.empty() || !port.why.empty() || !flags_.port.empty())
    plan_.env.port = choose(kPort, flags_.port, std::move(port));
  const std::string port_used = plan_.env.port.empty() ? "22" : plan_.env.port;
  if (!host.port.empty() && host.port != port_used && flags_.port.empty())
    note(fmt::format(
        "{}: Kamal takes the port from ssh/port, not {} from the host; for that one give --port {}",
        host.name.where, printable(host.port), printable(host.port)));
}

std::string Planner::configured_user() const {
  const std::string& file = plan_.env.ssh_config;
  if (file.empty() || plan_.env.host.empty() || !sources_.configured_user) return "";
  return sources_.configured_user(file == "yes" ? "" : file, plan_.env.host);
}

// --- its storage -----------------------------------------------------------------------------------------

const KamalVolume* Planner::storage_volume() const {
  return volume_holding(app_, storage_path(app_, sources_.databases));
}

std::string Planner::mounts_text() const {
  std::vector<std::string> mounts;
  for (const KamalVolume& volume : app_.volumes)
    mounts.push_back(printable(volume.source.text + (volume.mount.empty() ? "" : ":" + volume.mount)));
  return mounts.empty() ? "" : "; what there is: " + joined(mounts, ", ");
}

Offer Planner::storage_offer() {
  const std::string path = storage_path(app_, sources_.databases);
  const KamalVolume* volume = storage_volume();
  if (volume == nullptr) {
    for (const KamalVolume& other : app_.volumes)
      if (other.mount.empty() && !other.source.erb.empty()) return offer_of(other.source);
    return {"", fmt::format("no volume is mounted at {}{}", kRailsStorage, mounts_text()), ""};
  }
  if (!volume->source.known()) return offer_of(volume->source);
  const std::string directory = host_path(*volume, path);
  if (directory.empty())
    return {"",
            fmt::format("{}: the server's shell decides what {} is", volume->source.where,
                        printable(volume->source.text)),
            ""};
  const bool named = is_volume_name(volume->source.text);
  plan_.env.storage_is = fmt::format("{}{}, mounted at {}", named ? "the Docker volume " : "",
                                     volume->source.text, volume->mount);
  return {directory, "", ""};
}

void Planner::choose_storage() {
  std::string storage = flags_.storage;
  if (is_volume_name(storage)) storage = volume_directory(storage);
  Offer offer = storage.empty() ? storage_offer() : Offer{};
  storage = choose(kStorage, storage, std::move(offer));
  if (is_volume_name(storage)) storage = volume_directory(storage);  // an answer
  plan_.env.storage = storage;
  if (storage.starts_with("/var/lib/docker/") && plan_.env.user != "root" && !plan_.env.user.empty())
    note(
        fmt::format("on most servers root alone may look into /var/lib/docker, and the user is {}: "
                    "litepull check says whether that will do",
                    plan_.env.user));
}

// --- this machine ----------------------------------------------------------------------------------------

// Takes the first key that exists. Without one, the SSH agent and the usual keys are tried, as Kamal does.
void Planner::choose_key() {
  Offer offer{"", "", kNone};
  std::vector<std::string> others;
  for (const KamalValue& key : app_.keys) {
    Offer one = offer_of(key);
    if (!one.value.empty() && !is_whole_path(one.value)) one.value = sources_.project + "/" + one.value;
    if (!one.why.empty()) offer.why = one.why;
    if (one.value.empty() || !offer.value.empty()) continue;
    if (why_not(kKey.key, one.value, environment_).empty())
      offer.value = one.value;
    else
      others.push_back(printable(one.value));
  }
  const bool any = !offer.value.empty();
  plan_.env.key = choose(kKey, flags_.key, std::move(offer));
  if (!any && !others.empty() && flags_.key.empty())
    note(fmt::format(
        "ssh/keys: {} cannot be read here; without a key the SSH agent and the usual keys are tried",
        joined(others, ", ")));
  if (app_.key_data && flags_.key.empty())
    note("ssh/key_data: keys in secrets are not read; name a key's file with SSH_KEY, or use an SSH agent");
}

// Kamal jumps as root if no user is named, and takes a proxy before a proxy_command.
Offer Planner::proxy_offer() {
  Offer offer = offer_of(app_.proxy, kNone);
  if (!app_.proxy.said() && app_.proxy_command.known()) {
    offer.value = jump_of(app_.proxy_command.text);
    if (offer.value.empty() && flags_.proxy.empty())
      note(
          fmt::format("{}: ssh/proxy_command is not taken over: put it in ~/.ssh/config as ProxyCommand or "
                      "ProxyJump of that host, which the line SSH_CONFIG=yes reads",
                      app_.proxy_command.where));
    return offer;
  }
  if (offer.value.find(',') != std::string::npos)
    return {"",
            fmt::format("{}: more than one host to jump over: {}", app_.proxy.where, printable(offer.value)),
            kNone};
  if (!offer.value.empty() && offer.value.find('@') == std::string::npos) offer.value = "root@" + offer.value;
  return offer;
}

void Planner::choose_proxy() {
  plan_.env.proxy = choose(kProxy, flags_.proxy, proxy_offer());
}

// As Kamal, which reads OpenSSH's configuration unless it is told not to. Empty for the usual files.
std::string Planner::own_ssh_config() {
  if (app_.ssh_configs.empty()) return "";
  const KamalValue& first = app_.ssh_configs.front();
  const std::string path = is_whole_path(first.text) ? first.text : sources_.project + "/" + first.text;
  const std::string why = first.known() ? why_not("SSH_CONFIG", path, environment_) : known_to_ruby(first);
  if (!why.empty())
    note(fmt::format("{}: {}; ~/.ssh/config is read in its place", first.where, why));
  else if (app_.ssh_configs.size() > 1)
    note(fmt::format("{}: ssh/config names several files; SSH_CONFIG is the first, {}", first.where,
                     printable(path)));
  return why.empty() ? path : "";
}

void Planner::choose_ssh_config() {
  if (!app_.reads_ssh_config) return;
  const std::string own = own_ssh_config();
  plan_.env.ssh_config = own.empty() ? "yes" : own;
}

void Planner::choose_databases() {
  DatabasePatterns found = database_patterns(app_, sources_.databases, plan_.env.storage, plan_.env.app_name);
  plan_.env.databases = std::move(found.patterns);
  for (std::string& text : found.notes) plan_.notes.push_back(std::move(text));
}

void Planner::choose_backup_root() {
  plan_.env.backup_root = choose(kBackupRoot, flags_.backup_root, {"", "", kBackupsInWorkspace});
}

void Planner::choose_workspace() {
  if (!flags_.workspace.empty()) {
    plan_.env.workspace_dir = choose(kWorkspace, flags_.workspace, {});
    plan_.workspace_why = "as --workspace says";
    return;
  }
  std::vector<std::string> names{plan_.env.app_name};
  if (app_.service.known()) names.insert(names.begin(), app_.service.text);
  Workspace found = workspace_of(sources_.project, names);
  plan_.env.workspace_dir = std::move(found.dir);
  plan_.workspace_why = std::move(found.why);
}

}  // namespace

InitPlan plan_init(const KamalApp& app, const InitFlags& flags, const InitSources& sources, const Ask& ask,
                   const Environment& environment) {
  return Planner(app, flags, sources, ask, environment).plan();
}

}  // namespace litepull
