// The files and lines that have an app backed up every day: templates of deploy/ with values filled in, each
// in the quoting of its format. Pure functions. Precondition for all paths: UTF-8 without control characters.
#pragma once

#include <map>
#include <optional>
#include <string>

namespace litepull {

struct TimeOfDay {
  int hour = 0;
  int minute = 0;

  bool operator==(const TimeOfDay&) const = default;
};

// "02:00" or "2:00"; nullopt for what is no time of a day.
std::optional<TimeOfDay> parse_time_of_day(const std::string& text);
std::string time_text(TimeOfDay time);  // "02:00"

struct DailyBackup {
  std::string app;      // as APP_NAME may be: safe in a file's name
  std::string program;  // absolute, as all that follow
  std::string config;
  std::string home;
  std::string log;  // launchd's; systemd has its journal, cron its mail
  TimeOfDay at;
  int jitter_minutes = 0;
};

// `@NAME@` replaced by the value of NAME; no value is looked into again. A name that has no value, or a value
// that is not used, is a bug of ours.
std::string fill_template(const std::string& text, const std::map<std::string, std::string>& values);

// One word of a unit file (systemd.syntax(7), "Quoting"; systemd.unit(5), "Specifiers").
std::string systemd_word(const std::string& text);
std::string xml_text(const std::string& text);
// One word for sh, on a crontab's line. Error{kConfiguration} for what crontab(5) cannot hold.
std::string cron_word(const std::string& text);

std::string service_text(const std::string& unit_template, const DailyBackup& backup);
std::string timer_text(const std::string& unit_template, const DailyBackup& backup);
std::string launchd_text(const std::string& agent_template, const DailyBackup& backup);
std::string cron_line(const DailyBackup& backup);

// The time that timer_text or launchd_text wrote.
std::optional<TimeOfDay> time_in_timer(const std::string& text);
std::optional<TimeOfDay> time_in_launchd(const std::string& text);

// Whether `litepull schedule` wrote it.
bool is_ours(const std::string& text);

}  // namespace litepull
