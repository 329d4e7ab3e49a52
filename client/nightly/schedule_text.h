// The texts that schedule a daily backup: templates of deploy/ with values filled in, each quoted as its
// format needs. Pure functions. Precondition for all paths: UTF-8 without control characters.
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

// Takes "02:00" or "2:00"; nullopt for anything else.
std::optional<TimeOfDay> parse_time_of_day(const std::string& text);
std::string time_text(TimeOfDay time);  // "02:00"

struct DailyBackup {
  std::string app;      // as APP_NAME: safe in a file's name
  std::string program;  // absolute, as are the next three
  std::string config;
  std::string home;
  std::string log;  // for launchd; systemd has its journal, and cron sends mail
  TimeOfDay at;
  int jitter_minutes = 0;
};

// Replaces each `@NAME@` by the value of NAME, without looking into values again. Every name must have a
// value, and every value must be used: anything else is a bug of ours.
std::string fill_template(const std::string& text, const std::map<std::string, std::string>& values);

// One word of a unit file (systemd.syntax(7), "Quoting"; systemd.unit(5), "Specifiers").
std::string systemd_word(const std::string& text);
std::string xml_text(const std::string& text);
// One word for sh on a line of a crontab. Throws Error{kConfiguration} for a backslash, which crontab(5)
// cannot hold.
std::string cron_word(const std::string& text);

std::string service_text(const std::string& unit_template, const DailyBackup& backup);
std::string timer_text(const std::string& unit_template, const DailyBackup& backup);
std::string launchd_text(const std::string& agent_template, const DailyBackup& backup);
std::string cron_line(const DailyBackup& backup);

// The time in what timer_text or launchd_text wrote; nullopt if there is none.
std::optional<TimeOfDay> time_in_timer(const std::string& text);
std::optional<TimeOfDay> time_in_launchd(const std::string& text);

// Whether `litepull schedule` wrote this file.
bool is_ours(const std::string& text);

}  // namespace litepull
