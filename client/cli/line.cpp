#include "client/cli/line.h"

#include <algorithm>
#include <string_view>

#include "client/config/near_word.h"
#include "common/shell_word.h"

namespace litepull {
namespace {

using Words = std::vector<std::string>;

std::string name_of(const std::string& word) {
  return word.substr(0, word.find('='));
}

std::string shown(const std::string& word) {
  return printable(word);
}

std::string typed(const KnownCommand& command, const Words& words) {
  std::string text = "litepull " + command.name;
  for (const std::string& word : words) text += " " + shell_word(word);
  return text;
}

std::string joined(const Words& words, const std::string& between) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

// Of three letters two may not differ: `run` is not `pin`.
std::string near_of(const std::string& word, const Words& known) {
  const std::string near(near_word(word, std::vector<std::string_view>(known.begin(), known.end())));
  return near.size() > 3 || near.substr(0, 1) == word.substr(0, 1) ? near : "";
}

const KnownCommand* command_called(const std::string& name, const std::vector<KnownCommand>& commands) {
  const auto found = std::find_if(commands.begin(), commands.end(),
                                  [&](const auto& command) { return command.name == name; });
  return found == commands.end() ? nullptr : &*found;
}

Words without(const Words& words, std::size_t at) {
  Words rest = words;
  rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(at));
  return rest;
}

// Whether these words, which stand before a command, can be whole options of it, mistyped ones among them.
bool can_be_options(const ReadWords& read) {
  return read.arguments.empty() && read.without_value.empty();
}

// The first word that is no option, to name it. Options that take a value are not known yet.
std::size_t first_argument(const Words& words) {
  const auto found =
      std::find_if(words.begin(), words.end(), [](const auto& word) { return !word.starts_with('-'); });
  return static_cast<std::size_t>(found - words.begin());
}

[[noreturn]] void throw_no_command(const Words& words, const std::vector<KnownCommand>& commands) {
  const std::size_t at = first_argument(words);
  if (at == words.size())
    throw Error(ErrorKind::kConfiguration, "no command was named beside " + shown(words.front()),
                "litepull help lists the commands");
  Words names;
  for (const KnownCommand& command : commands) names.push_back(command.name);
  const std::string near = near_of(words[at], names);
  throw Error(ErrorKind::kConfiguration, "there is no command " + shown(words[at]),
              near.empty() ? "litepull help lists the commands"
                           : "did you mean: " + typed(*command_called(near, commands), without(words, at)));
}

// --- one command's words ---------------------------------------------------------------------------------

void read_short(const Words& words, std::size_t& at, const KnownCommand& command, ReadWords& read) {
  const std::string& word = words[at];
  for (std::size_t i = 1; i < word.size(); ++i) {
    const KnownOption* option = command.find(std::string("-") + word[i]);
    if (option == nullptr) return read.unknown.push_back(at);
    read.given.push_back(option->name);
    if (!option->takes_value) continue;
    if (i + 1 == word.size() && ++at >= words.size()) read.without_value = option->name;
    return;
  }
}

void read_long(const Words& words, std::size_t& at, const KnownCommand& command, ReadWords& read) {
  const std::string name = name_of(words[at]);
  const KnownOption* option = command.find(name);
  if (option == nullptr) return read.unknown.push_back(at);
  read.given.push_back(option->name);
  if (option->takes_value && name == words[at] && ++at >= words.size()) read.without_value = name;
}

// --- what is wrong with them -----------------------------------------------------------------------------

struct Problems {
  Words what;
  Words hints;
  Words mended;  // the line without what is wrong
};

void check_options(const Line& line, const ReadWords& read, Problems& problems) {
  Words names;
  for (const KnownOption& option : line.command->options)
    if (option.name.starts_with("--")) names.push_back(option.name);
  bool all_near = !read.unknown.empty();
  for (const std::size_t at : read.unknown) {
    const std::string name = name_of(line.words[at]), near = near_of(name, names);
    problems.what.push_back("litepull " + line.command->name + " has no option " + shown(name));
    if (!near.empty()) problems.mended[at].replace(0, name.size(), near);
    all_near = all_near && !near.empty();
  }
  if (!read.unknown.empty() && !all_near)
    problems.hints.push_back("litepull help " + line.command->name + " shows its options");
}

// With an unknown option, nothing has yet taken the place of a configuration that was left out.
bool may_be_left_out(const std::string& name, const ReadWords& read) {
  return name == "CONFIG" && !read.unknown.empty();
}

void check_arguments(const Line& line, const ReadWords& read, Problems& problems) {
  const auto& arguments = line.command->arguments;
  for (std::size_t i = read.arguments.size(); i < arguments.size(); ++i) {
    if (!arguments[i].required || may_be_left_out(arguments[i].name, read)) continue;
    problems.what.push_back(arguments[i].name + " is missing");
    problems.mended.push_back(arguments[i].example);
  }
  const bool many = !arguments.empty() && arguments.back().many;
  if (many || !read.unknown.empty() ||  // the value of an unknown option looks like an argument
      read.arguments.size() <= arguments.size())
    return;
  const std::size_t at = read.arguments[arguments.size()];
  const std::string before =
      arguments.empty() ? "options" : shown(line.words[read.arguments[arguments.size() - 1]]);
  problems.what.push_back("litepull " + line.command->name + " takes nothing more than " + before + ", and " +
                          shown(line.words[at]) + " follows");
  problems.hints.push_back("litepull help " + line.command->name + " shows what it takes");
}

void check_choice(const KnownChoice& choice, const ReadWords& read, Problems& problems) {
  Words given;
  for (const std::string& option : choice.options)
    if (read.has(option) || (!option.starts_with('-') && !read.arguments.empty())) given.push_back(option);
  if (given.size() == 1) return;
  if (given.empty() && may_be_left_out(choice.options.front(), read)) return;
  if (given.empty()) {
    problems.what.push_back("one of " + joined(choice.options, ", ") + " is missing");
    return problems.mended.push_back(choice.example);
  }
  problems.what.push_back(joined(given, " and ") + " exclude each other");
  problems.hints.push_back("give one of them");
}

// The words of examples are more than one, so only the user's own words are quoted.
std::string mended_line(const Line& line, const Words& mended) {
  const auto own = mended.begin() + static_cast<std::ptrdiff_t>(line.words.size());
  std::string text = typed(*line.command, Words(mended.begin(), own));
  for (auto word = own; word != mended.end(); ++word) text += " " + *word;
  return text;
}

}  // namespace

const KnownOption* KnownCommand::find(const std::string& option) const {
  const auto found = std::find_if(options.begin(), options.end(),
                                  [&](const KnownOption& known) { return known.name == option; });
  return found == options.end() ? nullptr : &*found;
}

bool ReadWords::has(const std::string& option) const {
  return std::find(given.begin(), given.end(), option) != given.end();
}

ReadWords read_words(const std::vector<std::string>& words, const KnownCommand& command) {
  ReadWords read;
  bool dashes = false;  // after "--" nothing is an option
  for (std::size_t at = 0; at < words.size(); ++at) {
    const std::string& word = words[at];
    if (!dashes && word == "--")
      dashes = true;
    else if (dashes || !word.starts_with('-') || word == "-")
      read.arguments.push_back(at);
    else if (word.starts_with("--"))
      read_long(words, at, command, read);
    else
      read_short(words, at, command, read);
  }
  return read;
}

Line find_command(const std::vector<std::string>& words, const std::vector<KnownCommand>& commands) {
  std::vector<Line> possible, mistyped;
  for (std::size_t at = 0; at < words.size(); ++at) {
    const KnownCommand* command = command_called(words[at], commands);
    if (command == nullptr) continue;
    if (at == 0) return {command, without(words, at)};
    const ReadWords before =
        read_words(Words(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(at)), *command);
    if (can_be_options(before))
      (before.unknown.empty() ? possible : mistyped).push_back({command, without(words, at)});
  }
  if (possible.empty()) possible = std::move(mistyped);
  if (possible.empty()) throw_no_command(words, commands);
  if (possible.size() == 1) return possible.front();
  throw Error(
      ErrorKind::kConfiguration,
      "both " + possible[0].command->name + " and " + possible[1].command->name + " can be the command",
      "put the command first: " + typed(*possible[0].command, possible[0].words));
}

void require_known(const Line& line) {
  const ReadWords read = read_words(line.words, *line.command);
  Problems problems{{}, {}, line.words};
  check_options(line, read, problems);
  if (!read.without_value.empty()) {
    problems.what.push_back("the value of " + read.without_value + " is missing");
    problems.hints.push_back("litepull help " + line.command->name + " shows what it takes");
  }
  check_arguments(line, read, problems);
  for (const KnownChoice& choice : line.command->choices) check_choice(choice, read, problems);
  if (problems.what.empty()) return;
  const std::string hint =
      problems.hints.empty() ? "type: " + mended_line(line, problems.mended) : joined(problems.hints, "; ");
  throw Error(ErrorKind::kConfiguration, joined(problems.what, "; "), hint);
}

}  // namespace litepull
