#include "client/nightly/schedule_text.h"

#include <fmt/format.h>

#include <regex>
#include <set>

#include "common/error.h"

namespace litepull {
namespace {

constexpr const char* kMark = "Written by `litepull schedule`";

std::optional<TimeOfDay> found(const std::string& text, const std::regex& pattern) {
  std::smatch match;
  if (!std::regex_search(text, match, pattern)) return std::nullopt;
  const TimeOfDay time{std::stoi(match[1]), std::stoi(match[2])};
  return time.hour < 24 && time.minute < 60 ? std::optional(time) : std::nullopt;
}

}  // namespace

std::optional<TimeOfDay> parse_time_of_day(const std::string& text) {
  return found(text, std::regex("^([0-9]{1,2}):([0-9]{2})$"));
}

std::string time_text(TimeOfDay time) {
  return fmt::format("{:02}:{:02}", time.hour, time.minute);
}

std::string fill_template(const std::string& text, const std::map<std::string, std::string>& values) {
  static const std::regex kName("@([A-Z_]+)@");
  std::string out;
  std::set<std::string> used;
  auto rest = text.begin();
  for (std::sregex_iterator at(text.begin(), text.end(), kName), end; at != end; ++at) {
    const auto value = values.find((*at)[1]);
    invariant(value != values.end(), "a template with a name that has no value");
    out.append(rest, (*at)[0].first);
    out += value->second;
    used.insert(value->first);
    rest = (*at)[0].second;
  }
  invariant(used.size() == values.size(), "a template without one of the names");
  return out.append(rest, text.end());
}

std::string systemd_word(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '%') out += '%';
    out += c;
  }
  return out + "\"";
}

std::string xml_text(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

// Implementations of cron differ in what a backslash means before anything but '%'.
std::string cron_word(const std::string& text) {
  if (text.find('\\') != std::string::npos)
    throw Error(ErrorKind::kConfiguration, printable(text) + " has a backslash, which a crontab cannot hold",
                "rename it");
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'')
      out += "'\"'\"'";
    else if (c == '%')
      out += "\\%";
    else
      out += c;
  }
  return out + "'";
}

std::string service_text(const std::string& unit_template, const DailyBackup& backup) {
  return fill_template(unit_template, {{"APP", backup.app},
                                       {"HOME", systemd_word("HOME=" + backup.home)},
                                       {"LITEPULL", systemd_word(backup.program)},
                                       {"CONFIG", systemd_word(backup.config)}});
}

std::string timer_text(const std::string& unit_template, const DailyBackup& backup) {
  return fill_template(unit_template, {{"APP", backup.app},
                                       {"AT", time_text(backup.at)},
                                       {"JITTER_MINUTES", std::to_string(backup.jitter_minutes)}});
}

std::string launchd_text(const std::string& agent_template, const DailyBackup& backup) {
  return fill_template(agent_template, {{"APP", backup.app},
                                        {"HOME", xml_text(backup.home)},
                                        {"LITEPULL", xml_text(backup.program)},
                                        {"CONFIG", xml_text(backup.config)},
                                        {"LOG", xml_text(backup.log)},
                                        {"HOUR", std::to_string(backup.at.hour)},
                                        {"MINUTE", std::to_string(backup.at.minute)}});
}

std::string cron_line(const DailyBackup& backup) {
  return fmt::format("{} {} * * * {} backup {}", backup.at.minute, backup.at.hour, cron_word(backup.program),
                     cron_word(backup.config));
}

std::optional<TimeOfDay> time_in_timer(const std::string& text) {
  return found(text, std::regex("OnCalendar=\\*-\\*-\\* ([0-9]{2}):([0-9]{2}):00"));
}

std::optional<TimeOfDay> time_in_launchd(const std::string& text) {
  return found(text, std::regex("<key>Hour</key>\\s*<integer>([0-9]{1,2})</integer>\\s*"
                                "<key>Minute</key>\\s*<integer>([0-9]{1,2})</integer>"));
}

bool is_ours(const std::string& text) {
  return text.find(kMark) != std::string::npos;
}

}  // namespace litepull
