// Commands and their options as they are declared, parsed, and shown by --help. CLI11 stays behind
// parser.cpp, because each file that includes it takes many seconds to compile.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "client/cli/line.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace litepull {

// What to type for an option or a group that is missing, by its address.
using Examples = std::map<const void*, std::string>;

// One option, flag or positional argument. A handle: valid as long as the Parser.
class Option {
 public:
  Option(CLI::Option* option, Examples& examples) : option_(option), examples_(&examples) {}

  // `example` is a word that a message can name in its place.
  Option required(const std::string& example = "");
  Option type_name(const std::string& name);  // what --help calls its value
  Option range(int least, int most);
  // `complaint` returns why a value is refused, or an empty string.
  Option check(std::function<std::string(const std::string&)> complaint);
  Option needs(Option other);
  Option excludes(Option other);
  Option one_value_each();  // of one that may be given several times

 private:
  Option same(CLI::Option* option) const { return {option, *examples_}; }

  CLI::Option* option_;
  Examples* examples_;
};

// The options of one command, or of a group in it. A handle: valid as long as the Parser. Values are taken by
// reference, must outlive the parsing, and keep what they hold if the option is not given. `names` are as in
// "-q,--quiet", or "CONFIG" for a positional argument.
class Options {
 public:
  Options(CLI::App* app, Examples& examples) : app_(app), examples_(&examples) {}

  Option add(const std::string& names, std::string& value, const std::string& about);
  Option add(const std::string& names, int& value, const std::string& about);
  Option add(const std::string& names, std::size_t& value, const std::string& about);
  Option add(const std::string& names, std::vector<std::string>& values, const std::string& about);
  Option add(const std::string& names, const std::function<void(const std::string&)>& set,
             const std::string& about);
  Option flag(const std::string& names, bool& value, const std::string& about);  // "!--no-hook" clears it
  Option flag(const std::string& names, const std::function<void()>& set, const std::string& about);

  // A length of time of at most `most_s`, such as 15m. `value_s` is in seconds, and so is a number without a
  // unit, or in units of `unit_s`.
  Option duration(const std::string& names, int& value_s, int unit_s, int most_s, const std::string& about);

  // A group of options, of which exactly one must be given. `example` is one, with a value, for a message.
  Options one_of(const std::string& title, const std::string& example);
  void footer(const std::string& text);

 private:
  CLI::App* app_;
  Examples* examples_;
};

class Parser {
 public:
  struct Result {
    std::function<int()> run;  // the command that was named; empty if none is to be run
    std::string problem;       // why not, if the line is wrong; it was printed to stderr
    std::string hint;          // what to type instead
  };

  // `program` is its name; `version` is what --version prints.
  Parser(const std::string& program, const std::string& about, const std::string& version);
  ~Parser();
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;

  Options command(const std::string& name, const std::string& about, std::function<int()> run);
  void footer(const std::string& text);
  // `complete` is asked for the arguments that a line has left out before its own ones, which it is given.
  using Complete = std::function<std::vector<std::string>(const KnownCommand&,
                                                          const std::vector<std::string>&, const ReadWords&)>;
  void complete_with(Complete complete) { complete_ = std::move(complete); }

  // Exactly one command must be named. Options may come before it, as far as only one reading fits. Prints
  // --help, `help` and --version itself, and then returns neither a command nor a problem. Without any word
  // it prints the help to stderr, and that is a problem.
  Result parse(int argc, const char* const* argv);

 private:
  std::string example_of(const void* what) const;
  void add_known(const CLI::Option& option, KnownCommand& command) const;
  KnownCommand known(const CLI::App& command) const;
  std::vector<KnownCommand> known_commands() const;
  Result help_of(const std::vector<std::string>& words);
  Result read(const std::vector<std::string>& words);
  void complete(Line& line) const;
  Result parse_words(std::vector<std::string> words);

  std::unique_ptr<CLI::App> app_;
  Examples examples_;
  Complete complete_;
  std::function<int()> chosen_;
};

}  // namespace litepull
