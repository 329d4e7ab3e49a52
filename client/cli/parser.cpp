#include "client/cli/parser.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <utility>

#include "client/base/error_of.h"
#include "client/cli/duration.h"

namespace litepull {
namespace {

Parser::Result refused(const std::string& problem, const std::string& hint) {
  std::fprintf(stderr, "litepull: error: %s\n", problem.c_str());
  if (!hint.empty()) std::fprintf(stderr, "  %s\n", hint.c_str());
  return {nullptr, problem, hint};
}

bool asks_for_help(const std::string& word) {
  return word == "-h" || word == "--help";
}

// The option's names with their dashes.
std::vector<std::string> names_of(const CLI::Option& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.get_snames()) names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) names.push_back("--" + name);
  return names;
}

}  // namespace

Option Option::required(const std::string& example) {
  (*examples_)[option_] = example;
  return same(option_->required());
}

Option Option::type_name(const std::string& name) {
  return same(option_->type_name(name));
}

Option Option::range(int least, int most) {
  return same(option_->check(CLI::Range(least, most)));
}

Option Option::check(std::function<std::string(const std::string&)> complaint) {
  return same(option_->check(std::move(complaint)));
}

Option Option::needs(Option other) {
  return same(option_->needs(other.option_));
}

Option Option::excludes(Option other) {
  return same(option_->excludes(other.option_));
}

Option Option::one_value_each() {
  return same(option_->allow_extra_args(false));
}

Option Options::add(const std::string& names, std::string& value, const std::string& about) {
  return {app_->add_option(names, value, about), *examples_};
}

Option Options::add(const std::string& names, int& value, const std::string& about) {
  return {app_->add_option(names, value, about), *examples_};
}

Option Options::add(const std::string& names, std::size_t& value, const std::string& about) {
  return {app_->add_option(names, value, about), *examples_};
}

Option Options::add(const std::string& names, std::vector<std::string>& values, const std::string& about) {
  return {app_->add_option(names, values, about), *examples_};
}

Option Options::add(const std::string& names, const std::function<void(const std::string&)>& set,
                    const std::string& about) {
  return {app_->add_option_function<std::string>(names, set, about), *examples_};
}

Option Options::flag(const std::string& names, bool& value, const std::string& about) {
  return {app_->add_flag(names, value, about), *examples_};
}

Option Options::flag(const std::string& names, const std::function<void()>& set, const std::string& about) {
  return {app_->add_flag_callback(names, set, about), *examples_};
}

Option Options::duration(const std::string& names, int& value_s, int unit_s, int most_s,
                         const std::string& about) {
  const auto seconds = [unit_s, most_s](const std::string& text) {
    const auto parsed = parse_duration_s(text, unit_s);
    return parsed && *parsed >= 1 && *parsed <= most_s ? parsed : std::nullopt;
  };
  return add(
             names,
             [&value_s, seconds](const std::string& text) { value_s = seconds(text).value_or(value_s); },
             about)
      .check([seconds, names](const std::string& text) {
        return seconds(text) ? "" : "must be a time such as 90s, 15m or 2h";
      });
}

Options Options::one_of(const std::string& title, const std::string& example) {
  CLI::App* group = app_->add_option_group(title);
  group->require_option(1);
  (*examples_)[group] = example;
  return {group, *examples_};
}

void Options::footer(const std::string& text) {
  app_->footer(text);
}

Parser::Parser(const std::string& program, const std::string& about, const std::string& version)
    : app_(std::make_unique<CLI::App>(about, program)) {
  app_->set_version_flag("--version", version);
  app_->require_subcommand(1);
}

Parser::~Parser() = default;

Options Parser::command(const std::string& name, const std::string& about, std::function<int()> run) {
  CLI::App* command = app_->add_subcommand(name, about);
  command->callback([this, run = std::move(run)] { chosen_ = run; });
  return {command, examples_};
}

void Parser::footer(const std::string& text) {
  app_->footer(text);
}

std::string Parser::example_of(const void* what) const {
  const auto found = examples_.find(what);
  return found == examples_.end() ? "" : found->second;
}

void Parser::add_known(const CLI::Option& option, KnownCommand& command) const {
  for (const std::string& name : names_of(option))
    command.options.push_back({name, option.get_items_expected_max() > 0});
  if (option.get_positional())
    command.arguments.push_back({option.get_name(true), option.get_required(),
                                 option.get_items_expected_max() > 1, example_of(&option)});
}

KnownCommand Parser::known(const CLI::App& command) const {
  KnownCommand known{command.get_name(), {}, {}, {}};
  for (const CLI::Option* option : command.get_options()) add_known(*option, known);
  for (const CLI::App* group : command.get_subcommands({})) {
    KnownChoice choice{{}, example_of(group)};
    for (const CLI::Option* option : group->get_options()) {
      if (option->check_name("--help")) continue;  // CLI11 gives each group one of its own
      add_known(*option, known);
      choice.options.push_back(option->get_positional() ? option->get_name(true) : names_of(*option).back());
    }
    known.choices.push_back(std::move(choice));
  }
  return known;
}

std::vector<KnownCommand> Parser::known_commands() const {
  std::vector<KnownCommand> commands;
  for (const CLI::App* command : std::as_const(*app_).get_subcommands({}))
    commands.push_back(known(*command));
  return commands;
}

Parser::Result Parser::parse(int argc, const char* const* argv) {
  const std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  if (words.empty()) {
    std::fprintf(stderr, "%s", app_->help().c_str());
    return {nullptr, "no command was named", "litepull help lists the commands"};
  }
  Result result;
  const auto error = error_of([&] { result = words[0] == "help" ? help_of(words) : read(words); });
  return error ? refused(error->message(), error->hint()) : result;
}

// `help backup` is `backup --help`.
Parser::Result Parser::help_of(const std::vector<std::string>& words) {
  if (words.size() == 1 || words[1] == "help" || asks_for_help(words[1])) return parse_words({"--help"});
  const auto commands = known_commands();
  const std::vector<std::string> named(words.begin() + 1, words.begin() + 2);
  const auto error = error_of([&] { find_command(named, commands); });
  if (!error) return parse_words({words[1], "--help"});
  std::string hint = error->hint();
  if (const std::string begin = "did you mean: litepull "; hint.starts_with(begin))
    hint.insert(begin.size(), "help ");
  throw Error(error->kind(), error->message(), hint);
}

Parser::Result Parser::read(const std::vector<std::string>& words) {
  if (asks_for_help(words[0]) || words[0] == "--version") return parse_words({words[0]});
  const auto commands = known_commands();
  Line line = find_command(words, commands);
  const auto dashes = std::find(line.words.begin(), line.words.end(), "--");
  if (std::any_of(line.words.begin(), dashes, asks_for_help))
    return parse_words({line.command->name, "--help"});
  complete(line);
  require_known(line);
  line.words.insert(line.words.begin(), line.command->name);
  return parse_words(std::move(line.words));
}

void Parser::complete(Line& line) const {
  const ReadWords read = read_words(line.words, *line.command);
  if (!complete_ || !read.unknown.empty()) return;
  std::vector<std::string> arguments;
  for (const std::size_t at : read.arguments) arguments.push_back(line.words[at]);
  const std::vector<std::string> more = complete_(*line.command, arguments, read);
  const std::size_t at = read.arguments.empty() ? 0 : read.arguments.front();
  line.words.insert(line.words.begin() + static_cast<std::ptrdiff_t>(at), more.begin(), more.end());
}

// CLI11 takes the words from the back.
Parser::Result Parser::parse_words(std::vector<std::string> words) {
  const std::string command = words.front();
  std::reverse(words.begin(), words.end());
  try {
    app_->parse(std::move(words));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0)
      return refused(error.what(), "litepull help " + command + " shows what it takes");
    app_->exit(error);
  }
  return {chosen_, "", ""};
}

}  // namespace litepull
