#include "client/cli/parser.h"

#include <CLI/CLI.hpp>
#include <utility>

namespace litepull {

Option Option::required() {
  return Option(option_->required());
}

Option Option::type_name(const std::string& name) {
  return Option(option_->type_name(name));
}

Option Option::range(int least, int most) {
  return Option(option_->check(CLI::Range(least, most)));
}

Option Option::check(std::function<std::string(const std::string&)> complaint) {
  return Option(option_->check(std::move(complaint)));
}

Option Option::needs(Option other) {
  return Option(option_->needs(other.option_));
}

Option Option::excludes(Option other) {
  return Option(option_->excludes(other.option_));
}

Option Option::one_value_each() {
  return Option(option_->allow_extra_args(false));
}

Option Options::add(const std::string& names, std::string& value, const std::string& about) {
  return Option(app_->add_option(names, value, about));
}

Option Options::add(const std::string& names, int& value, const std::string& about) {
  return Option(app_->add_option(names, value, about));
}

Option Options::add(const std::string& names, std::size_t& value, const std::string& about) {
  return Option(app_->add_option(names, value, about));
}

Option Options::add(const std::string& names, std::vector<std::string>& values, const std::string& about) {
  return Option(app_->add_option(names, values, about));
}

Option Options::add(const std::string& names, const std::function<void(const std::string&)>& set,
                    const std::string& about) {
  return Option(app_->add_option_function<std::string>(names, set, about));
}

Option Options::flag(const std::string& names, bool& value, const std::string& about) {
  return Option(app_->add_flag(names, value, about));
}

Option Options::flag(const std::string& names, const std::function<void()>& set, const std::string& about) {
  return Option(app_->add_flag_callback(names, set, about));
}

Options Options::one_of(const std::string& title) {
  CLI::App* group = app_->add_option_group(title);
  group->require_option(1);
  return Options(group);
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
  return Options(command);
}

void Parser::footer(const std::string& text) {
  app_->footer(text);
}

Parser::Result Parser::parse(int argc, const char* const* argv) {
  try {
    app_->parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return {nullptr, app_->exit(error) == 0 ? "" : error.what()};
  }
  return {chosen_, ""};
}

}  // namespace litepull
